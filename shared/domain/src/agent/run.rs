//! Where runs, their people and their actions stand.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::ActionKind;
use crate::crm::names::words;
use crate::{ApprovalId, EntityId, RunContactId, RunId};

/// Name space of the ids that follow from others.
const NAMESPACE: Uuid = Uuid::from_u128(0x5d0e_31a7_94c2_4b1f_8e66_03fb_d912_7a40);

words! {
    /// Where a run, or one person's way through it, stands.
    RunStatus {
        Queued = "queued",
        Running = "running",
        Waiting = "waiting",
        PendingApproval = "pending_approval",
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

words! {
    /// Where one action stands.
    ActionStatus {
        Pending = "pending",
        PendingApproval = "pending_approval",
        Approved = "approved",
        Rejected = "rejected",
        Running = "running",
        Done = "done",
        Failed = "failed",
        Skipped = "skipped",
        Expired = "expired",
    }
}

words! {
    /// What was decided about an action that asked.
    ApprovalStatus {
        Pending = "pending",
        Approved = "approved",
        Rejected = "rejected",
        Expired = "expired",
        Cancelled = "cancelled",
    }
}

words! {
    /// Whom an agent works for: a person of the CRM, or a lead of campaigns.
    ContactKind {
        Contact = "contact",
        Lead = "lead",
    }
}

impl RunStatus {
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl ActionStatus {
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Rejected | Self::Done | Self::Failed | Self::Skipped | Self::Expired)
    }
}

/// The name of the number of actions that were done.
pub const ACTIONS: &str = "actions";

/// How many people of a run stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContactCounts {
    pub queued: u64,
    pub running: u64,
    pub waiting: u64,
    pub pending_approval: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    /// Actions that were done.
    pub actions: u64,
}

impl ContactCounts {
    /// From numbers by the names of [`RunStatus`].
    pub fn read(number: impl Fn(&str) -> i64) -> Self {
        let n = |status: RunStatus| u64::try_from(number(status.as_str())).unwrap_or(0);
        Self {
            queued: n(RunStatus::Queued),
            running: n(RunStatus::Running),
            waiting: n(RunStatus::Waiting),
            pending_approval: n(RunStatus::PendingApproval),
            completed: n(RunStatus::Completed),
            failed: n(RunStatus::Failed),
            cancelled: n(RunStatus::Cancelled),
            actions: u64::try_from(number(ACTIONS)).unwrap_or(0),
        }
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            running: self.running + other.running,
            waiting: self.waiting + other.waiting,
            pending_approval: self.pending_approval + other.pending_approval,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            cancelled: self.cancelled + other.cancelled,
            actions: self.actions + other.actions,
        }
    }

    pub const fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Where the whole of `total` people stands. Work comes before decisions, decisions before waits; a whole that ended is completed
    /// if anyone's was, else failed if anyone's did.
    pub const fn status(&self, total: u64, cancelled: bool) -> RunStatus {
        if cancelled {
            RunStatus::Cancelled
        } else if self.ended() >= total {
            match self {
                _ if self.completed > 0 || total == 0 => RunStatus::Completed,
                _ if self.failed > 0 => RunStatus::Failed,
                _ => RunStatus::Cancelled,
            }
        } else if self.running > 0 || (self.queued > 0 && self.queued < total) {
            RunStatus::Running
        } else if self.pending_approval > 0 {
            RunStatus::PendingApproval
        } else if self.waiting > 0 {
            RunStatus::Waiting
        } else if self.ended() > 0 {
            RunStatus::Running
        } else {
            RunStatus::Queued
        }
    }
}

/// The id of one person's way through a run: whoever makes it again makes the same.
pub fn contact_key(run: RunId, contact: Uuid) -> RunContactId {
    RunContactId::from_uuid(Uuid::new_v5(&NAMESPACE, format!("{run}/{contact}").as_bytes()))
}

/// The id of the question whether an action may be done.
pub fn approval_id(contact: RunContactId, index: usize) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::new_v5(&NAMESPACE, format!("{contact}/{index}/approval").as_bytes()))
}

/// What the effects of an action are known by, here and by others: the same however often it is tried.
pub fn step_key(contact: RunContactId, index: usize) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{contact}/{index}").as_bytes())
}

/// The id of the execution that a request under an idempotency key asks for: repeated, it asks for the same.
pub fn execution_id(entity: EntityId, request: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{entity}/{request}/execution").as_bytes())
}

/// What an approval is bound to: SHA-256 in hex of who, what and how, so that nothing but what was shown can be approved.
pub fn action_hash(run: RunId, contact: Uuid, index: usize, action: ActionKind, params: &Value) -> String {
    let shown = json!({"run_id": run, "contact_id": contact, "action_index": index, "action": action, "params": sorted(params)});
    Sha256::digest(shown.to_string()).iter().map(|b| format!("{b:02x}")).collect()
}

/// The same value with the fields of its objects in order, whatever order they came in.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            names.into_iter().map(|name| (name.clone(), sorted(&fields[name]))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn counts(text: &str) -> ContactCounts {
        let number = |name: &str| {
            text.split_whitespace().find_map(|part| part.strip_prefix(&format!("{name}="))).map_or(0, |n| n.parse().unwrap())
        };
        ContactCounts::read(number)
    }

    #[test]
    fn where_a_run_stands() {
        for (text, total, status) in [
            ("queued=3", 3, "queued"),
            ("queued=2 running=1", 3, "running"),
            ("queued=2 completed=1", 3, "running"),
            ("waiting=1 pending_approval=1 completed=1", 3, "pending_approval"),
            ("waiting=2 failed=1", 3, "waiting"),
            ("completed=1 failed=2", 3, "completed"),
            ("failed=3", 3, "failed"),
            ("failed=2 cancelled=1", 3, "failed"),
            ("cancelled=3", 3, "cancelled"),
            ("completed=1 cancelled=2", 3, "completed"),
            ("", 0, "completed"),
        ] {
            assert_eq!(counts(text).status(total, false).as_str(), status, "{text}");
            assert_eq!(counts(text).status(total, true), RunStatus::Cancelled, "{text}");
        }
    }

    #[test]
    fn a_hash_is_of_everything_that_was_shown() {
        let (run, person) = (RunId::from_uuid(Uuid::from_u128(1)), Uuid::from_u128(2));
        let params = json!({"subject": "a", "body": "b"});
        let hash = action_hash(run, person, 0, ActionKind::SendMessage, &params);
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, action_hash(run, person, 0, ActionKind::SendMessage, &json!({"body": "b", "subject": "a"})));
        for other in [
            action_hash(RunId::from_uuid(person), person, 0, ActionKind::SendMessage, &params),
            action_hash(run, Uuid::from_u128(3), 0, ActionKind::SendMessage, &params),
            action_hash(run, person, 1, ActionKind::SendMessage, &params),
            action_hash(run, person, 0, ActionKind::Http, &params),
            action_hash(run, person, 0, ActionKind::SendMessage, &json!({"subject": "a", "body": "c"})),
        ] {
            assert_ne!(hash, other);
        }
    }
}
