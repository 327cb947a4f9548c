//! Many at once, and everything twice.

use std::sync::Arc;

use axle_app::outreach::campaigns::{self, CampaignJob, Command, RunJob};
use axle_domain::campaign::CampaignStatus::{Cancelled, Completed};
use axle_domain::campaign::run::run_id;
use axle_store::runs::CampaignTask;
use serde_json::json;

use crate::stage::{ONE_STEP, Stage, Work, spec};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_step_is_sent_once_however_many_workers_take_it() {
    let s = Arc::new(Stage::new().await);
    let leads = s.crowd(3).await;
    let id = s.launched(spec(ONE_STEP, json!({})), json!({"daily_send_limit": 100, "budget_limit": 1})).await;
    let enrol = CampaignJob { entity_id: s.entity, campaign_id: id, task: CampaignTask::Enrol, after: None, trace_id: None };
    let mut jobs: Vec<Work> = vec![Work::Campaign(enrol); 4];
    for lead in &leads {
        jobs.extend(vec![Work::Run(RunJob { entity_id: s.entity, run_id: run_id(id, *lead), trace_id: None }); 12]);
    }
    for _ in 0..3 {
        let at_work = jobs.iter().cloned().map(|work| {
            let s = Arc::clone(&s);
            // What meets too many others is handed out again.
            tokio::spawn(async move { drop(s.do_one(&work).await) })
        });
        futures_util::future::join_all(at_work).await.into_iter().for_each(|done| done.unwrap());
    }
    s.settle().await;
    let mut recipients = s.recipients();
    recipients.sort();
    assert_eq!(recipients, ["p0@example.com", "p1@example.com", "p2@example.com"]);
    assert_eq!((s.status(id).await, s.overview(id).await.spent.total().0), (Completed, 300));
    assert_eq!(s.told().await.iter().filter(|kind| *kind == "campaign.completed").count(), 1);
    let numbers = s.app().table().await.campaign_run_numbers(s.entity, id).await.unwrap();
    assert_eq!((numbers["targeted"], numbers["active"], numbers["sent"]), (3, 0, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_launches_at_once_one_happens() {
    let s = Arc::new(Stage::new().await);
    s.crowd(2).await;
    let id = s.draft(spec(ONE_STEP, json!({}))).await;
    let launches = (0..8).map(|_| {
        let s = Arc::clone(&s);
        tokio::spawn(async move { s.try_launch(id, json!({})).await.is_ok() })
    });
    let good = futures_util::future::join_all(launches).await.into_iter().filter(|done| *done.as_ref().unwrap()).count();
    s.settle().await;
    assert_eq!((good, s.recipients().len()), (1, 2));
    assert_eq!(s.told().await.iter().filter(|kind| *kind == "campaign.launched").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_campaigns_launched_at_once_share_no_lead() {
    let s = Arc::new(Stage::new().await);
    s.crowd(20).await;
    let two = r#"[{"step": 1, "channel": "email", "subject": "s", "body": "b"}, {"step": 2, "channel": "email", "delay_hours": 1, "body": "b"}]"#;
    let ids = [s.launched(spec(two, json!({})), json!({})).await, s.launched(spec(two, json!({})), json!({})).await];
    let work = s.work().await;
    let at_work = work.into_iter().map(|work| {
        let s = Arc::clone(&s);
        tokio::spawn(async move { s.do_one(&work).await.unwrap() })
    });
    futures_util::future::join_all(at_work).await.into_iter().for_each(|done| done.unwrap());
    s.settle().await;
    let (first, second) = (s.members(ids[0], None).await, s.members(ids[1], None).await);
    assert_eq!(first.len() + second.len(), 20);
    assert_eq!(s.recipients().len(), 20);
    assert!(first.iter().all(|a| second.iter().all(|b| a.lead_id != b.lead_id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cancellation_in_the_middle_leaves_nothing_behind() {
    for pause in [0, 3, 12] {
        let s = Arc::new(Stage::new().await);
        s.crowd(12).await;
        let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": 1})).await;
        for work in s.work().await {
            s.do_one(&work).await.unwrap();
        }
        let (at_work, cancelled) = (Arc::clone(&s), Arc::clone(&s));
        let working = tokio::spawn(async move {
            for work in at_work.work().await {
                at_work.do_one(&work).await.unwrap();
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        cancelled.command(id, Command::Cancel).await.unwrap();
        working.await.unwrap();
        s.settle().await;
        s.later(700).await;
        let numbers = s.app().table().await.campaign_run_numbers(s.entity, id).await.unwrap();
        let sent = s.recipients().len() as i64;
        assert_eq!((numbers.get("active").copied().unwrap_or(0), numbers.get("sent").copied().unwrap_or(0)), (0, sent));
        assert_eq!((s.status(id).await, s.overview(id).await.spent.total().0), (Cancelled, sent * 100));
        let queued = campaigns::overview(s.app(), &s.campaign(id).await).await.unwrap().metrics.emails_sent;
        assert_eq!(queued as i64, sent);
    }
}
