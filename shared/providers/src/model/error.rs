//! Why there is no answer. The texts may be shown to the tenant: no key, prompt or address of ours is in them.

use std::time::Duration;

use axle_domain::model::Usage;
use axle_domain::{Fault, Micros};

/// A call without an answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ModelError {
    pub kind: ModelErrorKind,
    /// What the provider has counted before it failed.
    pub usage: Usage,
    /// Of that usage: to be settled like that of a success.
    pub cost: Micros,
    /// Calls that were made.
    pub attempts: u32,
}

/// Why a call brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelErrorKind {
    /// The provider wants fewer calls, for longer than there was time to wait. Worth another try.
    #[error("{provider} takes no more requests at the moment")]
    Throttled {
        provider: &'static str,
        /// How long the provider asked to wait.
        retry_after: Option<Duration>,
    },
    /// No answer in time. It may have been computed, and charged by the provider, without our knowing. Worth another try.
    #[error("{provider} did not answer in time")]
    Timeout { provider: &'static str },
    /// The model or its provider declines the content. The same request will be declined again.
    #[error("the model declined to answer")]
    Refused,
    /// The answer does not fit its schema, also after the repairs.
    #[error("the model's answer does not have the form that was asked for: {}", list(faults))]
    BadOutput { faults: Vec<Fault> },
    /// There is no access to the provider, or it does not take the request as it is: wrong key, unknown model, address not
    /// allowed. Somebody has to change something.
    #[error("{provider}: {reason}")]
    Unconfigured { provider: &'static str, reason: String },
    /// The provider is down, or talks nonsense. Worth another try.
    #[error("{provider} is not available: {reason}")]
    Unavailable { provider: &'static str, reason: String },
}

impl ModelErrorKind {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Timeout { .. } | Self::Unavailable { .. })
    }

    /// Stable name, for spans and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Timeout { .. } => "timeout",
            Self::Refused => "refused",
            Self::BadOutput { .. } => "bad_output",
            Self::Unconfigured { .. } => "unconfigured",
            Self::Unavailable { .. } => "unavailable",
        }
    }

    /// As the error of a call that cost nothing.
    pub fn free(self) -> ModelError {
        ModelError { kind: self, usage: Usage::default(), cost: Micros::ZERO, attempts: 1 }
    }
}

fn list(faults: &[Fault]) -> String {
    let one = |fault: &Fault| match fault.pointer.as_str() {
        "" => fault.detail.clone(),
        at => format!("{at} {}", fault.detail),
    };
    faults.iter().take(5).map(one).collect::<Vec<_>>().join("; ")
}
