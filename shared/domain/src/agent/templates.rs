//! Playbooks to begin with. An agent is given its template's steps when it is called, as the release that runs it has them.

use serde_json::json;

use super::Playbook;
use crate::crm::names::words;

words! {
    /// A playbook that comes with Axle.
    TemplateName {
        /// First message to somebody who does not know us.
        ColdOutreach = "cold_outreach",
        /// A second message to who did not answer the first.
        FollowUpNoReply = "follow_up_no_reply",
        /// Sorts who came to us of themselves.
        InboundQualifier = "inbound_qualifier",
        /// Proposes a meeting to who is interested.
        MeetingScheduler = "meeting_scheduler",
        /// Wakes contacts that went to sleep.
        Reactivation = "reactivation",
        /// Finds what is missing or wrong in records.
        DataHygiene = "data_hygiene",
    }
}

/// The condition under which somebody may still be written to.
const OPEN: &str = "lead.status not in ['replied', 'meeting', 'converted', 'unsubscribed', 'bounced']";

/// The playbook of a template.
pub fn template(name: TemplateName) -> Playbook {
    let playbook = match name {
        TemplateName::ColdOutreach => json!({
            "targeting": {"source": "leads", "status": "new", "limit": 200},
            "steps": [
                {"id": "enrich", "action": "enrich", "on_error": "skip"},
                {"id": "score", "action": "score", "on_error": "skip"},
                {"id": "draft", "action": "draft_message", "when": "lead.tier != 'disqualified'", "on_error": "retry", "params": {
                    "channel": "email", "tone": "friendly",
                    "instructions": "Introduce us in three short sentences that fit the company, and ask for ten minutes next week."}},
                {"id": "send", "action": "send_message", "when": "steps.draft.body", "requires_approval": true, "params": {"channel": "email", "from_step": "draft"}},
                {"id": "follow_up", "action": "create_follow_up", "when": "steps.send.communication_id", "on_error": "skip", "params": {
                    "subject": "No answer yet from {{ contact.name }}?", "due_in_hours": 96}},
            ],
        }),
        TemplateName::FollowUpNoReply => json!({
            "trigger": "communication.sent",
            "targeting": {"source": "leads", "status": "contacted", "limit": 200},
            "steps": [
                {"id": "wait", "action": "wait", "params": {"hours": 72}},
                {"id": "draft", "action": "draft_message", "when": OPEN, "on_error": "retry", "params": {
                    "channel": "email", "instructions": "Follow up on our last message in two sentences, and offer a different benefit."}},
                {"id": "send", "action": "send_message", "when": "steps.draft.body", "requires_approval": true, "params": {"channel": "email", "from_step": "draft"}},
            ],
        }),
        TemplateName::InboundQualifier => json!({
            "trigger": "lead.created",
            "targeting": {"source": "leads", "status": "new", "limit": 200},
            "steps": [
                {"id": "enrich", "action": "enrich", "on_error": "skip"},
                {"id": "score", "action": "score", "on_error": "skip"},
                {"id": "qualify", "action": "research", "on_error": "retry", "params": {"questions": [
                    "Does the company fit what we sell?", "What does the person want from us?"]}},
                {"id": "call", "action": "create_task", "when": "lead.tier in ['hot', 'warm'] or not lead.tier", "params": {
                    "title": "Call {{ contact.name }}, who came to us", "due_in_hours": 4, "priority": "high"}},
                {"id": "tell", "action": "notify", "params": {"message": "{{ contact.name }} came to us and was looked at."}},
            ],
        }),
        TemplateName::MeetingScheduler => json!({
            "trigger": "communication.replied",
            "targeting": {"source": "leads", "status": "replied", "limit": 200},
            "steps": [
                {"id": "draft", "action": "draft_message", "on_error": "retry", "params": {
                    "channel": "email", "instructions": "Thank for the answer and propose two times for a call of twenty minutes next week."}},
                {"id": "send", "action": "send_message", "requires_approval": true, "params": {"channel": "email", "from_step": "draft"}},
                {"id": "follow_up", "action": "create_follow_up", "params": {"subject": "Has {{ contact.name }} picked a time?", "due_in_hours": 48}},
            ],
        }),
        TemplateName::Reactivation => json!({
            "targeting": {"source": "contacts", "limit": 200},
            "steps": [
                {"id": "research", "action": "research", "on_error": "skip", "params": {"questions": ["What has changed at the company lately?"]}},
                {"id": "draft", "action": "draft_message", "on_error": "retry", "params": {
                    "channel": "email", "instructions": "Say that we have not spoken for a while, name one new thing on our side, and ask whether it is of interest."}},
                {"id": "send", "action": "send_message", "requires_approval": true, "params": {"channel": "email", "from_step": "draft"}},
                {"id": "follow_up", "action": "create_follow_up", "when": "steps.send.communication_id", "params": {
                    "subject": "No answer yet from {{ contact.name }}?", "due_in_hours": 120}},
            ],
        }),
        TemplateName::DataHygiene => json!({
            "targeting": {"source": "leads", "limit": 1000},
            "steps": [
                {"id": "enrich", "action": "enrich", "on_error": "skip"},
                {"id": "complete", "action": "create_task", "when": "not contact.email or not contact.company", "params": {
                    "title": "Complete the record of {{ contact.name }}", "priority": "low"}},
            ],
        }),
    };
    // What is written above is a playbook: the tests read each of them.
    serde_json::from_value(playbook).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Faults;

    #[test]
    fn every_template_is_a_playbook_that_could_be_saved() {
        for name in TemplateName::ALL {
            let playbook = template(*name);
            let mut faults = Faults::new();
            playbook.note_faults(&mut faults);
            assert_eq!(faults.into_vec(), [], "{name}");
            assert!(playbook.targeting.is_some() && playbook.steps.len() > 1, "{name}");
        }
    }
}
