//! Traces are complete, each is listed once, and they say what messages and deliveries say.

use std::collections::BTreeSet;

use axle_app::insights::traces::{self, Trace};
use axle_app::webhooks::Dispatcher;
use axle_app::{Ctx, Error, PageRequest};
use axle_domain::event::EventType;
use axle_domain::trace::{Span, SpanId, SpanStatus, attribute, name};
use axle_domain::{CampaignId, EntityId, LeadId, Time, TraceId};
use axle_providers::mail::{Blame, SendError};
use axle_store::spans::SpanRecord;
use axle_store::traces::TraceQuery;
use serde_json::json;

use crate::stage::{Stage, mail};

async fn trace(stage: &Stage, id: TraceId) -> Trace {
    traces::get(stage.app(), &stage.ctx(), id).await.unwrap()
}

fn named<'t>(trace: &'t Trace, name: &str) -> &'t Span {
    trace.spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} in {trace:?}"))
}

/// All pages of so many entries each.
async fn pages(stage: &Stage, query: TraceQuery, status: Option<SpanStatus>, limit: usize) -> Vec<TraceId> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest { cursor, limit };
        let page = traces::list(stage.app(), &stage.ctx(), query, status, page).await.unwrap();
        assert!(page.items.len() <= limit);
        found.extend(page.items.into_iter().map(|trace| trace.id));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_message_explains_itself_from_the_call_to_the_webhook() {
    let stage = Stage::new().await;
    let ctx = stage.ctx();
    let made = axle_app::webhooks::create(
        stage.app(),
        &ctx,
        serde_json::from_value(json!({"url": "http://127.0.0.1:9/hook"})).unwrap(),
        |webhook, _| axle_app::Answer::new(201, json!({"id": webhook.value.id})),
    );
    made.await.unwrap();
    stage.world.clock.advance_secs(1);
    let at = stage.world.clock.now().plus_secs(60);
    let mut later = mail("ada@example.com");
    later["send_at"] = json!(at);
    let id = stage.queue(later).await;
    let trace_id = stage.record(id).await.trace_id;

    let waiting = trace(&stage, trace_id).await;
    assert_eq!((waiting.summary.status, waiting.summary.ended_at, waiting.spans.len()), (SpanStatus::Running, None, 2));
    assert_eq!(named(&waiting, name::WAIT).status, SpanStatus::Running);
    assert_eq!(named(&waiting, name::WAIT).parent_id, Some(named(&waiting, name::QUEUE).span_id));

    stage.settle().await;
    stage.later(61).await;
    stage.world.clock.advance_secs(1);
    let sent = stage.events().await.into_iter().find(|event| event.event_type == EventType::CommunicationSent).unwrap();
    let dispatcher = Dispatcher::new(stage.app().clone());
    // An event that is dispatched twice is delivered, and traced, once.
    for _ in 0..2 {
        assert_eq!(dispatcher.dispatch(&sent).await.unwrap(), 1);
    }
    let sent = trace(&stage, trace_id).await;
    let names: Vec<&str> = sent.spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, [name::QUEUE, name::WAIT, name::SEND, name::DELIVER]);
    let send = named(&sent, name::SEND);
    assert_eq!((send.status, send.parent_id), (SpanStatus::Ok, Some(named(&sent, name::QUEUE).span_id)));
    assert_eq!(send.attributes.get(attribute::MESSAGING_SYSTEM), Some(&json!("ses")));
    assert_eq!(send.attributes.get(attribute::COST), Some(&json!("0.0001")));
    assert_eq!(named(&sent, name::WAIT).ended_at(), Some(send.started_at));
    let deliver = named(&sent, name::DELIVER);
    assert_eq!((deliver.status, deliver.parent_id), (SpanStatus::Running, Some(send.span_id)));
    assert_eq!(sent.summary.status, SpanStatus::Running);
}

#[tokio::test]
async fn how_a_message_ends_is_how_its_trace_ends() {
    let stage = Stage::new().await;
    let (good, gone) = (stage.mail("good@example.com").await, stage.mail("gone@example.com").await);
    stage.suppress("gone@example.com").await;
    stage.settle().await;
    stage.world.sent.fail_next(SendError::permanent(Blame::Message, "too large"));
    let bad = stage.mail("bad@example.com").await;
    stage.settle().await;
    for (id, status, outcome) in
        [(good, SpanStatus::Ok, None), (gone, SpanStatus::Ok, Some("suppressed")), (bad, SpanStatus::Error, None)]
    {
        let trace = trace(&stage, stage.record(id).await.trace_id).await;
        assert_eq!(trace.summary.status, status);
        let send = named(&trace, name::SEND);
        assert_eq!(send.attributes.get(attribute::OUTCOME).and_then(|o| o.as_str()), outcome);
        assert_eq!(send.error.is_some(), status == SpanStatus::Error);
        assert!(trace.summary.ended_at.is_some());
    }
    let everything = TraceQuery::default();
    assert_eq!(pages(&stage, everything, Some(SpanStatus::Error), 20).await, [stage.record(bad).await.trace_id]);
    assert_eq!(pages(&stage, everything, Some(SpanStatus::Ok), 1).await.len(), 2);
    assert_eq!(pages(&stage, everything, Some(SpanStatus::Running), 20).await.len(), 0);
}

fn step(name: &str, subject: u32, at: Time, trace: TraceId) -> Span {
    Span::new(trace, name, subject, at)
}

#[tokio::test]
async fn a_leads_way_through_a_campaign_is_one_trace_and_listed_once() {
    let stage = Stage::new().await;
    let (entity, now) = (stage.entity, stage.world.clock.now());
    let (campaign, other) = (CampaignId::new_at(now), CampaignId::new_at(now));
    let table = stage.app().table().await;
    let mut of_campaign = Vec::new();
    for n in 0..7_i64 {
        let lead = LeadId::new_at(now);
        let of = if n < 5 { campaign } else { other };
        let trace = TraceId::of(format!("{entity}/{of}/{lead}"));
        assert_eq!(trace, TraceId::of(format!("{entity}/{of}/{lead}")));
        let at = now.plus_secs(n);
        let enriched = step(name::ENRICH, 1, at, trace).done(at.plus_millis(250));
        let scored = step(name::SCORE, 1, at.plus_secs(1), trace).parent(enriched.span_id).done(at.plus_secs(2));
        let parent = SpanId::of(trace, name::ENRICH, 1);
        assert_eq!(parent, enriched.span_id);
        // A worker that does it again, side by side with another, and one that is late to say that it began.
        let writes = [enriched.clone(), scored.clone(), scored, enriched, step(name::ENRICH, 1, at, trace)];
        for span in writes {
            table.put_span(&SpanRecord::new(entity, trace, span).campaign(Some(of)).lead(Some(lead))).await.unwrap();
        }
        // A second beginning of the same trace is no other trace.
        let root = step(&name::agent("follow_up"), 2, at.plus_secs(3), trace).done(at.plus_secs(4));
        table.put_span(&SpanRecord::new(entity, trace, root).campaign(Some(of)).lead(Some(lead))).await.unwrap();
        of_campaign.push((trace, lead));
    }
    let (whole, lead) = of_campaign[2];
    let found = trace(&stage, whole).await;
    assert_eq!((found.campaign_id, found.lead_id, found.spans.len()), (Some(campaign), Some(lead), 3));
    assert_eq!((found.summary.status, found.summary.duration_ms()), (SpanStatus::Ok, Some(4_000)));
    let newest_first = |ids: &[(TraceId, LeadId)]| ids.iter().rev().map(|(trace, _)| *trace).collect::<Vec<_>>();
    for limit in [1, 2, 3, 100] {
        assert_eq!(pages(&stage, TraceQuery::default(), None, limit).await, newest_first(&of_campaign));
        let query = TraceQuery { campaign_id: Some(campaign), lead_id: None };
        assert_eq!(pages(&stage, query, None, limit).await, newest_first(&of_campaign[..5]));
        let query = TraceQuery { campaign_id: None, lead_id: Some(lead) };
        assert_eq!(pages(&stage, query, None, limit).await, [whole]);
        let query = TraceQuery { campaign_id: Some(other), lead_id: Some(lead) };
        assert_eq!(pages(&stage, query, None, limit).await, []);
    }
}

#[tokio::test]
async fn another_tenant_finds_nothing_under_the_same_trace() {
    let stage = Stage::new().await;
    let id = stage.mail("ada@example.com").await;
    let trace_id = stage.record(id).await.trace_id;
    let stranger = Ctx { entity_id: EntityId::new_at(stage.world.clock.now()), ..stage.ctx() };
    assert!(matches!(traces::get(stage.app(), &stranger, trace_id).await, Err(Error::NotFound("trace"))));
    let page = PageRequest { cursor: None, limit: 20 };
    assert!(traces::list(stage.app(), &stranger, TraceQuery::default(), None, page).await.unwrap().items.is_empty());
    // Steps are kept 90 days.
    stage.settle().await;
    stage.world.clock.advance_secs(91 * 86_400);
    assert!(matches!(traces::get(stage.app(), &stage.ctx(), trace_id).await, Err(Error::NotFound("trace"))));
}

#[tokio::test]
async fn a_trace_without_end_is_cut() {
    let stage = Stage::new().await;
    let (table, trace_id, now) = (stage.app().table().await, TraceId::random(), stage.world.clock.now());
    let spans = (0..5_001_u32).map(|n| SpanRecord::new(stage.entity, trace_id, step(name::SCORE, n, now, trace_id).done(now)));
    for some in spans.collect::<Vec<_>>().chunks(90) {
        let mut tx = table.tx();
        some.iter().for_each(|span| tx.span(span));
        tx.commit().await.unwrap();
    }
    let found = trace(&stage, trace_id).await;
    assert_eq!((found.spans.len(), found.truncated), (5_000, true));
    let ids: BTreeSet<SpanId> = found.spans.iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), 5_000);
}
