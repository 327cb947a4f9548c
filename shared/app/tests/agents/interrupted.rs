//! Runners that die, come twice, or are late.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use axle_app::agents::work::work;
use axle_app::agents::{AgentMessage, ApproveInput, RejectInput, approve, reject};
use axle_app::{Answer, agents};
use axle_domain::ContactId;
use axle_domain::agent::{ActionKind, ActionStatus, RunStatus, step_key};
use axle_domain::trace::{SpanId, SpanStatus};
use axle_store::agent_runs::RunContactRecord;
use axle_store::traces::TraceQuery;
use serde_json::json;

use crate::Stage;
use crate::stage::in_time;

const PEOPLE: usize = 200;

/// A future that is dropped in mid-work, as a worker is that gets killed.
struct Killed<F> {
    work: Pin<Box<F>>,
    polls: u32,
}

impl<F: Future> Future for Killed<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        self.work.as_mut().poll(cx).map(Some)
    }
}

/// Works on a message in a process that may die: by its clock, which it looks at around each write, or anywhere. `true` if it lived.
async fn perhaps(stage: &Stage, message: AgentMessage, fate: u32) -> bool {
    match fate % 4 {
        0 => {
            let (clock, left) = (stage.world.clock.clone(), AtomicI64::new(i64::from(fate / 4 % 9)));
            let app = stage.world.another_app(Arc::new(move || {
                assert!(left.fetch_sub(1, Ordering::SeqCst) > 0, "killed");
                clock.now()
            }));
            tokio::spawn(async move { work(&app, &message, in_time()).await.is_ok() }).await.unwrap_or(false)
        }
        1 => {
            let app = stage.app().clone();
            let killed =
                Killed { work: Box::pin(async move { work(&app, &message, in_time()).await.is_ok() }), polls: fate / 4 % 60 };
            tokio::spawn(killed).await.unwrap().unwrap_or(false)
        }
        _ => work(stage.app(), &message, in_time()).await.is_ok(),
    }
}

/// Numbers that look like chance and are the same each time.
struct Chance(u32);

impl Chance {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_people_and_workers_that_die_at_random() {
    let stage = Stage::new().await;
    let people = stage.leads(PEOPLE).await;
    let llm = json!({"provider": "openai", "model": "no-such-model"});
    let agent = stage.agent(json!({"name": "Outreach", "playbook_template": "cold_outreach", "llm_config": llm})).await;
    let job = stage.trigger(agent, &people).await;
    let (mut chance, mut deaths, mut rounds) = (Chance(7), 0, 0);
    let mut waiting = stage.messages();
    loop {
        // Eight at a time, and each message that was not done comes again, as a queue gives it out again.
        let batch: Vec<AgentMessage> = waiting.drain(..waiting.len().min(8)).collect();
        let fates: Vec<(AgentMessage, u32)> = batch.into_iter().map(|message| (message, chance.next())).collect();
        let done =
            futures_util::future::join_all(fates.iter().map(|(message, fate)| perhaps(&stage, message.clone(), *fate))).await;
        for ((message, _), lived) in fates.into_iter().zip(done) {
            if !lived {
                deaths += 1;
                waiting.push_back(message);
            }
        }
        waiting.extend(stage.messages());
        if waiting.is_empty() {
            for (n, asked) in stage.pending().await.into_iter().enumerate() {
                let place = (asked.run_id, ContactId::from_uuid(asked.target.id), asked.action_index);
                if n % 10 == 9 {
                    let no = RejectInput { reason: Some("no".to_owned()) };
                    reject(stage.app(), &stage.ctx(), place, no, |_| Answer::new(200, ())).await.unwrap();
                } else {
                    approve(stage.app(), &stage.ctx(), place, ApproveInput::default(), |_| Answer::new(200, ())).await.unwrap();
                }
            }
            // Claims of the dead run out, and the sweep finds what they held.
            stage.world.clock.advance_secs(120);
            stage.sweep().await;
            waiting.extend(stage.messages());
            if waiting.is_empty() {
                break;
            }
        }
        rounds += 1;
        assert!(rounds < 5_000, "it does not come to an end");
    }
    assert!(deaths > 50, "died {deaths} times");

    let run = stage.view(job).await;
    assert_eq!((run.status, run.contacts.len()), (RunStatus::Completed, PEOPLE));
    let written = stage.written_to();
    let mut costs = 0;
    for (contact, _) in &run.contacts {
        let messages = written.iter().filter(|lead| **lead == contact.target.id.as_hyphenated().to_string()).count();
        let sent = contact.actions[3].status == ActionStatus::Done;
        let by_reason = contact.status == RunStatus::Cancelled && contact.reason.as_deref() == Some("it was rejected: no");
        assert!(messages == usize::from(sent) && (sent ^ by_reason), "{messages} {contact:?}");
        assert_eq!(contact.actions.iter().map(|action| action.cost.0).sum::<i64>(), contact.cost.0);
        costs += contact.cost.0;
    }
    assert!(written.len() > PEOPLE / 2 && written.len() < PEOPLE);
    let table = stage.app().table().await;
    // One draft a person, charged once however often it was begun.
    assert_eq!((stage.costs().await.0, run.cost.0), (costs, costs));
    let paid = |contact: &RunContactRecord| contact.actions.iter().filter(|action| action.cost.0 > 0).count();
    assert!(run.contacts.iter().all(|(contact, _)| paid(contact) == 1));
    assert!(costs > 0);
    assert_eq!((stage.events("agent.run.started"), stage.events("agent.run.completed")), (1, 1));
    assert_eq!(stage.events("agent.action.pending"), PEOPLE);
    let (trace, now) = (run.run.trace_id, stage.world.clock.now());
    let root = SpanId::of(trace, "agent.run", run.run.id);
    let seen = axle_app::insights::traces::get(stage.app(), &stage.ctx(), trace).await.unwrap();
    // Nothing is left running but what has yet to be sent; and every person's way, step and message is in it.
    assert!(!seen.truncated && seen.spans.iter().all(|span| span.name == "message.wait" || span.status == SpanStatus::Ok));
    let count = |name: &str| seen.spans.iter().filter(|span| span.name == name).count();
    assert_eq!((count("agent.run"), count("agent.contact"), count("message.approve")), (1, PEOPLE, PEOPLE));
    assert_eq!((count("message.queue"), count("agent.send_message")), (written.len(), written.len()));
    // One entry in the tenant's list, and one in each lead's.
    let ctx = stage.ctx();
    let page = |lead_id| {
        let query = TraceQuery { lead_id, campaign_id: None };
        axle_app::insights::traces::list(stage.app(), &ctx, query, None, axle_app::PageRequest { cursor: None, limit: 20 })
    };
    assert_eq!(page(None).await.unwrap().items.iter().filter(|found| found.id == trace).count(), 1);
    let lead = axle_domain::LeadId::from_uuid(run.contacts[7].0.target.id);
    assert!(page(Some(lead)).await.unwrap().items.iter().any(|found| found.id == trace));
    for (contact, _) in &run.contacts {
        let span = async |id: SpanId| table.span(stage.entity, trace, id, now).await.unwrap().unwrap().span;
        let whole = span(SpanId::of(trace, "agent.contact", contact.id)).await;
        assert_eq!((whole.parent_id, whole.ended_at()), (Some(root), contact.finished_at));
        for action in contact.actions.iter().filter(|action| action.status == ActionStatus::Done) {
            let name = if action.cost.0 > 0 { "message.draft".to_owned() } else { format!("agent.{}", action.action) };
            if action.cost.0 > 0 || action.action == ActionKind::SendMessage {
                let subject = format!("{}/{}", step_key(contact.id, action.index), action.attempts);
                assert_eq!(span(SpanId::of(trace, &name, subject)).await.parent_id, Some(whole.span_id));
            }
        }
        let asked = span(SpanId::of(trace, "message.approve", format!("{}/{}", contact.id, 3))).await;
        assert_eq!(asked.parent_id, Some(whole.span_id));
    }
    let views = agents::agents(stage.app(), &stage.ctx(), axle_app::PageRequest { cursor: None, limit: 1 }).await.unwrap();
    let numbers = views.items[0].numbers;
    assert_eq!((numbers.executions, numbers.succeeded), (written.len() as u64, written.len() as u64));
}
