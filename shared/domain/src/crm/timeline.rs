//! A deal's timeline: everything that happened to it, in one form.

use serde_json::{Value, json};

use super::activity::{ActivityProfile, ActivityType};
use super::names::words;
use super::stage::Stage;
use crate::CommunicationId;
use crate::event::Event;

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

    pub fn queued_email(id: CommunicationId, subject: &str) -> Self {
        let data = json!({"communicationId": id, "change": "queued", "subject": subject});
        Self::new(EntryKind::Email, &format!("E-mail queued: {subject}"), data)
    }

    /// What an event tells of an e-mail; `None` for other events, and for what only a machine did.
    pub fn email(event: &Event) -> Option<Self> {
        let change = event.event_type.as_str().strip_prefix("communication.")?;
        let of = |name: &str| event.data.get(name).filter(|value| !value.is_null());
        if of("machine").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let data = json!({
            "communicationId": event.subject.id, "change": change, "url": of("url"), "reason": of("reason"), "class": of("class"),
        });
        Some(Self::new(EntryKind::Email, &format!("E-mail {change}"), without_nulls(data)))
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
    use crate::event::{EventType, Subject};
    use crate::{Actor, EntityId, Time};

    #[test]
    fn entries_say_what_happened() {
        let moved = Told::moved(Stage::Proposal, Stage::Lost, Some("price"), None);
        assert_eq!((moved.kind, moved.title.as_str()), (EntryKind::Stage, "Moved from proposal to lost"));
        assert_eq!(moved.data, json!({"from": "proposal", "to": "lost", "lostReason": "price"}));
        let event = |event_type: EventType, data: Value| {
            let (entity, now) = (EntityId::from_uuid(uuid::Uuid::nil()), Time::from_secs(1));
            Told::email(&Event::new(event_type, entity, now, Actor::system("test"), Subject::new("communication", "8"), data))
        };
        let opened = event(EventType::CommunicationOpened, json!({"machine": false}));
        let wanted = ("E-mail opened".to_owned(), json!({"communicationId": "8", "change": "opened"}));
        assert_eq!(opened.map(|told| (told.title, told.data)), Some(wanted));
        assert_eq!(event(EventType::CommunicationOpened, json!({"machine": true})), None);
        assert_eq!(event(EventType::LeadCreated, json!({})), None);
        let task = Told::task("7", "Call", "completed", None);
        assert_eq!((task.title.as_str(), &task.data), ("Task completed: Call", &json!({"taskId": "7", "change": "completed"})));
    }
}
