//! What every CRM listing can be narrowed by, and how its pages are counted.

use crate::UserId;

/// Whose records are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerFilter {
    Unassigned,
    User(UserId),
}

impl OwnerFilter {
    /// A user's id, `me` for the person behind the call, or `unassigned`. `name` is what the text is called in the reason.
    ///
    /// # Errors
    /// Why it is none of them, or that nobody is behind the call.
    pub fn read(name: &str, text: &str, me: Option<UserId>) -> Result<Self, String> {
        match (text, me) {
            ("unassigned", _) => Ok(Self::Unassigned),
            ("me", Some(me)) => Ok(Self::User(me)),
            ("me", None) => Err(format!("{name}=me needs a person behind the credential; this API key was made by none")),
            (id, _) => id.parse().map(Self::User).map_err(|_| format!("{name} must be a UUID, `me` or `unassigned`")),
        }
    }
}

/// One page of a numbered listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageNumber {
    /// From 1.
    pub page: usize,
    /// Entries a page.
    pub size: usize,
}

impl PageNumber {
    pub const DEFAULT_SIZE: usize = 25;
    pub const MAX_SIZE: usize = 100;
    pub const MAX_PAGE: usize = 1_000_000;

    /// Entries before the page.
    pub const fn skip(self) -> usize {
        (self.page.saturating_sub(1)) * self.size
    }

    /// The page's part of a list that is all there.
    pub fn cut<T>(self, all: Vec<T>) -> Vec<T> {
        all.into_iter().skip(self.skip()).take(self.size).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn owners() {
        let me: UserId = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77".parse().unwrap();
        let read = |text: &str, me| OwnerFilter::read("owner", text, me);
        assert_eq!(read("unassigned", None), Ok(OwnerFilter::Unassigned));
        assert_eq!(read("me", Some(me)), Ok(OwnerFilter::User(me)));
        assert_eq!(read(&me.to_string(), None), Ok(OwnerFilter::User(me)));
        assert!(read("me", None).unwrap_err().contains("needs a person"));
        assert!(read("you", Some(me)).unwrap_err().contains("must be a UUID"));
    }

    #[test]
    fn pages_follow_one_another() {
        let page = |page| PageNumber { page, size: 3 }.cut((1..=7).collect());
        assert_eq!((page(1), page(2), page(3), page(4)), (vec![1, 2, 3], vec![4, 5, 6], vec![7], vec![]));
    }
}
