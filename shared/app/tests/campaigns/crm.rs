//! What campaigns and the CRM do to each other: deals end sequences, good answers make deals, and an erased person is gone from both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axle_app::Answer;
use axle_app::crm::erase::{self, ErasureStatus};
use axle_app::crm::{companies, contacts, deals, stages};
use axle_app::insights::traces;
use axle_app::outreach::campaigns::Command;
use axle_app::outreach::leads;
use axle_domain::campaign::CampaignStatus::{Completed, Running};
use axle_domain::campaign::run::RunState::{Stopped, Waiting};
use axle_domain::crm::stage::Stage as DealStage;
use axle_domain::event::{EventType, Subject};
use axle_domain::trace::{Span, SpanStatus};
use axle_domain::{CampaignId, CompanyId, ContactId, DealId, LeadId};
use axle_store::Record as _;
use axle_store::crm::contacts::ContactRecord;
use axle_store::leads::MembershipRecord;
use axle_store::spans::SpanRecord;
use serde_json::{Value, json};

use crate::stage::{Stage, spec};

const TWO: &str = r#"[{"step": 1, "channel": "email", "subject": "First", "body": "one"},
    {"step": 2, "channel": "email", "delay_hours": 48, "body": "two"}]"#;

fn id<T: std::str::FromStr>(answer: Answer) -> T
where
    T::Err: std::fmt::Debug,
{
    answer.body["id"].as_str().unwrap().parse().unwrap()
}

async fn company(s: &Stage, input: Value) -> CompanyId {
    let input = serde_json::from_value(input).unwrap();
    id(companies::create(s.app(), &s.ctx(), input, |c| Answer::new(201, json!({"id": c.value.id}))).await.unwrap())
}

async fn contact(s: &Stage, input: Value) -> ContactId {
    let input = serde_json::from_value(input).unwrap();
    id(contacts::create(s.app(), &s.ctx(), input, |c| Answer::new(201, json!({"id": c.value.id}))).await.unwrap())
}

async fn deal(s: &Stage, input: Value) -> DealId {
    let input = serde_json::from_value(input).unwrap();
    id(deals::create(s.app(), &s.ctx(), input, |d| Answer::new(201, json!({"id": d.value.id}))).await.unwrap())
}

async fn shift(s: &Stage, id: DealId, wish: Value) {
    stages::shift(s.app(), &s.ctx(), id, serde_json::from_value(wish).unwrap(), None).await.unwrap();
}

async fn books(s: &Stage, campaign: Option<CampaignId>, lead: LeadId) {
    let data = json!({"starts_at": s.app().now()});
    s.happens(EventType::MeetingBooked, Subject::new("meeting", lead), campaign, lead, data).await;
}

async fn lead_now(s: &Stage, id: LeadId) -> axle_store::leads::LeadRecord {
    leads::get(s.app(), &s.ctx(), id).await.unwrap().value
}

async fn spans(s: &Stage, campaign: CampaignId, lead: LeadId) -> Vec<Span> {
    let trace = s.member(campaign, lead).await.trace_id.unwrap();
    traces::get(s.app(), &s.ctx(), trace).await.unwrap().spans
}

#[tokio::test]
async fn a_deal_that_is_closed_ends_what_is_sent_to_its_people() {
    for wish in [json!({"stage": "won"}), json!({"stage": "lost", "lostReason": "price"})] {
        let s = Stage::new().await;
        let all = s.crowd(4).await;
        let id = s.launched(spec(TWO, json!({})), json!({})).await;
        s.settle().await;
        let acme = company(&s, json!({"name": "Acme", "domain": "acme.example"})).await;
        let ada = contact(&s, json!({"email": "p0@example.com"})).await;
        contact(&s, json!({"email": "p1@example.com", "companyId": acme})).await;
        contact(&s, json!({"email": "p2@example.com"})).await;
        let deal = deal(&s, json!({"title": "Seats", "contactId": ada, "companyId": acme})).await;
        shift(&s, deal, json!({"stage": "qualified"})).await;
        s.settle().await;
        assert_eq!(s.members(id, Some(Waiting)).await.len(), 4, "an open deal ends nothing");
        shift(&s, deal, wish.clone()).await;
        s.settle().await;
        for (lead, reason) in all.iter().zip([Some("deal_closed"), Some("deal_closed"), None, None]) {
            assert_eq!(s.member(id, *lead).await.reason.as_deref(), reason, "{wish}");
        }
        s.later(49 * 3_600).await;
        assert_eq!((s.recipients().len(), s.status(id).await), (6, Completed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_interested_or_meets_us_becomes_a_person_and_a_deal_once() {
    let s = Arc::new(Stage::new().await);
    let known = company(&s, json!({"name": "Engines Ltd", "domain": "engines.example"})).await;
    let ada = s.lead(json!({"email": "ada@engines.example", "first_name": "Ada", "company": {"name": "Engines"}})).await;
    let bob = s.lead(json!({"email": "bob@looms.example", "last_name": "Byte"})).await;
    let eve = s.lead(json!({"email": "eve@gmail.com", "first_name": "Eve"})).await;
    let id = s.launched(spec(TWO, json!({})), json!({})).await;
    s.settle().await;
    s.replies(id, ada, json!({"class": "interested"})).await;
    s.replies(id, bob, json!({"class": "objection"})).await;
    books(&s, Some(id), eve).await;
    // Each event is handed out many times at once.
    let work = s.work().await;
    let many = work.iter().flat_map(|work| std::iter::repeat_n(work.clone(), 6)).map(|work| {
        let s = Arc::clone(&s);
        tokio::spawn(async move { while s.do_one(&work).await.is_err() {} })
    });
    futures_util::future::join_all(many).await.into_iter().for_each(|done| done.unwrap());
    s.settle().await;
    assert_eq!(lead_now(&s, bob).await.promotion, None, "who declines is no customer");
    let page = axle_domain::crm::PageNumber { page: 1, size: 100 };
    let all = deals::list(s.app(), &s.ctx(), deals::Wanted::default(), page).await.unwrap().items;
    assert_eq!(all.len(), 2);
    let deal_of = |lead: LeadId| all.iter().find(|deal| deal.value.prospect_id == Some(lead)).unwrap().value.clone();
    let (of_ada, of_eve) = (deal_of(ada), deal_of(eve));
    assert_eq!(
        (of_ada.stage, of_ada.company_id, of_ada.profile.title.as_str()),
        (DealStage::Contacted, Some(known), "Engines: Ada")
    );
    assert_eq!((of_eve.stage, of_eve.company_id), (DealStage::Qualified, None), "a mail provider is nobody's company");
    let promotion = lead_now(&s, ada).await.promotion.unwrap();
    assert_eq!((promotion.deal_id, Some(promotion.contact_id)), (of_ada.id, of_ada.contact_id));
    let person = contacts::get(s.app(), &s.ctx(), promotion.contact_id).await.unwrap().value;
    assert_eq!(
        (person.profile.email.map(String::from).as_deref(), person.company_id),
        (Some("ada@engines.example"), Some(known))
    );
    // Meeting us takes the deal further; a meeting after that takes nothing back.
    books(&s, None, ada).await;
    s.settle().await;
    assert_eq!(deals::get(s.app(), &s.ctx(), of_ada.id).await.unwrap().value.stage, DealStage::Qualified);
    shift(&s, of_ada.id, json!({"stage": "proposal"})).await;
    books(&s, None, ada).await;
    s.settle().await;
    assert_eq!(deals::get(s.app(), &s.ctx(), of_ada.id).await.unwrap().value.stage, DealStage::Proposal);
    assert_eq!(s.told_of(EventType::CompanyCreated).len(), 1);
    assert_eq!(s.told_of(EventType::ContactCreated).len(), 2);
}

#[tokio::test]
async fn a_prospect_that_is_made_again_finds_its_deal_and_one_whose_deal_is_gone_gets_another() {
    let s = Stage::new().await;
    let spec_of_ada = json!({"email": "ada@engines.example", "first_name": "Ada"});
    // The person is known, and in no company.
    let known = contact(&s, json!({"email": "ada@engines.example"})).await;
    let ada = s.lead(spec_of_ada.clone()).await;
    books(&s, None, ada).await;
    s.settle().await;
    let promotion = lead_now(&s, ada).await.promotion.unwrap();
    let deal = deals::get(s.app(), &s.ctx(), promotion.deal_id).await.unwrap().value;
    let person = contacts::get(s.app(), &s.ctx(), known).await.unwrap().value;
    assert_eq!(promotion.contact_id, known);
    assert!(person.company_id.is_some() && person.company_id == deal.company_id, "{person:?}");
    let places = axle_app::crm::memberships::list(s.app(), &s.ctx(), known).await.unwrap();
    assert_eq!((places.len(), places[0].is_primary), (1, true));
    // E-mails to the prospect stand in the deal's timeline from now on.
    let mail = json!({"channel": "email", "lead_id": ada, "subject": "Hello", "text": "How are you?"});
    let mail = axle_app::input::read(mail).unwrap();
    let queued = |record: &axle_store::communications::CommunicationRecord| Answer::new(202, record.deal_id);
    let queued = axle_app::communications::queue(s.app(), &s.ctx(), mail, queued).await.unwrap();
    assert_eq!(queued.body, json!(promotion.deal_id));
    leads::delete(s.app(), &s.ctx(), ada, None).await.unwrap();
    let again = s.lead(spec_of_ada).await;
    assert_eq!((again, lead_now(&s, again).await.promotion), (ada, None));
    books(&s, None, again).await;
    s.settle().await;
    assert_eq!(lead_now(&s, again).await.promotion.unwrap().deal_id, promotion.deal_id, "it had one");
    deals::delete(s.app(), &s.ctx(), promotion.deal_id, None).await.unwrap();
    for _ in 0..2 {
        books(&s, None, again).await;
        s.settle().await;
        let page = axle_domain::crm::PageNumber { page: 1, size: 100 };
        let all = deals::list(s.app(), &s.ctx(), deals::Wanted::default(), page).await.unwrap().items;
        let promoted = lead_now(&s, again).await.promotion.unwrap();
        assert_eq!((all.len(), all[0].value.id, all[0].value.prospect_id), (1, promoted.deal_id, Some(again)));
        assert_ne!(promoted.deal_id, promotion.deal_id);
    }
}

#[tokio::test]
async fn a_trace_explains_all_that_happened_to_a_lead() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(TWO, json!({})), json!({"budget_limit": 1})).await;
    s.settle().await;
    let names = |spans: &[Span]| spans.iter().map(|span| span.name.clone()).collect::<Vec<_>>();
    let before = spans(&s, id, lead).await;
    let first = ["agent.sequence", "lead.enrich", "lead.score", "message.queue", "message.wait", "message.send", "message.wait"];
    let mut found = names(&before);
    found.sort();
    let mut expected = first.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let root = before.iter().find(|span| span.name == "agent.sequence").unwrap().clone();
    assert_eq!((root.parent_id, root.status), (None, SpanStatus::Running));
    let waiting: Vec<&Span> = before.iter().filter(|span| span.status == SpanStatus::Running).collect();
    assert_eq!(waiting.len(), 2, "the whole way, and the wait for the second step");
    s.world.clock.advance_secs(3_600);
    s.replies(id, lead, json!({"class": "objection"})).await;
    s.settle().await;
    let after = spans(&s, id, lead).await;
    let root = after.iter().find(|span| span.name == "agent.sequence").unwrap();
    assert_eq!(root.status, SpanStatus::Ok);
    assert_eq!(root.attributes.get("axle.outcome"), Some(&json!("stopped")));
    assert_eq!(root.attributes.get("axle.reason"), Some(&json!("reply")));
    assert!(
        after.iter().all(|span| span.status == SpanStatus::Ok && (span.parent_id.is_some() || span.name == "agent.sequence"))
    );
    let waits: Vec<&Span> =
        after.iter().filter(|span| span.name == "message.wait" && span.duration_ms == Some(3_600_000)).collect();
    assert_eq!(waits.len(), 1, "it waited for an hour, until the reply");
    // Found by the campaign and by the lead, as one.
    let query = axle_store::traces::TraceQuery { campaign_id: Some(id), lead_id: None };
    for query in [query, axle_store::traces::TraceQuery { lead_id: Some(lead), ..query }] {
        let page = axle_app::PageRequest { cursor: None, limit: 10 };
        let listed = traces::list(s.app(), &s.ctx(), query, None, page).await.unwrap().items;
        assert_eq!((listed.len(), listed[0].campaign_id, listed[0].lead_id), (1, Some(id), Some(lead)));
    }
    // A campaign that is cancelled says so as well.
    let other = s.lead(json!({"email": "late@example.com"})).await;
    let late = s.launched(spec(TWO, json!({})), json!({})).await;
    s.settle().await;
    s.command(late, Command::Cancel).await.unwrap();
    s.settle().await;
    let root = spans(&s, late, other).await.into_iter().find(|span| span.name == "agent.sequence").unwrap();
    assert_eq!(root.attributes.get("axle.reason"), Some(&json!("the campaign was cancelled")));
}

#[tokio::test]
async fn an_erased_person_leaves_no_word_in_campaigns() {
    let s = Stage::new().await;
    let ada = s.lead(json!({"email": "quuxworth@example.com", "last_name": "Quuxworth"})).await;
    let other = s.lead(json!({"email": "other@example.com"})).await;
    let mut wanted = spec(
        r#"[{"step": 1, "channel": "email", "subject": "Hi", "body": "Dear {{ lead.last_name | default('all') }}"}]"#,
        json!({}),
    );
    wanted["agents"] = json!({"approval": "manual"});
    let asking = s.launched(wanted, json!({"budget_limit": 1})).await;
    s.settle().await;
    let person: ContactId = contact(&s, json!({"email": "quuxworth@example.com", "lastName": "Quuxworth"})).await;
    let about = || s.world.table.items().iter().filter(|item| item.to_string().to_lowercase().contains("quuxworth")).count();
    assert!(about() > 0);
    let trace = s.member(asking, ada).await.trace_id.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let receipt = erase::erase(s.app(), &s.ctx(), person, deadline).await.unwrap();
    assert_eq!((receipt.status, about()), (ErasureStatus::Completed, 0));
    assert_eq!(receipt.removed.get("campaignRuns"), Some(&1));
    assert!(matches!(traces::get(s.app(), &s.ctx(), trace).await, Err(axle_app::Error::NotFound(_))));
    // The campaign goes on with the others, and comes to its end.
    assert_eq!(s.status(asking).await, Running);
    assert_eq!(s.members(asking, None).await.len(), 1);
    axle_app::outreach::campaigns::stop_lead(s.app(), s.entity, other, axle_domain::campaign::run::StopCause::Meeting)
        .await
        .unwrap();
    s.settle().await;
    assert_eq!((s.status(asking).await, s.state(asking, other).await), (Completed, Stopped));
    let gone = s.app().table().await.get::<ContactRecord>(&ContactRecord::key_of(s.entity, person), s.app().now()).await.unwrap();
    assert!(gone.is_none());
}

#[tokio::test]
async fn what_outlived_its_lead_and_its_traces_is_erased_too() {
    let s = Stage::new().await;
    let ada = s.lead(json!({"email": "quuxworth@example.com", "last_name": "Quuxworth"})).await;
    let mut wanted = spec(
        r#"[{"step": 1, "channel": "email", "subject": "Hi", "body": "Dear {{ lead.last_name | default('all') }}"}]"#,
        json!({}),
    );
    wanted["agents"] = json!({"approval": "manual"});
    let asking = s.launched(wanted, json!({"budget_limit": 1})).await;
    s.settle().await;
    let trace = s.member(asking, ada).await.trace_id.unwrap();
    leads::delete(s.app(), &s.ctx(), ada, None).await.unwrap();
    // Traces go after 90 days.
    let (table, now) = (s.app().table().await, s.app().now());
    let items = table.trace_items(s.entity, trace, true, now).await.unwrap();
    let spans = items.spans.iter().map(|record| SpanRecord::key_of(s.entity, trace, record.span.span_id));
    for key in spans.chain(items.links.iter().map(|link| link.key())) {
        let mut tx = table.tx();
        tx.remove("trace", key);
        tx.commit().await.unwrap();
    }
    let person = contact(&s, json!({"email": "quuxworth@example.com", "lastName": "Quuxworth"})).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let receipt = erase::erase(s.app(), &s.ctx(), person, deadline).await.unwrap();
    let left: Vec<String> = s.world.table.items().iter().map(Value::to_string).collect();
    let left: Vec<&String> = left.iter().filter(|item| item.to_lowercase().contains("quuxworth")).collect();
    assert_eq!((receipt.status, receipt.removed.get("campaignRuns"), left), (ErasureStatus::Completed, Some(&1), Vec::new()));
}

#[tokio::test]
async fn a_lead_in_very_many_campaigns_can_be_deleted() {
    let s = Stage::new().await;
    let lead = s.lead(json!({"email": "ada@example.com"})).await;
    let (table, now) = (s.app().table().await, s.app().now());
    for _ in 0..170 {
        let place = MembershipRecord { entity_id: s.entity, campaign_id: CampaignId::new_at(now), lead_id: lead, added_at: now };
        table.put_new(&place).await.unwrap();
    }
    leads::delete(s.app(), &s.ctx(), lead, None).await.unwrap();
    assert!(table.memberships(s.entity, lead).await.unwrap().is_empty());
    assert!(matches!(leads::get(s.app(), &s.ctx(), lead).await, Err(axle_app::Error::NotFound(_))));
}
