//! CloudWatch metrics by the embedded metric format: an invocation logs one line of JSON that names metrics beside its other
//! properties, and CloudWatch makes metrics of it. No call, no agent, no time spent in the request.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

mod counts;
mod line;
pub mod metric;

pub use counts::Counts;
pub use line::Line;
pub use metric::Metric;

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Axle";

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The CloudFormation stack: several may share an account.
    pub stack: String,
    /// The function, by its crate's name.
    pub function: String,
}

static ABOUT: OnceLock<About> = OnceLock::new();

impl About {
    /// The function that Lambda says we are; its stack's name goes before its own.
    pub fn of(lambda_name: &str, stack: &str) -> Self {
        let own = lambda_name.strip_prefix(stack).and_then(|rest| rest.strip_prefix('-'));
        Self { stack: stack.to_owned(), function: own.unwrap_or(lambda_name).to_owned() }
    }
}

/// Lets lines be written from now on. Before that, and so in tests, they go nowhere.
pub fn init(about: About) {
    let _ = ABOUT.set(about);
}

/// Writes a line to the standard output, which is the function's log.
pub fn write(line: &Line<'_>) {
    let Some(about) = ABOUT.get() else { return };
    let text = line.json(about, now_ms());
    // Nobody could be told of a log that cannot be written.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
