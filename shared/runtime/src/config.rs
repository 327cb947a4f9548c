//! Settings from the environment. A function is given only the variables that it uses, so each is asked for when it is needed.

use std::collections::HashMap;
use std::str::FromStr;

/// A variable that the function needs and the template does not give.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {0} is missing or unreadable")]
pub struct MissingVariable(pub &'static str);

/// The environment as it was at start.
#[derive(Clone, Debug)]
pub struct Env(HashMap<String, String>);

impl Env {
    pub fn read() -> Self {
        Self(std::env::vars().filter(|(name, _)| name.starts_with("AXLE_")).collect())
    }

    /// # Errors
    /// [`MissingVariable`]
    pub fn text(&self, name: &'static str) -> Result<String, MissingVariable> {
        self.0.get(name).filter(|v| !v.is_empty()).cloned().ok_or(MissingVariable(name))
    }

    /// A variable that may be absent; empty when it is. Using what it names fails then, and only then.
    pub fn optional(&self, name: &'static str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// # Errors
    /// [`MissingVariable`] if it is there but not readable.
    pub fn parsed_or<T: FromStr>(&self, name: &'static str, default: T) -> Result<T, MissingVariable> {
        match self.0.get(name).filter(|v| !v.is_empty()) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| MissingVariable(name)),
        }
    }
}
