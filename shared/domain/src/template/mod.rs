//! Templates that tenants write: minijinja, made safe to run for everybody who shares the process.
//!
//! The machine's fuel counts its steps, but one step can make a text of any size, and a few can double it a few dozen times. So only such
//! templates are taken whose work is bounded by what they begin with ([`shape`]); filters that make texts have a common [`Room`]; and what
//! is rendered is written to a page that ends.

mod filters;
mod shape;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

/// Steps that one text may take.
const FUEL: u64 = 50_000;
/// Bytes that all texts of one [`Templates`] may come to, with those made along the way.
const ROOM: usize = 2_000_000;

/// What is wrong with a template and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TemplateFault {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

impl From<Error> for TemplateFault {
    fn from(e: Error) -> Self {
        Self { line: e.line().unwrap_or(1), message: e.detail().map_or_else(|| e.kind().to_string(), str::to_owned) }
    }
}

/// The bytes that are left.
#[derive(Clone)]
struct Room(Arc<AtomicUsize>);

impl Room {
    fn take(&self, bytes: usize) -> Result<(), Error> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        left.map(drop).map_err(|_| Error::new(ErrorKind::InvalidOperation, "makes more text than there is room for"))
    }
}

/// What templates are read and rendered with: one for each piece of work, as its room is for all that it renders.
pub(crate) struct Templates {
    env: Environment<'static>,
    room: Room,
}

/// Text as it is rendered; it takes no more than it has room for.
struct Page {
    bytes: Vec<u8>,
    max: usize,
    room: Room,
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max || self.room.take(bytes.len()).is_err() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Templates {
    pub(crate) fn new(undefined: UndefinedBehavior, html: bool) -> Self {
        let room = Room(Arc::new(AtomicUsize::new(ROOM)));
        let mut env = Environment::new();
        env.set_undefined_behavior(undefined);
        env.set_auto_escape_callback(move |_| if html { AutoEscape::Html } else { AutoEscape::None });
        env.set_fuel(Some(FUEL));
        env.set_debug(false);
        filters::put(&mut env, &room);
        Self { env, room }
    }

    /// Renders a text of at most `max` bytes.
    pub(crate) fn render(&self, source: &str, context: &Value, max: usize) -> Result<String, TemplateFault> {
        // What was saved is looked at again: it may have been saved by an earlier version.
        shape::check(source)?;
        let mut page = Page { bytes: Vec::new(), max, room: self.room.clone() };
        let rendered = self.env.template_from_str(source)?.render_captured_to(context.clone(), &mut page).map(drop);
        match rendered {
            Ok(()) => String::from_utf8(page.bytes).map_err(|e| TemplateFault { line: 1, message: e.to_string() }),
            Err(e) if e.kind() == ErrorKind::WriteFailure => {
                Err(TemplateFault { line: e.line().unwrap_or(1), message: format!("comes to more than {max} bytes") })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// What an expression comes to.
    pub(crate) fn evaluate(&self, source: &str, context: &Value) -> Result<Value, TemplateFault> {
        shape::check_expression(source)?;
        Ok(self.env.compile_expression(source)?.eval(context.clone())?)
    }

    /// Whether a text is a template that can be rendered, whatever it is rendered with; and the names that it speaks of.
    pub(crate) fn check(&self, source: &str) -> Result<Vec<String>, TemplateFault> {
        shape::check(source)?;
        let mut names: Vec<String> = self.env.template_from_str(source)?.undeclared_variables(true).into_iter().collect();
        names.sort();
        Ok(names)
    }

    /// Whether a text is an expression that can be evaluated.
    pub(crate) fn check_expression(&self, source: &str) -> Result<(), TemplateFault> {
        shape::check_expression(source)?;
        self.env.compile_expression(source)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
