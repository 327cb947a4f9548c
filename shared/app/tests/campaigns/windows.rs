//! Windows and days: a message that is put off, whatever for, goes out inside its campaign's window and counts on its day.

use axle_domain::Time;
use axle_domain::campaign::run::RunState;
use axle_providers::mail::SendError;
use serde_json::{Value, json};

use crate::stage::{ONE_STEP, Stage, spec};

fn by(identity: axle_domain::SendingIdentityId, messaging: Value) -> Value {
    let mut wanted = spec(ONE_STEP, messaging);
    wanted["identity_id"] = json!(identity);
    wanted
}

fn daily(days: &[&str], from: &str, to: &str) -> Value {
    json!({"timezone": "UTC", "days": days, "from": from, "to": to})
}

const WORK: [&str; 5] = ["mon", "tue", "wed", "thu", "fri"];

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

// The world's clock says 2026-11-24T08:30:30Z, a Tuesday.

#[tokio::test]
async fn what_an_identitys_day_cannot_take_goes_out_in_the_campaigns_window_of_a_later_one() {
    let s = Stage::new().await;
    let leads = s.crowd(3).await;
    let identity = s.identity(json!({"daily_limit": 1})).await;
    let id = s.launched(by(identity, json!({"sending_window": daily(&WORK, "08:00", "10:00")})), json!({})).await;
    s.settle().await;
    assert_eq!(s.recipients().len(), 1);
    let mut at = Vec::new();
    for lead in leads {
        at.extend(s.messages(id, lead).await.into_iter().filter(|m| m.sent_at.is_none()).map(|m| m.scheduled_send_time));
    }
    at.sort_unstable();
    assert_eq!(at, [time("2026-11-25T08:00:00Z"), time("2026-11-26T08:00:00Z")]);
    for sent in [2, 3] {
        s.later(86_400).await;
        assert_eq!(s.recipients().len(), sent);
    }
}

#[tokio::test]
async fn what_is_tried_again_waits_for_the_window() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(ONE_STEP, json!({"sending_window": daily(&WORK, "08:00", "08:31")})), json!({})).await;
    s.world.sent.fail_next(SendError::transient("busy"));
    s.settle().await;
    s.later(120).await;
    let message = s.messages(id, lead).await.remove(0);
    assert_eq!((message.scheduled_send_time, s.recipients().len()), (time("2026-11-25T08:00:00Z"), 0));
    s.later(86_400 - 120).await;
    assert_eq!((s.recipients().len(), s.state(id, lead).await), (1, RunState::Completed));
}

#[tokio::test]
async fn windows_that_never_meet_fail_the_lead_and_say_so() {
    let s = Stage::new().await;
    let lead = s.lead(json!({"email": "a@example.com", "timezone": "Asia/Tokyo"})).await;
    let evenings = json!({"timezone": "contact", "days": WORK, "from": "18:00", "to": "20:00"});
    let identity = s.identity(json!({"sending_window": evenings})).await;
    let id = s.launched(by(identity, json!({"sending_window": daily(&WORK, "08:00", "09:00")})), json!({})).await;
    s.settle().await;
    // Eight in the morning in UTC is five in the evening in Tokyo.
    let member = s.member(id, lead).await;
    assert_eq!(member.state, RunState::Failed);
    assert!(member.reason.unwrap().contains("never open together"));
}

#[tokio::test]
async fn a_day_counts_what_goes_out_on_it_and_not_what_is_queued_on_it() {
    let s = Stage::new().await;
    s.crowd(3).await;
    let identity = s.identity(json!({"sending_window": daily(&["wed", "thu"], "08:00", "10:00")})).await;
    let id = s.launched(by(identity, json!({})), json!({"daily_send_limit": 1})).await;
    s.settle().await;
    assert_eq!((s.recipients().len(), s.members(id, Some(RunState::Sending)).await.len()), (0, 1));
    // Wednesday, Thursday, and the next Wednesday.
    for (days, sent) in [(1, 1), (1, 2), (5, 2), (1, 3)] {
        s.later(days * 86_400).await;
        assert_eq!(s.recipients().len(), sent);
    }
}
