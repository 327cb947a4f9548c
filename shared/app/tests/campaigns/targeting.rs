//! Who is a campaign's: what its ICP asks for, what is known when, and what an index that lags behind leaves out.

use std::sync::Arc;

use axle_app::outreach::campaigns::{CampaignJob, Command};
use axle_app::outreach::enrichment::put_provider;
use axle_app::outreach::imports::{self, ImportOptions, ImportRequest, OnDuplicate, SentAs, Source};
use axle_app::outreach::leads;
use axle_app::{Answer, Error, PageRequest};
use axle_domain::CampaignId;
use axle_domain::campaign::CampaignStatus::{Completed, Running};
use axle_domain::campaign::run::RunState::{Completed as Done, Stopped};
use axle_store::leads::{LeadQuery, MembershipRecord};
use axle_store::runs::CampaignTask;
use serde_json::json;
use wiremock::matchers::{any, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::stage::{ONE_STEP, Stage, launched, spec};

/// An API that knows what the company of one address does; all others fish.
async fn descriptions(s: &Stage, name: &str) -> MockServer {
    let server = MockServer::start().await;
    let says = |what: &str| ResponseTemplate::new(200).set_body_json(json!({"about": what}));
    let known = Mock::given(path_regex(format!("^/{name}"))).respond_with(says("Analytics for everyone"));
    known.with_priority(1).mount(&server).await;
    Mock::given(any()).respond_with(says("We catch fish")).mount(&server).await;
    let described = json!({"url": format!("{}/{{email}}", server.uri()), "mapping": {"company.description": "$.about"}});
    let (name, input) = ("about".parse().unwrap(), axle_app::input::read(described).unwrap());
    put_provider(s.app(), &s.ctx(), &name, input, None).await.unwrap();
    server
}

#[tokio::test]
async fn what_only_enrichment_can_know_is_judged_after_it_and_nobody_else_is_written_to() {
    let s = Stage::new().await;
    let _api = descriptions(&s, "yes").await;
    let yes = s.lead(json!({"email": "yes@example.com"})).await;
    let no = s.lead(json!({"email": "no@example.com"})).await;
    let own = s.lead(json!({"email": "own@example.com", "custom": {"Tools": "web analytics"}})).await;
    let mut wanted = spec(ONE_STEP, json!({}));
    wanted["icp"] = json!({"keywords": ["analytics"]});
    let id = s.draft(wanted.clone()).await;
    let answer = s.try_launch(id, json!({})).await.unwrap();
    assert_eq!(launched(answer.clone()), (3, 3, 3));
    let assumed = answer["cost_estimate"]["assumptions"].to_string();
    assert!(assumed.contains("2 of the leads are enriched before it is known"), "{assumed}");
    s.settle().await;
    let mut recipients = s.recipients();
    recipients.sort();
    assert_eq!((recipients, s.status(id).await), (vec!["own@example.com".to_owned(), "yes@example.com".to_owned()], Completed));
    let out = s.member(id, no).await;
    assert_eq!((out.state, out.reason.as_deref()), (Stopped, Some("outside_icp")));
    assert_eq!((s.state(id, yes).await, s.state(id, own).await), (Done, Done));
    // What was found is known from now on; the one with tools of its own was written to.
    wanted["icp"] = json!({"keywords": ["fish"]});
    let next = s.draft(wanted).await;
    let answer = s.try_launch(next, json!({"dry_run": true})).await.unwrap();
    assert_eq!((launched(answer.clone()), &answer["targets"]["samples"]), ((2, 1, 1), &json!([no])));
}

#[tokio::test]
async fn technologies_that_nobody_knows_of_are_nobodys() {
    let s = Stage::new().await;
    s.crowd(3).await;
    let mut wanted = spec(ONE_STEP, json!({}));
    wanted["icp"] = json!({"technologies": ["Shopify"]});
    let id = s.launched(wanted, json!({})).await;
    s.settle().await;
    assert_eq!((s.recipients().len(), s.members(id, Some(Stopped)).await.len(), s.status(id).await), (0, 3, Completed));
}

#[tokio::test]
async fn leads_are_found_in_other_words_too_and_stand_among_the_campaigns() {
    let s = Stage::new().await;
    let found = s.lead(json!({"email": "a@example.com", "title": "Chief Technology Officer", "country": "Germany"})).await;
    s.lead(json!({"email": "b@example.com", "title": "Accountant", "country": "Germany"})).await;
    let mut wanted = spec(ONE_STEP, json!({}));
    wanted["icp"] = json!({"titles": ["CTO"], "seniorities": ["C-Level"], "locations": ["DE"]});
    let id = s.launched(wanted, json!({})).await;
    s.settle().await;
    assert_eq!(s.recipients(), ["a@example.com"]);
    let query = LeadQuery { campaign_id: Some(id), ..LeadQuery::default() };
    let listed = leads::list(s.app(), &s.ctx(), query, PageRequest { cursor: None, limit: 10 }).await.unwrap();
    assert_eq!(listed.items.into_iter().map(|lead| lead.value.id).collect::<Vec<_>>(), [found]);
}

/// The first of a launch's looks at its leads.
async fn first_look(s: &Stage, id: CampaignId) {
    let job = CampaignJob { entity_id: s.entity, campaign_id: id, task: CampaignTask::Enrol, after: None, trace_id: None };
    s.do_one(&crate::stage::Work::Campaign(job)).await.unwrap();
}

#[tokio::test]
async fn leads_that_the_index_did_not_show_at_first_are_let_in_by_a_second_look() {
    let s = Stage::new().await;
    let leads = s.crowd(2).await;
    let id = s.draft(spec(ONE_STEP, json!({}))).await;
    s.attach(id, vec![leads[0]]).await.unwrap();
    s.try_launch(id, json!({})).await.unwrap();
    first_look(&s, id).await;
    assert_eq!(s.members(id, None).await.len(), 1);
    // What the index shows only now.
    let late = MembershipRecord { entity_id: s.entity, campaign_id: id, lead_id: leads[1], added_at: s.app().now() };
    let mut tx = s.app().table().await.tx();
    tx.create("place", &late);
    tx.commit().await.unwrap();
    s.settle().await;
    assert_eq!((s.recipients().len(), s.status(id).await), (2, Completed));
}

#[tokio::test]
async fn whoever_comes_after_the_launch_is_none_of_its_leads() {
    let s = Stage::new().await;
    s.crowd(1).await;
    let id = s.launched(spec(ONE_STEP, json!({})), json!({})).await;
    s.world.clock.advance_secs(5);
    s.lead(json!({"email": "late@example.com"})).await;
    s.settle().await;
    assert_eq!((s.recipients(), s.status(id).await), (vec!["p0@example.com".to_owned()], Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lead_is_attached_before_the_launch_or_refused() {
    let s = Arc::new(Stage::new().await);
    let leads = s.crowd(9).await;
    let id = s.draft(spec(ONE_STEP, json!({}))).await;
    s.attach(id, vec![leads[0]]).await.unwrap();
    let attaching = leads[1..].iter().map(|lead| {
        let (s, lead) = (Arc::clone(&s), *lead);
        tokio::spawn(async move { s.attach(id, vec![lead]).await.is_ok().then_some(lead) })
    });
    let attaching: Vec<_> = attaching.collect();
    while s.try_launch(id, json!({})).await.is_err() {}
    let done = futures_util::future::join_all(attaching).await;
    let mut expected: Vec<_> = done.into_iter().filter_map(|done| done.unwrap()).chain([leads[0]]).collect();
    s.settle().await;
    let mut members: Vec<_> = s.members(id, None).await.into_iter().map(|member| member.lead_id).collect();
    expected.sort_unstable();
    members.sort_unstable();
    assert_eq!(members, expected);
}

#[tokio::test]
async fn an_import_into_a_campaign_that_has_begun_is_refused() {
    let s = Stage::new().await;
    let leads = s.crowd(1).await;
    let id = s.launched(spec(ONE_STEP, json!({})), json!({})).await;
    assert_eq!(s.status(id).await, Running);
    let request = || ImportRequest {
        source: Source::Inline { bytes: "email\na@example.com\n".into(), sent_as: SentAs::Json },
        options: ImportOptions { dedupe: true, on_duplicate: OnDuplicate::Skip, campaign_id: Some(id), mapping: None },
    };
    let imported = imports::start(s.app(), &s.ctx(), request(), |started| Answer::new(202, started)).await;
    let attached = s.attach(id, leads).await;
    let (Err(Error::Conflict(imported)), Err(Error::Conflict(attached))) = (imported, attached) else {
        panic!("both are refused")
    };
    assert_eq!(imported, attached);
    s.command(id, Command::Cancel).await.unwrap();
    assert!(imports::start(s.app(), &s.ctx(), request(), |started| Answer::new(202, started)).await.is_err());
}
