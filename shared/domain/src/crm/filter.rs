//! What every CRM listing can be narrowed by, and how its pages are counted.

use crate::UserId;

/// Whose records are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerFilter {
    Unassigned,
    User(UserId),
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
    use super::PageNumber;

    #[test]
    fn pages_follow_one_another() {
        let page = |page| PageNumber { page, size: 3 }.cut((1..=7).collect());
        assert_eq!((page(1), page(2), page(3), page(4)), (vec![1, 2, 3], vec![4, 5, 6], vec![7], vec![]));
    }
}
