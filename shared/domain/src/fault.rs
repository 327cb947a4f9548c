//! What is wrong with an input: every fault at once, each with the place it stands at.

use serde::Serialize;
use utoipa::ToSchema;

/// One fault of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// RFC 6901 JSON pointer into the body (`/messaging/sequence/0/subject`), or `?name` for a query parameter.
    #[schema(example = "/email")]
    pub pointer: String,
    /// What is wrong and what would be right.
    #[schema(example = "is not a valid e-mail address")]
    pub detail: String,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// Collects faults while an input is read, so that a caller learns of all of them in one answer.
#[derive(Debug, Default)]
pub struct Faults {
    base: String,
    found: Vec<Fault>,
}

impl Faults {
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a fault at `pointer`, relative to the current base.
    pub fn add(&mut self, pointer: impl AsRef<str>, detail: impl Into<String>) {
        let pointer = format!("{}{}", self.base, pointer.as_ref());
        if !self.found.iter().any(|f| f.pointer == pointer) {
            self.found.push(Fault::new(pointer, detail));
        }
    }

    /// Runs `check` with every pointer prefixed by `base` (`/messaging`).
    pub fn at(&mut self, base: impl AsRef<str>, check: impl FnOnce(&mut Self)) {
        let keep = self.base.len();
        self.base.push_str(base.as_ref());
        check(self);
        self.base.truncate(keep);
    }

    /// Takes the value of a parse, or notes its error at `pointer`.
    pub fn take<T, E: std::fmt::Display>(&mut self, pointer: &str, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(e) => {
                self.add(pointer, e.to_string());
                None
            }
        }
    }

    /// A text of `min` to `max` characters that is not only white space (when `min` is not 0).
    pub fn text(&mut self, pointer: &str, value: &str, min: usize, max: usize) {
        let len = value.chars().count();
        if min > 0 && value.trim().is_empty() {
            self.add(pointer, "must not be empty");
        } else if len < min || len > max {
            self.add(pointer, format!("must have {min} to {max} characters, not {len}"));
        }
    }

    /// A short text without the white space around it; `None` if nothing is left.
    pub fn short(&mut self, pointer: &str, value: Option<String>, max: usize) -> Option<String> {
        let value = value?.trim().to_owned();
        self.text(pointer, &value, 0, max);
        (!value.is_empty()).then_some(value)
    }

    /// At most `max` entries.
    pub fn count(&mut self, pointer: &str, len: usize, max: usize) {
        if len > max {
            self.add(pointer, format!("must have at most {max} entries, not {len}"));
        }
    }

    pub fn extend(&mut self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.add(&fault.pointer, fault.detail);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.found.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn into_vec(self) -> Vec<Fault> {
        self.found
    }

    /// `Ok` when nothing was found.
    pub fn check(self) -> Result<(), Vec<Fault>> {
        if self.found.is_empty() { Ok(()) } else { Err(self.found) }
    }
}

/// An input that can say more of itself than its schema does.
pub trait Input {
    /// Notes what makes it unusable although it fits its schema.
    fn note_faults(&self, _faults: &mut Faults) {}
}
