//! The way of a lead through the sequence: waits, windows, threads, variants, approval, and what ends it.

use axle_app::agents::{self, ApproveInput, RejectInput, Slice};
use axle_app::outreach::campaigns::Command;
use axle_app::{Answer, Error, communications};
use axle_domain::agent::ApprovalStatus;
use axle_domain::campaign::CampaignStatus::{Cancelled, Completed, Paused};
use axle_domain::campaign::run::RunState::{self, AwaitingApproval, Failed, Stopped, Waiting};
use axle_domain::campaign::run::{StopCause, run_id};
use axle_domain::communication::CommunicationStatus;
use axle_domain::event::{EventType, Subject};
use axle_providers::mail::{Blame, SendError};
use serde_json::json;

use crate::stage::{ONE_STEP, Stage, spec};

const TWO: &str = r#"[{"step": 1, "channel": "email", "subject": "First", "body": "one"},
    {"step": 2, "channel": "email", "delay_hours": 48, "body": "two"}]"#;

#[tokio::test]
async fn steps_follow_each_other_in_one_thread_and_one_trace() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(TWO, json!({})), json!({})).await;
    s.settle().await;
    let member = s.member(id, lead).await;
    assert_eq!((member.state, member.step, s.recipients().len()), (Waiting, Some(2), 1));
    assert_eq!(member.next_at, Some(s.app().now().plus_secs(48 * 3_600)));
    s.later(47 * 3_600).await;
    assert_eq!(s.recipients().len(), 1);
    s.later(3_700).await;
    let member = s.member(id, lead).await;
    assert_eq!((member.state, s.status(id).await, s.recipients().len()), (RunState::Completed, Completed, 2));
    let [first, second] = &s.messages(id, lead).await[..] else { panic!("two messages") };
    assert_eq!(second.subject.as_deref(), Some("Re: First"));
    let sent = s.world.sent.emails();
    assert_eq!(sent[1].in_reply_to.as_ref().map(|id| id.as_str()), first.message_id.as_deref());
    assert_eq!((Some(first.trace_id), Some(second.trace_id)), (member.trace_id, member.trace_id));
    let events = s.told_of(EventType::CommunicationSent);
    assert!(events.iter().all(|event| event.trace_id == member.trace_id && event.campaign_id == Some(id)));
    let notes: Vec<&str> = member.notes.iter().map(|note| note.what.as_str()).collect();
    let expected =
        ["lead.enrich", "lead.score", "message.queue", "message.send", "message.wait", "message.queue", "message.send"];
    assert_eq!(notes, expected);
    // Everything once more changes nothing.
    s.later(86_400).await;
    assert_eq!(s.recipients().len(), 2);
}

#[tokio::test]
async fn messages_go_out_inside_the_window_only() {
    let s = Stage::new().await;
    let lead = s.lead(json!({"email": "a@example.com", "timezone": "Asia/Tokyo"})).await;
    let window = json!({"timezone": "contact", "days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "10:00"});
    let id = s.launched(spec(ONE_STEP, json!({"sending_window": window})), json!({})).await;
    s.settle().await;
    let member = s.member(id, lead).await;
    // Nine in the morning in Tokyo is midnight in UTC.
    let next = member.next_at.unwrap();
    assert_eq!((member.state, next.secs() % 86_400), (Waiting, 0));
    s.later(next.since(s.app().now()) / 1_000 + 60).await;
    assert_eq!(s.recipients(), ["a@example.com"]);
}

#[tokio::test]
async fn what_ends_a_sequence() {
    for (kind, data, expected) in [
        (EventType::CommunicationReplied, json!({}), Some("reply")),
        (EventType::CommunicationReplied, json!({"class": "out_of_office"}), None),
        (EventType::CommunicationBounced, json!({"kind": "hard"}), Some("bounce")),
        (EventType::CommunicationBounced, json!({"kind": "soft"}), None),
        (EventType::CommunicationComplained, json!({}), Some("unsubscribe")),
        (EventType::CommunicationOpened, json!({"machine": false}), None),
    ] {
        let s = Stage::new().await;
        let lead = s.crowd(1).await[0];
        let id = s.launched(spec(TWO, json!({})), json!({})).await;
        s.settle().await;
        let message = s.messages(id, lead).await.pop().unwrap().id;
        s.happens(kind, Subject::new("communication", message), Some(id), lead, data.clone()).await;
        s.settle().await;
        let member = s.member(id, lead).await;
        assert_eq!((member.state == Stopped, member.reason.as_deref()), (expected.is_some(), expected), "{kind} {data}");
        assert_eq!(s.status(id).await == Completed, expected.is_some(), "{kind} {data}");
        s.later(49 * 3_600).await;
        assert_eq!(s.recipients().len(), if expected.is_some() { 1 } else { 2 }, "{kind} {data}");
    }
}

#[tokio::test]
async fn a_meeting_without_a_campaign_ends_what_is_being_sent_to_the_lead() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(TWO, json!({})), json!({})).await;
    s.settle().await;
    s.happens(EventType::MeetingBooked, Subject::new("meeting", "m"), None, lead, json!({"starts_at": s.app().now()})).await;
    s.settle().await;
    assert_eq!(s.member(id, lead).await.reason.as_deref(), Some("meeting"));
    assert_eq!(s.overview(id).await.metrics.meetings_booked, 0, "it is not this campaign's");
}

#[tokio::test]
async fn a_campaign_that_does_not_stop_on_replies_goes_on() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(TWO, json!({"stop_on": ["bounce"]})), json!({})).await;
    s.settle().await;
    s.replies(id, lead, json!({})).await;
    s.later(49 * 3_600).await;
    assert_eq!((s.recipients().len(), s.overview(id).await.metrics.replies), (2, 1));
}

#[tokio::test]
async fn the_way_out_is_shown_in_the_campaigns_language() {
    let s = Stage::new().await;
    s.crowd(1).await;
    s.launched(spec(ONE_STEP, json!({"language": "de-AT"})), json!({})).await;
    s.settle().await;
    let mail = s.world.sent.emails().remove(0);
    assert!(mail.text.is_some_and(|text| text.contains("Abmelden")) && mail.html.is_some_and(|html| html.contains("Abmelden")));
}

#[tokio::test]
async fn whoever_wants_no_more_gets_no_more() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(TWO, json!({"stop_on": []})), json!({})).await;
    s.settle().await;
    s.suppress("p0@example.com").await;
    s.later(49 * 3_600).await;
    let member = s.member(id, lead).await;
    assert_eq!((member.state, member.reason.as_deref(), s.recipients().len()), (Stopped, Some("suppressed"), 1));
}

#[tokio::test]
async fn a_message_that_cannot_be_written_or_sent_fails_its_lead_alone() {
    let s = Stage::new().await;
    let named = s.lead(json!({"email": "ada@example.com", "first_name": "Ada"})).await;
    let nameless = s.lead(json!({"email": "x@example.com"})).await;
    let id = s
        .launched(
            spec(r#"[{"step": 1, "channel": "email", "subject": "s", "body": "Hi {{ lead.first_name }}"}]"#, json!({})),
            json!({}),
        )
        .await;
    s.world.sent.fail_next(SendError::permanent(Blame::Message, "too rude"));
    s.settle().await;
    let (named, nameless) = (s.member(id, named).await, s.member(id, nameless).await);
    assert_eq!((named.state, named.reason.as_deref()), (Failed, Some("too rude")));
    // What it took was given back: to send it once more would go round the budget.
    let message = named.messages[0].id;
    let retried = communications::retry(s.app(), &s.ctx(), message, |_| Answer::new(200, json!({}))).await;
    assert!(matches!(retried, Err(Error::Conflict(_))), "{retried:?}");
    assert!(nameless.reason.as_deref().is_some_and(|why| why.contains("line 1")), "{nameless:?}");
    let overview = s.overview(id).await;
    assert_eq!((overview.metrics.emails_sent, overview.spent.total().0), (0, 0), "what was not sent was not spent");
    assert_eq!(s.status(id).await, Completed);
}

#[tokio::test]
async fn steps_of_channels_that_nothing_can_be_sent_by_are_passed_over() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let sequence = r#"[{"step": 1, "channel": "linkedin", "body": "x"}, {"step": 2, "channel": "email", "subject": "s", "body": "b"},
        {"step": 3, "channel": "linkedin", "delay_hours": 1, "body": "x"}]"#;
    let id = s.launched(spec(sequence, json!({})), json!({})).await;
    s.settle().await;
    s.later(3_700).await;
    assert_eq!((s.state(id, lead).await, s.recipients().len()), (RunState::Completed, 1));
}

#[tokio::test]
async fn a_pause_holds_everything_and_a_resumption_goes_on_where_it_was() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(TWO, json!({})), json!({})).await;
    s.settle().await;
    s.command(id, Command::Pause).await.unwrap();
    assert!(matches!(s.command(id, Command::Pause).await, Err(Error::Conflict(_))));
    s.later(50 * 3_600).await;
    assert_eq!((s.state(id, lead).await, s.recipients().len()), (RunState::Paused, 1));
    s.later(50 * 3_600).await;
    s.command(id, Command::Resume).await.unwrap();
    s.settle().await;
    assert_eq!((s.recipients().len(), s.status(id).await), (2, Completed));
    let told = ["campaign.created", "campaign.launched", "campaign.paused", "campaign.resumed", "campaign.completed"];
    assert_eq!(s.told().await, told);
}

#[tokio::test]
async fn a_message_in_the_outbox_waits_while_its_campaign_is_paused_and_goes_when_it_is_cancelled() {
    for command in [Command::Resume, Command::Cancel] {
        let s = Stage::new().await;
        let lead = s.crowd(1).await[0];
        let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": 1})).await;
        // The message is queued, and nobody has taken it up yet.
        let mut held = Vec::new();
        while s.members(id, Some(RunState::Sending)).await.is_empty() {
            for work in s.work().await {
                match work {
                    crate::stage::Work::Outbox(_) => held.push(work),
                    work => s.do_one(&work).await.unwrap(),
                }
            }
        }
        held.extend(s.work().await);
        s.command(id, Command::Pause).await.unwrap();
        for work in &held {
            s.do_one(work).await.unwrap();
        }
        s.settle().await;
        assert_eq!(s.recipients().len(), 0);
        s.command(id, command).await.unwrap();
        s.later(700).await;
        let message = s.messages(id, lead).await.pop().unwrap();
        match command {
            Command::Resume => assert_eq!((message.status, s.status(id).await), (CommunicationStatus::Sent, Completed)),
            _ => {
                assert_eq!((message.status, s.status(id).await), (CommunicationStatus::Cancelled, Cancelled));
                assert_eq!((s.state(id, lead).await, s.overview(id).await.spent.total().0), (RunState::Cancelled, 0));
            }
        }
    }
}

#[tokio::test]
async fn a_cancelled_campaign_lets_go_of_its_leads() {
    let s = Stage::new().await;
    let leads = s.crowd(3).await;
    let id = s.launched(spec(TWO, json!({})), json!({})).await;
    s.settle().await;
    s.command(id, Command::Cancel).await.unwrap();
    s.settle().await;
    assert_eq!((s.members(id, Some(RunState::Cancelled)).await.len(), s.status(id).await), (3, Cancelled));
    s.later(50 * 3_600).await;
    assert_eq!(s.recipients().len(), 3);
    for lead in leads {
        assert!(s.app().table().await.live_lead(s.entity, lead, s.app().now()).await.unwrap().is_none());
    }
    assert!(!s.told().await.contains(&"campaign.completed".to_owned()));
}

#[tokio::test]
async fn a_person_looks_at_each_message_before_it_is_queued() {
    let s = Stage::new().await;
    let leads = s.crowd(3).await;
    let mut wanted = spec(ONE_STEP, json!({}));
    wanted["agents"] = json!({"approval": "manual"});
    let id = s.launched(wanted, json!({})).await;
    s.settle().await;
    assert_eq!((s.members(id, Some(AwaitingApproval)).await.len(), s.recipients().len()), (3, 0));
    let asked = async |status| {
        let slice = Slice { offset: 0, limit: 10 };
        agents::approvals(s.app(), &s.ctx(), status, slice).await.unwrap()
    };
    let pending = asked(ApprovalStatus::Pending).await;
    assert_eq!((pending.total, pending.items.len()), (3, 3));
    assert!(pending.items.iter().all(|one| one.params["subject"] == "Hi there" && one.action_index == 0), "{pending:?}");
    assert_eq!(s.told_of(EventType::AgentActionPending).len(), 3);
    let place = |lead: axle_domain::LeadId| {
        let run = axle_domain::RunId::from_uuid(run_id(id, lead).uuid());
        (run, axle_domain::ContactId::from_uuid(lead.uuid()), 0)
    };
    let shown = |action: &axle_store::agent_runs::ActionRecord| Answer::new(200, json!({"status": action.status}));
    let approve = async |lead, wish: serde_json::Value| {
        let wish: ApproveInput = serde_json::from_value(wish).unwrap();
        agents::approve(s.app(), &s.ctx(), place(lead), wish, shown).await
    };
    let [first, second, third] = [leads[0], leads[1], leads[2]];
    assert!(matches!(approve(first, json!({"expected_hash": "0".repeat(64)})).await, Err(Error::Conflict(_))));
    assert!(matches!(approve(first, json!({"edits": {"channel": "sms"}})).await, Err(Error::Invalid(_))));
    assert!(matches!(approve(first, json!({"edits": {"body": " "}})).await, Err(Error::Invalid(_))));
    let hash = pending.items.iter().find(|one| one.target.id == first.uuid()).unwrap().hash.clone();
    // Many decide at the same moment: one of them does.
    let at_once = (0..8).map(|_| approve(first, json!({"expected_hash": hash, "edits": {"subject": "Hi Ada"}})));
    let done = futures_util::future::join_all(at_once).await;
    assert_eq!(done.iter().filter(|one| one.is_ok()).count(), 1, "{done:?}");
    let reason = RejectInput { reason: Some("no".to_owned()) };
    agents::reject(s.app(), &s.ctx(), place(second), reason, shown).await.unwrap();
    assert!(matches!(approve(second, json!({})).await, Err(Error::Conflict(why)) if why.contains("rejected by")));
    s.settle().await;
    let sent: Vec<_> =
        s.world.sent.emails().into_iter().map(|mail| (mail.to.address.to_string(), mail.subject.as_str().to_owned())).collect();
    assert_eq!(sent, [("p0@example.com".to_owned(), "Hi Ada".to_owned())]);
    assert_eq!(s.member(id, second).await.reason.as_deref(), Some("rejected"));
    s.later(8 * 86_400).await;
    assert_eq!(s.member(id, third).await.reason.as_deref(), Some("not_approved"));
    assert!(matches!(approve(third, json!({})).await, Err(Error::Conflict(_))));
    assert_eq!(s.status(id).await, Completed);
    for (status, total) in
        [(ApprovalStatus::Pending, 0), (ApprovalStatus::Approved, 1), (ApprovalStatus::Rejected, 1), (ApprovalStatus::Expired, 1)]
    {
        assert_eq!(asked(status).await.total, total, "{status}");
    }
}

#[tokio::test]
async fn a_deal_that_is_closed_or_a_lead_that_is_deleted_ends_it() {
    let s = Stage::new().await;
    let leads = s.crowd(2).await;
    let id = s.launched(spec(TWO, json!({})), json!({})).await;
    s.settle().await;
    assert!(axle_app::outreach::campaigns::stop_lead(s.app(), s.entity, leads[0], StopCause::DealClosed).await.unwrap());
    axle_app::outreach::leads::delete(s.app(), &s.ctx(), leads[1], None).await.unwrap();
    s.later(50 * 3_600).await;
    assert_eq!(s.member(id, leads[0]).await.reason.as_deref(), Some("deal_closed"));
    assert_eq!(s.member(id, leads[1]).await.reason.as_deref(), Some("lead_deleted"));
    assert_eq!((s.status(id).await, s.recipients().len()), (Completed, 2));
}

#[tokio::test]
async fn an_outcome_that_nobody_told_of_is_found_out() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(ONE_STEP, json!({})), json!({})).await;
    for _ in 0..20 {
        for work in s.work().await {
            // All that is told gets lost.
            if !matches!(work, crate::stage::Work::Event(_)) {
                s.do_one(&work).await.unwrap();
            }
        }
    }
    assert_eq!((s.recipients().len(), s.state(id, lead).await), (1, RunState::Sending));
    s.later(700).await;
    assert_eq!((s.state(id, lead).await, s.status(id).await), (RunState::Completed, Completed));
    let nothing = communications::outbox(s.app(), &s.ctx()).await.unwrap().counts;
    assert_eq!(nothing.get("sent"), Some(&1));
    assert_ne!(s.status(id).await, Paused);
}
