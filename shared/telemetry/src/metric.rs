//! Every metric that Axle writes.
//!
//! Each name is billed once for every combination of its dimensions' values that is written within an hour (0.30 USD a month).
//! So nothing is told apart by tenant, route or endpoint: those are plain properties of the line, to be found by a query of the
//! logs; and what is zero is not written, but where an average is to be the share of all.

/// A unit of CloudWatch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Milliseconds,
}

impl Unit {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// What the values of a metric are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Nothing but the deployment.
    Stack,
    /// The function, by the name of its crate.
    Function,
    /// The SQS queue.
    Queue,
    /// What requests are limited as.
    RateClass,
}

impl By {
    pub(crate) const ALL: [Self; 4] = [Self::Stack, Self::Function, Self::Queue, Self::RateClass];

    /// The names of its dimensions.
    pub const fn dimensions(self) -> &'static [&'static str] {
        match self {
            Self::Stack => &["Stack"],
            Self::Function => &["Stack", "Function"],
            Self::Queue => &["Stack", "QueueName"],
            Self::RateClass => &["Stack", "RateClass"],
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub unit: Unit,
    pub by: By,
}

impl Metric {
    const fn count(name: &'static str, by: By) -> Self {
        Self { name, unit: Unit::Count, by }
    }

    const fn millis(name: &'static str, by: By) -> Self {
        Self { name, unit: Unit::Milliseconds, by }
    }
}

/// HTTP requests that were answered.
pub const REQUESTS: Metric = Metric::count("Requests", By::Function);
/// Those answered with a 5xx.
pub const ERRORS: Metric = Metric::count("Errors", By::Function);
/// Those answered with a 4xx other than 429.
pub const CLIENT_ERRORS: Metric = Metric::count("ClientErrors", By::Function);
/// Time from the gate in to the gate out.
pub const DURATION: Metric = Metric::millis("Duration", By::Function);
/// Requests answered with 429.
pub const THROTTLES: Metric = Metric::count("Throttles", By::RateClass);

/// How long ago a message was sent when a worker took it up: a value a message. Delays that were asked for count in, and so do the
/// waits of a message that failed before.
pub const QUEUE_AGE: Metric = Metric::millis("QueueAge", By::Queue);
/// Messages that were given back.
pub const MESSAGES_FAILED: Metric = Metric::count("MessagesFailed", By::Queue);
/// How long ago a record was written to the table when event-relay took it up: a value a record.
pub const STREAM_AGE: Metric = Metric::millis("StreamAge", By::Stack);

/// Deliveries that arrived.
pub const WEBHOOK_DELIVERED: Metric = Metric::count("WebhookDelivered", By::Stack);
/// A value an attempt: 1 if it failed, 0 if not. Its average is the share that failed.
pub const WEBHOOK_FAILED: Metric = Metric::count("WebhookFailed", By::Stack);
/// Deliveries that were given up.
pub const WEBHOOK_DEAD: Metric = Metric::count("WebhookDead", By::Stack);

/// A value a message that came to its end: 1 if it failed, 0 if it was sent. Its average is the share that failed.
pub const MESSAGE_FAILED: Metric = Metric::count("MessageFailed", By::Stack);
/// How long a message had been due when it was sent: a value a message.
pub const MESSAGE_LATENCY: Metric = Metric::millis("MessageLatency", By::Stack);
/// Messages that came back for good.
pub const MESSAGES_BOUNCED: Metric = Metric::count("MessagesBounced", By::Stack);
/// Messages that were reported as spam.
pub const MESSAGES_COMPLAINED: Metric = Metric::count("MessagesComplained", By::Stack);

/// Rows of imports, by what became of them.
pub const ROWS_CREATED: Metric = Metric::count("RowsCreated", By::Stack);
pub const ROWS_UPDATED: Metric = Metric::count("RowsUpdated", By::Stack);
pub const ROWS_SKIPPED: Metric = Metric::count("RowsSkipped", By::Stack);
pub const ROWS_FAILED: Metric = Metric::count("RowsFailed", By::Stack);
