//! Whom a launch is for, what it says beforehand, and that it happens once.

use axle_app::Error;
use axle_domain::campaign::CampaignStatus::{Completed, Draft, Running};
use axle_domain::campaign::run::RunState;
use axle_domain::lead::LeadStatus;
use axle_store::leads::Slot;
use serde_json::json;

use crate::stage::{ONE_STEP, Stage, launched, spec};

#[tokio::test]
async fn a_dry_run_counts_each_lead_under_one_reason_and_changes_nothing() {
    let s = Stage::new().await;
    let good = s.lead(json!({"email": "good@example.com", "title": "CTO"})).await;
    let mut all = vec![good];
    for (email, title) in [
        ("a@rival.example", "CTO"),
        ("outside@example.com", "Nurse"),
        ("unwanted@example.com", "CTO"),
        ("old@example.com", "CTO"),
    ] {
        all.push(s.lead(json!({"email": email, "title": title})).await);
    }
    all.push(s.lead(json!({"phone": "+14155550123", "title": "CTO"})).await);
    s.suppress("unwanted@example.com").await;
    let table = s.app().table().await;
    let Slot::Lead(old) = table.slot(s.entity, all[4]).await.unwrap() else { panic!("the lead is there") };
    let mut tx = table.tx();
    let mut changed = old.value.clone();
    changed.status = LeadStatus::Contacted;
    tx.replace("lead", &changed, old.version);
    tx.commit().await.unwrap();

    let mut wanted = spec(ONE_STEP, json!({}));
    wanted["icp"] = json!({"titles": ["CTO"], "exclude_domains": ["rival.example"]});
    let id = s.draft(wanted).await;
    // All that fit: who is outside is none of its leads.
    let answer = s.try_launch(id, json!({"dry_run": true, "daily_send_limit": 1})).await.unwrap();
    assert_eq!(launched(answer.clone()), (5, 1, 1));
    let reasons = |answer: &serde_json::Value| {
        let excluded = answer["targets"]["excluded"].as_array().unwrap().iter();
        excluded.map(|e| (e["reason"].as_str().unwrap().to_owned(), e["count"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    let one = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect::<Vec<_>>();
    assert_eq!(reasons(&answer), one(&["excluded_domain", "no_address", "suppressed", "already_contacted"]));
    assert_eq!(answer["targets"]["samples"], json!([good]));
    assert_eq!((&answer["execution_id"], &answer["status"]), (&json!(null), &json!("draft")));
    assert_eq!((&answer["cost_estimate"]["total"], &answer["targets"]["sends_per_day"]), (&json!("0.0001"), &json!(1)));
    // Attached ones: everybody counts.
    assert_eq!(s.attach(id, all.clone()).await.unwrap(), json!({"added": 6, "already_attached": 0}));
    assert_eq!(s.attach(id, all).await.unwrap(), json!({"added": 0, "already_attached": 6}));
    let answer = s.try_launch(id, json!({"dry_run": true})).await.unwrap();
    assert_eq!(launched(answer.clone()), (6, 1, 1));
    assert_eq!(reasons(&answer), one(&["excluded_domain", "outside_icp", "no_address", "suppressed", "already_contacted"]));
    assert_eq!((s.status(id).await, s.told().await), (Draft, vec!["campaign.created".to_owned()]));
    assert_eq!(s.members(id, Some(RunState::Attached)).await.len(), 6);
}

#[tokio::test]
async fn a_launch_lets_its_leads_in_and_happens_once() {
    let s = Stage::new().await;
    let leads = s.crowd(5).await;
    let id = s.draft(spec(ONE_STEP, json!({}))).await;
    s.attach(id, leads[..3].to_vec()).await.unwrap();
    let answer = s.try_launch(id, json!({"budget_limit": "1"})).await.unwrap();
    assert_eq!((launched(answer.clone()), s.status(id).await), ((3, 3, 3), Running));
    assert!(matches!(s.try_launch(id, json!({})).await, Err(Error::Conflict(_))));
    assert!(matches!(s.attach(id, leads).await, Err(Error::Conflict(_))));
    s.settle().await;
    assert_eq!(s.members(id, Some(RunState::Completed)).await.len(), 3);
    assert_eq!((s.recipients().len(), s.status(id).await), (3, Completed));
    assert_eq!(s.told().await, ["campaign.created", "campaign.launched", "campaign.completed"]);
    let told = s.told_of(axle_domain::event::EventType::CampaignLaunched).remove(0);
    assert_eq!(told.data, json!({"execution_id": answer["execution_id"], "cohort": 3, "budget_limit": "1", "campaign_id": id}));
    let told = s.told_of(axle_domain::event::EventType::CampaignCompleted).remove(0);
    assert_eq!(told.data, json!({"leads": 3, "sent": 3, "campaign_id": id}));
}

#[tokio::test]
async fn what_could_only_come_to_nothing_is_refused() {
    let s = Stage::new().await;
    s.crowd(1).await;
    for sequence in ["[]", r#"[{"step": 1, "channel": "linkedin", "body": "x"}]"#, r#"[{"step": 1, "channel": "email"}]"#] {
        let mut wanted = spec(sequence, json!({}));
        wanted["agents"] = json!({"squad": ["sender"]});
        let id = s.draft(wanted).await;
        assert!(s.try_launch(id, json!({"dry_run": true})).await.is_ok(), "{sequence}");
        assert!(matches!(s.try_launch(id, json!({})).await, Err(Error::Conflict(_))), "{sequence}");
        assert_eq!(s.status(id).await, Draft);
    }
    let mut nobody = spec(ONE_STEP, json!({}));
    nobody["icp"] = json!({"titles": ["Pope"]});
    let id = s.draft(nobody).await;
    assert!(matches!(s.try_launch(id, json!({})).await, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn what_nobody_could_send_is_not_launched_and_a_dry_run_says_why() {
    let s = Stage::new().await;
    s.crowd(1).await;
    let unverified = s.identity(json!({"kind": "ses", "credentials": null})).await;
    let evenings = json!({"timezone": "UTC", "days": ["mon"], "from": "18:00", "to": "20:00"});
    let elsewhen = s.identity(json!({"sending_window": evenings})).await;
    let deleted = s.identity(json!({})).await;
    let mornings = json!({"sending_window": {"timezone": "UTC", "days": ["mon"], "from": "08:00", "to": "10:00"}});
    for (identity, expected) in [(unverified, "not verified"), (elsewhen, "never open together"), (deleted, "was deleted")] {
        let mut wanted = spec(ONE_STEP, mornings.clone());
        wanted["identity_id"] = json!(identity);
        let id = s.draft(wanted).await;
        if identity == deleted {
            axle_app::communications::delete_identity(s.app(), &s.ctx(), identity, None).await.unwrap();
        }
        let dry = s.try_launch(id, json!({"dry_run": true})).await.unwrap();
        assert!(dry["cost_estimate"]["assumptions"].to_string().contains(expected), "{dry}");
        let refused = s.try_launch(id, json!({})).await;
        assert!(matches!(&refused, Err(Error::Conflict(why)) if why.contains(expected)), "{refused:?}");
    }
}

#[tokio::test]
async fn without_anybody_to_send_nothing_is_paid_for() {
    let s = Stage::of(axle_testkit::World::with(|config| config.sender = None).await);
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(ONE_STEP, json!({})), json!({})).await;
    s.settle().await;
    let member = s.member(id, lead).await;
    assert_eq!((member.state, member.notes.len(), s.status(id).await), (RunState::Failed, 0, Completed));
    assert!(member.reason.is_some_and(|why| why.contains("no sender")));
}

#[tokio::test]
async fn a_cohort_is_the_same_leads_each_time() {
    let s = Stage::new().await;
    s.crowd(30).await;
    let id = s.draft(spec(ONE_STEP, json!({}))).await;
    let first = s.try_launch(id, json!({"dry_run": true, "test_cohort_size": 7})).await.unwrap();
    assert_eq!(launched(first.clone()), (30, 30, 7));
    let again = s.try_launch(id, json!({"test_cohort_size": 7})).await.unwrap();
    assert_eq!(first["targets"]["samples"], again["targets"]["samples"]);
    s.settle().await;
    let members = s.members(id, None).await;
    assert_eq!((members.len(), s.recipients().len()), (7, 7));
    for sample in again["targets"]["samples"].as_array().unwrap() {
        assert!(members.iter().any(|member| json!(member.lead_id) == *sample));
    }
}

#[tokio::test]
async fn a_lead_is_in_one_live_campaign_at_a_time() {
    let s = Stage::new().await;
    let leads = s.crowd(2).await;
    let two = r#"[{"step": 1, "channel": "email", "subject": "s", "body": "b"}, {"step": 2, "channel": "email", "delay_hours": 24, "body": "b"}]"#;
    let first = s.draft(spec(two, json!({}))).await;
    s.attach(first, vec![leads[0]]).await.unwrap();
    s.try_launch(first, json!({})).await.unwrap();
    s.settle().await;
    let second = s.draft(spec(ONE_STEP, json!({}))).await;
    let answer = s.try_launch(second, json!({})).await.unwrap();
    assert_eq!(answer["targets"]["excluded"], json!([{"reason": "in_other_campaign", "count": 1, "samples": [leads[0]]}]));
    s.settle().await;
    assert_eq!(s.members(second, None).await.len(), 1);
    // When the first has ended it is free again.
    s.command(first, axle_app::outreach::campaigns::Command::Cancel).await.unwrap();
    s.settle().await;
    assert_eq!(s.state(first, leads[0]).await, RunState::Cancelled);
    let third = s.draft(spec(ONE_STEP, json!({}))).await;
    let answer = s.try_launch(third, json!({"dry_run": true})).await.unwrap();
    assert_eq!(answer["targets"]["matched"], 2);
    let elsewhere = answer["targets"]["excluded"].as_array().unwrap().iter().any(|e| e["reason"] == "in_other_campaign");
    assert!(!elsewhere, "{answer}");
}

#[tokio::test]
async fn another_tenants_leads_and_campaigns_are_unknown() {
    let (s, other) = (Stage::new().await, Stage::new().await);
    let foreign = other.crowd(1).await;
    let id = s.draft(spec(ONE_STEP, json!({}))).await;
    let refused = s.attach(id, foreign).await;
    assert!(matches!(&refused, Err(Error::Invalid(faults)) if faults[0].pointer == "/lead_ids/0"), "{refused:?}");
    assert!(matches!(other.try_launch(id, json!({})).await, Err(Error::NotFound(_))));
    let ctx = s.ctx();
    let copy = axle_app::outreach::campaigns::clone(s.app(), &ctx, id, |c| {
        axle_app::Answer::new(201, json!({"name": c.value.spec.name, "status": c.value.status}))
    });
    assert_eq!(copy.await.unwrap().body, json!({"name": "North (copy)", "status": "draft"}));
}
