//! Decisions: once, about what was shown, in time.

use axle_app::agents::{ApproveInput, RejectInput, approve, reject};
use axle_app::{Answer, Error};
use axle_domain::agent::{ActionStatus, RunStatus};
use axle_domain::{ContactId, RunId};
use axle_store::approvals::ApprovalRecord;
use serde_json::json;

use crate::Stage;
use crate::stage::in_time;

/// A message to each of some people, drafted and waiting for a word.
async fn waiting(people: usize) -> (Stage, axle_domain::AgentJobId) {
    let stage = Stage::new().await;
    let people = stage.leads(people).await;
    let agent = stage
        .agent_of(json!([
            {"id": "draft", "action": "draft_message", "params": {"channel": "email", "instructions": "x"}},
            {"id": "send", "action": "send_message", "requires_approval": true, "params": {"channel": "email", "from_step": "draft"}}]))
        .await;
    let job = stage.trigger(agent, &people).await;
    stage.run().await;
    (stage, job)
}

fn place(approval: &ApprovalRecord) -> (RunId, ContactId, usize) {
    (approval.run_id, ContactId::from_uuid(approval.target.id), approval.action_index)
}

fn why(outcome: axle_app::Result<Answer>) -> String {
    match outcome {
        Err(Error::Conflict(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn fifty_approvers_at_once_do_it_once() {
    let (stage, job) = waiting(1).await;
    let asked = stage.pending().await.remove(0);
    assert_eq!(asked.params, json!({"channel": "email", "subject": "A question", "body": "How do you do?"}));
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(50));
    let approvers: Vec<_> = (0..50)
        .map(|_| {
            let (app, ctx, place, barrier) = (stage.app().clone(), stage.ctx(), place(&asked), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                approve(&app, &ctx, place, ApproveInput::default(), |action| Answer::new(200, action.status)).await
            })
        })
        .collect();
    let (mut good, mut refused) = (0, 0);
    for approver in approvers {
        match approver.await.unwrap() {
            Ok(_) => good += 1,
            Err(Error::Conflict(why)) => {
                assert!(why.contains("approved by api_key 7Gk2mQ9xTb4L at ") || why.contains("same moment"), "{why}");
                refused += 1;
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!((good, refused), (1, 49));
    // And the runner is told by two messages at once.
    let messages: Vec<_> = stage.messages().into_iter().collect();
    let twice = messages.iter().chain(messages.iter()).cloned().map(|message| {
        let app = stage.app().clone();
        tokio::spawn(async move { axle_app::agents::work::work(&app, &message, in_time()).await })
    });
    for worker in twice.collect::<Vec<_>>() {
        worker.await.unwrap().unwrap();
    }
    stage.wait(200).await;
    assert_eq!((stage.written_to().len(), stage.events("agent.action.approved")), (1, 1));
    assert_eq!(stage.view(job).await.status, RunStatus::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_bound_to_what_was_shown() {
    let (stage, job) = waiting(2).await;
    let asked = stage.pending().await;
    let ctx = stage.ctx();
    let first = |wish| approve(stage.app(), &ctx, place(&asked[0]), wish, |action| Answer::new(200, action.hash.clone()));
    let other = ApproveInput { expected_hash: Some("0".repeat(64)), edits: None };
    assert!(why(first(other).await).contains(&asked[0].hash));
    let edits = |value: serde_json::Value| Some(value.as_object().unwrap().clone());
    for (bad, pointer) in [
        (json!({"subject": null}), "/edits/subject"),
        (json!({"to": "eve@example.com"}), "/edits/to"),
        (json!({"body": ""}), "/edits/body"),
        (json!({"from_step": "draft"}), "/edits/from_step"),
    ] {
        match first(ApproveInput { edits: edits(bad), expected_hash: None }).await {
            Err(Error::Invalid(faults)) => assert_eq!(faults[0].pointer, pointer),
            other => panic!("{other:?}"),
        }
    }
    let wish = ApproveInput { edits: edits(json!({"subject": "Better"})), expected_hash: Some(asked[0].hash.clone()) };
    let answer = first(wish).await.unwrap();
    assert_ne!(answer.body, json!(asked[0].hash));
    let no = RejectInput { reason: Some("not them".to_owned()) };
    reject(stage.app(), &stage.ctx(), place(&asked[1]), no, |_| Answer::new(200, ())).await.unwrap();
    assert!(why(first(ApproveInput::default()).await).contains("was approved by api_key"));
    let again = approve(stage.app(), &stage.ctx(), place(&asked[1]), ApproveInput::default(), |_| Answer::new(200, ())).await;
    assert!(why(again).contains("was rejected by api_key"));
    stage.run().await;
    let run = stage.view(job).await;
    let of = |approval: &ApprovalRecord| run.contacts.iter().find(|(c, _)| c.target == approval.target).unwrap().0.clone();
    assert_eq!((of(&asked[0]).status, of(&asked[1]).status), (RunStatus::Completed, RunStatus::Cancelled));
    assert_eq!(of(&asked[1]).reason.as_deref(), Some("it was rejected: not them"));
    assert_eq!(of(&asked[0]).actions[1].params["subject"], "Better");
    assert_eq!((stage.written_to().len(), stage.events("agent.action.rejected")), (1, 1));
    assert_eq!(run.status, RunStatus::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_late_decides_nothing() {
    let (stage, job) = waiting(1).await;
    let asked = stage.pending().await.remove(0);
    stage.world.clock.advance_secs(72 * 3_600);
    let late = approve(stage.app(), &stage.ctx(), place(&asked), ApproveInput::default(), |_| Answer::new(200, ())).await;
    assert!(why(late).contains("expired at"), "also before anybody has swept");
    stage.wait(0).await;
    let late = reject(stage.app(), &stage.ctx(), place(&asked), RejectInput::default(), |_| Answer::new(200, ())).await;
    assert!(why(late).contains("expired"));
    let run = stage.view(job).await;
    assert_eq!((run.status, run.contacts[0].0.actions[1].status), (RunStatus::Failed, ActionStatus::Expired));
    assert!(stage.written_to().is_empty() && stage.pending().await.is_empty());
}
