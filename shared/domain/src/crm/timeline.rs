//! A deal's timeline: everything that happened to it, in one form.

use serde_json::{Value, json};

use super::activity::{ActivityProfile, ActivityType};
use super::names::words;
use super::stage::Stage;

words! {
    EntryKind {
        Activity = "activity",
        /// A move to another stage.
        Stage = "stage",
        /// An e-mail that was sent, opened or replied to.
        Email = "email",
        Task = "task",
        /// Something that an agent did.
        Agent = "agent",
    }
}

/// The longest title of an entry, in characters.
const TITLE_MAX: usize = 500;

/// What is said of something in a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub kind: EntryKind,
    pub title: String,
    pub data: Value,
}

impl Told {
    fn new(kind: EntryKind, title: &str, data: Value) -> Self {
        Self { kind, title: title.chars().take(TITLE_MAX).collect(), data }
    }

    pub fn moved(from: Stage, to: Stage, lost_reason: Option<&str>, note: Option<&str>) -> Self {
        let data = json!({"from": from, "to": to, "lostReason": lost_reason, "note": note});
        Self::new(EntryKind::Stage, &format!("Moved from {from} to {to}"), without_nulls(data))
    }

    pub fn activity(id: impl ToString, kind: ActivityType, activity: &ActivityProfile) -> Self {
        let data = json!({
            "activityId": id.to_string(), "type": kind, "outcome": activity.outcome,
            "durationMinutes": activity.duration_minutes, "dueAt": activity.due_at,
        });
        Self::new(EntryKind::Activity, &activity.subject, without_nulls(data))
    }

    /// `change` is what became of the task: `created`, `completed`, `cancelled`.
    pub fn task(id: impl ToString, title: &str, change: &str, due: Option<crate::Due>) -> Self {
        let data = json!({"taskId": id.to_string(), "change": change, "dueDate": due});
        Self::new(EntryKind::Task, &format!("Task {change}: {title}"), without_nulls(data))
    }
}

fn without_nulls(mut data: Value) -> Value {
    if let Value::Object(map) = &mut data {
        map.retain(|_, v| !v.is_null());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_say_what_happened() {
        let moved = Told::moved(Stage::Proposal, Stage::Lost, Some("price"), None);
        assert_eq!((moved.kind, moved.title.as_str()), (EntryKind::Stage, "Moved from proposal to lost"));
        assert_eq!(moved.data, json!({"from": "proposal", "to": "lost", "lostReason": "price"}));
        let task = Told::task("7", "Call", "completed", None);
        assert_eq!((task.title.as_str(), &task.data), ("Task completed: Call", &json!({"taskId": "7", "change": "completed"})));
    }
}
