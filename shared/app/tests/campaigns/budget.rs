//! Money and places of a day: exact, whoever races for them.

use std::sync::Arc;

use axle_app::outreach::campaigns::{self, Command, RunJob};
use axle_domain::campaign::CampaignStatus::{Completed, Paused, Running};
use axle_domain::campaign::run::RunState;
use axle_domain::event::EventType;
use axle_store::allowances::{Allowance, Refill, Spending};
use axle_store::campaigns::PauseReason;
use serde_json::json;

use crate::stage::{ONE_STEP, Stage, Work, spec};

/// Lets everything happen, with so many workers at it side by side.
pub async fn settle_with(s: &Arc<Stage>, workers: usize) {
    loop {
        let all = s.work().await;
        if all.is_empty() {
            return;
        }
        let share = all.len().div_ceil(workers);
        let at_work = all.chunks(share).map(|chunk| {
            let (s, chunk) = (Arc::clone(s), chunk.to_vec());
            tokio::spawn(async move {
                for work in &chunk {
                    // What meets too many others is handed out again.
                    while let Err(e) = s.do_one(work).await {
                        assert!(matches!(e, axle_app::Error::Unavailable(_)), "{e:?}");
                    }
                }
            })
        });
        futures_util::future::join_all(at_work).await.into_iter().for_each(|done| done.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_for_fifty_stops_at_fifty_with_twenty_workers_racing() {
    let s = Arc::new(Stage::new().await);
    s.crowd(60).await;
    // An e-mail costs 0.0001: this is enough for 50, and a half.
    let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": "0.00505"})).await;
    settle_with(&s, 20).await;
    let overview = s.overview(id).await;
    assert_eq!((s.recipients().len(), overview.metrics.emails_sent, overview.spent.total().0), (50, 50, 5_000));
    let campaign = s.campaign(id).await;
    assert_eq!((campaign.status, campaign.pause_reason), (Paused, Some(PauseReason::Budget)));
    let told = s.told().await;
    assert_eq!(told, ["campaign.created", "campaign.launched", "budget.exhausted", "campaign.paused"]);
    let exhausted = s.told_of(EventType::BudgetExhausted).remove(0).data;
    assert_eq!(exhausted, json!({"budget_limit": "0.00505", "spent": "0.005", "campaign_id": id}));
    assert_eq!(s.members(id, Some(RunState::Paused)).await.len(), 10);
    // Resuming does not bring money.
    s.command(id, Command::Resume).await.unwrap();
    settle_with(&s, 20).await;
    assert_eq!((s.recipients().len(), s.status(id).await), (50, Paused));
    assert_eq!(s.told_of(EventType::BudgetExhausted).len(), 1, "told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_day_takes_as_many_messages_as_it_may_and_the_next_day_the_rest() {
    let s = Arc::new(Stage::new().await);
    s.crowd(25).await;
    let window = json!({"timezone": "America/New_York", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "23:59"});
    let id = s.launched(spec(ONE_STEP, json!({"sending_window": window})), json!({"daily_send_limit": 10})).await;
    settle_with(&s, 12).await;
    assert_eq!((s.recipients().len(), s.status(id).await), (10, Running));
    let waiting = s.members(id, Some(RunState::Waiting)).await;
    // Midnight in New York is five in the morning in UTC, in winter.
    assert!(waiting.iter().all(|member| member.next_at.unwrap().secs() % 86_400 == 5 * 3_600), "{waiting:?}");
    for expected in [20, 25] {
        let next = s.members(id, Some(RunState::Waiting)).await[0].next_at.unwrap();
        s.world.clock.advance_millis(next.since(s.app().now()) + 60_000);
        axle_app::schedule::sweep(s.app(), std::time::Instant::now() + std::time::Duration::from_secs(30)).await.unwrap();
        settle_with(&s, 12).await;
        assert_eq!(s.recipients().len(), expected);
    }
    assert_eq!(s.status(id).await, Completed);
}

#[tokio::test]
async fn what_a_message_took_that_did_not_go_out_is_given_back() {
    let s = Stage::new().await;
    s.crowd(3).await;
    let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": "0.0002", "daily_send_limit": 2})).await;
    s.world.sent.fail_next(axle_providers::mail::SendError::permanent(axle_providers::mail::Blame::Message, "no"));
    let mut failed = 0;
    while failed == 0 {
        for work in s.work().await {
            s.do_one(&work).await.unwrap();
        }
        failed = s.members(id, Some(RunState::Failed)).await.len();
    }
    s.settle().await;
    if s.status(id).await == Paused {
        // The third found nothing before the first gave back.
        s.command(id, Command::Resume).await.unwrap();
        s.settle().await;
    }
    s.later(86_400).await;
    assert_eq!((s.recipients().len(), s.overview(id).await.spent.total().0, s.status(id).await), (2, 200, Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_allowance_is_used_to_the_last_unit_and_no_further() {
    for (limit, need) in [(1_000_i64, 7_i64), (16, 1), (5, 1), (0, 1), (3, 4)] {
        let s = Arc::new(Stage::new().await);
        let (entity, campaign) = (s.entity, axle_domain::CampaignId::new_at(s.app().now()));
        let allowance = Allowance::Budget(campaign);
        let mut tx = s.app().table().await.tx();
        tx.allow(entity, &allowance, limit);
        tx.commit().await.unwrap();
        let workers = (0..20_u128).map(|n| {
            let (s, allowance) = (Arc::clone(&s), allowance.clone());
            tokio::spawn(async move {
                let (table, mut used) = (s.app().table().await, 0);
                loop {
                    let mut tx = table.tx();
                    tx.spend(entity, campaign, n * 31 + used, Spending::ChannelCosts, axle_domain::Micros(need), true);
                    match tx.commit().await {
                        Ok(()) => used += 1,
                        Err(axle_store::CommitError::Condition { .. }) => {
                            match table.refill(entity, &allowance, n * 31 + used, need, limit).await {
                                Ok(Refill::Refilled) | Err(axle_store::Error::Unavailable(_)) => {}
                                Ok(Refill::Exhausted) => return used,
                                Err(e) => panic!("{e}"),
                            }
                        }
                        Err(e) => panic!("{e}"),
                    }
                }
            })
        });
        let used: u128 = futures_util::future::join_all(workers).await.into_iter().map(|used| used.unwrap()).sum();
        assert_eq!(used as i64, limit / need, "{limit} by {need}");
        let table = s.app().table().await;
        assert_eq!(table.left_of(entity, &allowance).await.unwrap(), limit % need);
        assert_eq!(table.spent_by(entity, campaign).await.unwrap().total().0, limit - limit % need);
    }
}

#[tokio::test]
async fn a_worker_that_dies_takes_no_money_with_it() {
    let s = Stage::new().await;
    s.crowd(4).await;
    let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": "0.0004"})).await;
    // Each job is done by a worker that is cut off somewhere, then handed out again.
    for round in 0..400_u64 {
        let all = s.work().await;
        if all.is_empty() {
            break;
        }
        for work in &all {
            if let Work::Run(RunJob { run_id, .. }) = work {
                let job = RunJob { entity_id: s.entity, run_id: *run_id, trace_id: None };
                let cut = std::time::Duration::from_micros(300 * (round % 40 + 1));
                let _ = tokio::time::timeout(cut, campaigns::advance(s.app(), &job)).await;
            }
            s.do_one(work).await.unwrap();
        }
    }
    assert_eq!((s.recipients().len(), s.overview(id).await.spent.total().0, s.status(id).await), (4, 400, Completed));
}
