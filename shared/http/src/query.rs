//! Query parameters, read by name with every fault noted: an unknown or repeated name is a fault, so that a misspelt filter
//! does not silently answer everything.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use axle_app::agents::Slice;
use axle_app::{Ctx, Error, PageRequest};
use axle_domain::Faults;
use axle_domain::crm::{OwnerFilter, PageNumber};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::ApiError;
use crate::rules::NO_PARAMETER;

/// The query of a request being read.
#[derive(Debug)]
pub struct QueryReader {
    pairs: Vec<(String, String)>,
    faults: Faults,
    /// The first parameter that cannot be read at all.
    malformed: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for QueryReader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::new(parts.uri.query().unwrap_or_default()))
    }
}

/// Default and largest page of the Outreach surface.
const LIMIT: (usize, usize) = (20, 100);
/// The largest `offset`.
const MAX_OFFSET: usize = 1_000_000;
/// Characters of a search.
const Q_MAX: usize = 200;

impl QueryReader {
    pub fn new(query: &str) -> Self {
        Self { pairs: serde_urlencoded::from_str(query).unwrap_or_default(), faults: Faults::new(), malformed: None }
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

    /// A parameter that must be there.
    pub fn required<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: Display,
    {
        if !self.pairs.iter().any(|(given, value)| given == name && !value.is_empty()) {
            self.fault(name, "is required");
        }
        self.parsed(name)
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

    /// An id, where a malformed one is 400: on the CRM surface.
    pub fn id<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        let id = text.parse().ok();
        if id.is_none() {
            self.malformed.get_or_insert_with(|| format!("{name} must be a UUID"));
        }
        id
    }

    /// `q`: text to be found anywhere, folded; 200 characters at most.
    pub fn search(&mut self) -> Option<String> {
        let text = self.free_text("q")?;
        if text.chars().count() > Q_MAX {
            self.fault("q", format!("must have at most {Q_MAX} characters"));
        }
        Some(axle_domain::text::fold(&text)).filter(|q| !q.is_empty())
    }

    /// `ownerUserId`: a user's id, `me` for the person behind the call, or `unassigned`.
    pub fn owner(&mut self, ctx: &Ctx) -> Option<OwnerFilter> {
        let text = self.text("ownerUserId")?;
        match OwnerFilter::read("ownerUserId", &text, ctx.user_id) {
            Ok(owner) => Some(owner),
            Err(why) => {
                self.malformed.get_or_insert(why);
                None
            }
        }
    }

    /// `page`, `pageSize` and the older `limit`, which caps the page's size when `page` is left out.
    pub fn page_number(&mut self) -> PageNumber {
        let page = self.number("page", 1, PageNumber::MAX_PAGE);
        let size = self.number("pageSize", 1, PageNumber::MAX_SIZE);
        let limit = self.number("limit", 1, PageNumber::MAX_SIZE);
        let cap = limit.filter(|_| page.is_none());
        let size = match (size, cap) {
            (Some(size), Some(cap)) => size.min(cap),
            (size, cap) => size.or(cap).unwrap_or(PageNumber::DEFAULT_SIZE),
        };
        PageNumber { page: page.unwrap_or(1), size }
    }

    /// `limit` and `offset`.
    pub fn slice(&mut self) -> Slice {
        let limit = self.number("limit", 1, LIMIT.1).unwrap_or(LIMIT.0);
        let offset = self.number("offset", 0, MAX_OFFSET).unwrap_or(0);
        Slice { offset, limit }
    }

    fn number(&mut self, name: &str, min: usize, max: usize) -> Option<usize> {
        match self.text(name)?.parse::<usize>() {
            Ok(n) if (min..=max).contains(&n) => Some(n),
            _ => {
                self.fault(name, format!("must be a number from {min} to {max}"));
                None
            }
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an id that is none on the CRM surface; [`Error::Invalid`] with every fault, unknown names included.
    pub fn finish(mut self) -> Result<(), ApiError> {
        if let Some(what) = self.malformed.take() {
            return Err(ApiError(Error::Malformed(what)));
        }
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.fault(&name, NO_PARAMETER);
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

    #[test]
    fn pages_by_number() {
        for (query, page, size) in [
            ("", 1, 25),
            ("page=3", 3, 25),
            ("page=2&pageSize=100", 2, 100),
            ("limit=50", 1, 50),
            ("limit=5&pageSize=10", 1, 5),
            ("page=2&limit=5", 2, 25),
        ] {
            let mut q = QueryReader::new(query);
            assert_eq!(q.page_number(), PageNumber { page, size }, "{query}");
            assert!(pointers(q).is_empty(), "{query}");
        }
        let mut q = QueryReader::new("page=0&pageSize=101&limit=x");
        q.page_number();
        assert_eq!(pointers(q), ["?page", "?pageSize", "?limit"]);
    }

    #[test]
    fn malformed_ids_are_more_than_a_fault() {
        let mut q = QueryReader::new("companyId=7&x=1");
        assert_eq!(q.id::<axle_domain::CompanyId>("companyId"), None);
        assert!(matches!(q.finish(), Err(ApiError(Error::Malformed(_)))));
    }
}
