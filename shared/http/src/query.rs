//! Query parameters, read by name with every fault noted: an unknown or repeated name is a fault, so that a misspelt filter
//! does not silently answer everything.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use axle_app::{Error, PageRequest};
use axle_domain::Faults;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::ApiError;

/// The query of a request being read.
#[derive(Debug)]
pub struct QueryReader {
    pairs: Vec<(String, String)>,
    faults: Faults,
}

impl<S: Send + Sync> FromRequestParts<S> for QueryReader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::new(parts.uri.query().unwrap_or_default()))
    }
}

/// Default and largest page of the Outreach surface.
const LIMIT: (usize, usize) = (20, 100);

impl QueryReader {
    pub fn new(query: &str) -> Self {
        Self { pairs: serde_urlencoded::from_str(query).unwrap_or_default(), faults: Faults::new() }
    }

    /// Every value of a name that may repeat.
    pub fn all(&mut self, name: &str) -> Vec<String> {
        let (found, rest) = std::mem::take(&mut self.pairs).into_iter().partition(|(n, _)| n == name);
        self.pairs = rest;
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// The text of a parameter; a repeated or blank one is a fault.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.free_text(name)?;
        if value.trim().is_empty() {
            self.fault(name, "must not be empty; leave it out instead");
            return None;
        }
        Some(value)
    }

    /// The text of a parameter in which any text is good, such as that of a search, also none. The document says `min_length = 0`
    /// of it. A repeated one is a fault.
    pub fn free_text(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.fault(name, "is given more than once");
        }
        values.pop()
    }

    /// A parameter of a type.
    pub fn parsed<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: Display,
    {
        let text = self.text(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(e) => {
                self.fault(name, e.to_string());
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.text(name)?;
        let flag = value.parse().ok();
        if flag.is_none() {
            self.fault(name, "must be true or false");
        }
        flag
    }

    pub fn fault(&mut self, name: &str, detail: impl Into<String>) {
        self.faults.add(format!("?{name}"), detail);
    }

    /// `limit` and `cursor`.
    pub fn page(&mut self) -> PageRequest {
        let (default, max) = LIMIT;
        let limit = match self.text("limit").map(|t| t.parse::<usize>()) {
            None => default,
            Some(Ok(n)) if (1..=max).contains(&n) => n,
            Some(_) => {
                self.fault("limit", format!("must be a number from 1 to {max}"));
                default
            }
        };
        PageRequest { cursor: self.text("cursor"), limit }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault, unknown names included.
    pub fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.fault(&name, "is not a parameter of this operation");
        }
        self.faults.check().map_err(|faults| ApiError(Error::Invalid(faults)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(reader: QueryReader) -> Vec<String> {
        match reader.finish() {
            Err(ApiError(Error::Invalid(faults))) => faults.into_iter().map(|f| f.pointer).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn reads_and_faults() {
        let mut q = QueryReader::new("limit=5&type=a&type=b&cursor=x");
        let page = q.page();
        assert_eq!((page.limit, page.cursor.as_deref(), q.all("type").len()), (5, Some("x"), 2));
        assert!(pointers(q).is_empty());

        let mut q = QueryReader::new("limit=0&n=x&statsu=new&a=1&a=2");
        q.page();
        assert_eq!((q.parsed::<u8>("n"), q.text("a").as_deref()), (None, Some("2")));
        assert_eq!(pointers(q), ["?limit", "?n", "?a", "?statsu"]);

        let mut q = QueryReader::new("limit=&cursor=&n=+&q=&absent");
        q.page();
        assert_eq!((q.parsed::<u8>("n"), q.free_text("q").as_deref()), (None, Some("")));
        assert_eq!(pointers(q), ["?limit", "?cursor", "?n", "?absent"]);
    }
}
