//! Sums are exact: whoever writes at the same moment, whatever comes twice, however they are divided.

use std::sync::Arc;

use axle_app::insights::economics::{self, CostQuery, Costs};
use axle_app::{Ctx, Error};
use axle_domain::cost::{CostCategory, CostUnit, Grouping, Sums};
use axle_domain::{CampaignId, Date, EntityId, Micros, TraceId};
use axle_store::CommitError;
use axle_store::costs::{CostPlace, CostRecord};
use axle_testkit::World;
use serde_json::json;
use uuid::Uuid;

use crate::stage::{Stage, mail};

const CATEGORIES: &[CostCategory] = CostCategory::ALL;

fn system(world: &World, entity: EntityId) -> Ctx {
    Ctx::system(entity, "test", world.clock.now(), TraceId::random())
}

async fn costs(world: &World, entity: EntityId, grouping: Option<Grouping>) -> Costs {
    let query = CostQuery { grouping, ..CostQuery::default() };
    economics::costs(&world.app, &system(world, entity), query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_race_and_repeat_themselves_count_each_cost_once() {
    let world = World::new().await;
    let entity = EntityId::new_at(world.clock.now());
    let campaigns: Vec<CampaignId> = (1..=3).map(|n| CampaignId::from_uuid(Uuid::from_u128(n))).collect();
    let now = world.clock.now();
    let all: Vec<CostRecord> = (0_i64..60)
        .map(|n| {
            let pick = usize::try_from(n).unwrap();
            let amount = Micros(n * n * 37 + 1);
            let cost =
                CostRecord::new(entity, CATEGORIES[pick % 4], format!("thing {n}"), now.plus_days(-(n % 5)), amount, "test");
            let cost = cost.campaign(campaigns.get(pick % 4).copied());
            if n % 3 == 0 { cost } else { cost.agent(format!("agent {}", n % 3)) }
        })
        .collect();
    // Each of four workers records everything, from another place on.
    let app = Arc::clone(&world.app);
    let workers = (0..4_usize).map(|worker| {
        let (app, all) = (Arc::clone(&app), all.clone());
        tokio::spawn(async move {
            let mut new = 0;
            for n in 0..all.len() {
                let cost = &all[(n + worker * 15) % all.len()];
                new += usize::from(app.table().await.record_cost(cost).await.unwrap());
            }
            new
        })
    });
    let mut new = 0;
    for worker in workers.collect::<Vec<_>>() {
        new += worker.await.unwrap();
    }
    assert_eq!(new, all.len());
    let spent: i64 = all.iter().map(|cost| cost.micros.0).sum();
    for grouping in [None, Some(Grouping::Day), Some(Grouping::Campaign), Some(Grouping::Agent)] {
        let costs = costs(&world, entity, grouping).await;
        assert_eq!(costs.total.total(), Micros(spent));
        for category in CATEGORIES {
            let of_it = all.iter().filter(|cost| cost.category == *category).map(|cost| cost.micros.0);
            assert_eq!(costs.total.amount(*category), Micros(of_it.sum()));
        }
        let mut back = Sums::default();
        costs.groups.iter().for_each(|named| back.add(&named.group.sums));
        assert_eq!(back == costs.total, grouping.is_some());
    }
    let by_day = costs(&world, entity, Some(Grouping::Day)).await;
    let expected: i64 = all.iter().filter(|cost| Date::of(cost.at) == Date::of(now)).map(|cost| cost.micros.0).sum();
    assert_eq!(by_day.groups.last().unwrap().group.sums.total(), Micros(expected));
    assert_eq!(by_day.groups.len(), 5);
    let by_campaign = costs(&world, entity, Some(Grouping::Campaign)).await;
    assert_eq!(by_campaign.groups.iter().filter(|named| named.group.key.is_none()).count(), 1);
    // Another tenant has spent nothing.
    assert_eq!(costs(&world, EntityId::new_at(now), None).await.total, Sums::default());
}

#[tokio::test]
async fn a_known_cost_fails_its_transaction_and_adds_nothing() {
    let world = World::new().await;
    let entity = EntityId::new_at(world.clock.now());
    let cost = CostRecord::new(entity, CostCategory::AiInference, "run 1", world.clock.now(), Micros(5), "model");
    let table = world.app.table().await;
    for attempt in 0..2 {
        let mut tx = table.tx();
        tx.cost(&cost);
        match tx.commit().await {
            Ok(()) => assert_eq!(attempt, 0),
            Err(CommitError::Condition { label, .. }) => assert_eq!((attempt, label), (1, "cost")),
            Err(e) => panic!("{e}"),
        }
    }
    // The same thing in another category is another cost; nothing costs nothing.
    let other = CostRecord::new(entity, CostCategory::DataEnrichment, "run 1", world.clock.now(), Micros(7), "provider");
    assert!(table.record_cost(&other).await.unwrap());
    assert!(!table.record_cost(&CostRecord { micros: Micros::ZERO, ..other.clone() }).await.unwrap());
    assert_eq!(costs(&world, entity, None).await.total.total(), Micros(12));
}

#[tokio::test]
async fn a_sent_message_costs_its_price_once_and_one_that_fails_nothing() {
    let stage = Stage::new().await;
    for n in 0..3 {
        stage.mail(&format!("ada{n}@example.com")).await;
    }
    let mut webhook = mail("unused");
    webhook["channel"] = json!("sms");
    webhook["to"] = json!("+14155550123");
    webhook.as_object_mut().unwrap().remove("subject");
    stage.queue(webhook).await;
    stage.suppress("ada2@example.com").await;
    let jobs = stage.jobs().await;
    // Every job comes three times.
    for _ in 0..3 {
        stage.send(&jobs).await;
    }
    let sent = stage.world.sent.emails().len();
    assert_eq!(sent, 2);
    let costs = costs(&stage.world, stage.entity, Some(Grouping::Day)).await;
    assert_eq!(costs.total.count(CostUnit::Sent), stage.counts().await["sent"]);
    assert_eq!(costs.total.amount(CostCategory::ChannelCosts), Micros(2 * 100 + 6_450));
    assert_eq!(costs.total.per(CostUnit::Sent), Some(Micros(2_217)));
    assert_eq!(costs.total.per(CostUnit::Reply), None);
}

#[tokio::test]
async fn what_is_divided_by_counts_on_its_day_and_in_its_campaign() {
    let world = World::new().await;
    let (entity, now) = (EntityId::new_at(world.clock.now()), world.clock.now());
    let campaign = CampaignId::new_at(now);
    let place = |subject: u128, days: i64| CostPlace {
        entity_id: entity,
        at: now.plus_days(days),
        subject,
        campaign_id: Some(campaign),
        agent_id: None,
    };
    let table = world.app.table().await;
    for (subject, unit) in [(1, CostUnit::Reply), (2, CostUnit::Reply), (3, CostUnit::Meeting)] {
        let mut tx = table.tx();
        tx.cost_unit(&place(subject, 0), unit);
        tx.spent(&place(subject, 0), CostCategory::AiInference, Micros(10));
        tx.commit().await.unwrap();
    }
    let mut tx = table.tx();
    tx.cost_unit(&place(4, -40), CostUnit::Reply);
    tx.commit().await.unwrap();
    let found = costs(&world, entity, Some(Grouping::Campaign)).await;
    assert_eq!(found.groups[0].label, campaign.to_string());
    assert_eq!(found.groups[0].group.sums.per(CostUnit::Reply), Some(Micros(15)));
    assert_eq!(found.total.per(CostUnit::Meeting), Some(Micros(30)));
    let long_ago = CostQuery { from: Some(Date::of(now).plus_days(-40)), to: None, grouping: None };
    let all = economics::costs(&world.app, &system(&world, entity), long_ago).await.unwrap();
    assert_eq!(all.total.count(CostUnit::Reply), 3);
}

#[tokio::test]
async fn days_in_the_wrong_order_or_too_many_are_refused() {
    let world = World::new().await;
    let ctx = system(&world, EntityId::new_at(world.clock.now()));
    let day: Date = "2026-01-31".parse().unwrap();
    for (from, to, good) in [(0, 0, true), (1, 0, false), (0, 365, true), (0, 366, false)] {
        let query = CostQuery { from: Some(day.plus_days(from)), to: Some(day.plus_days(to)), grouping: None };
        match economics::costs(&world.app, &ctx, query).await {
            Ok(_) => assert!(good, "{from} {to}"),
            Err(Error::Invalid(faults)) => assert!(!good && faults[0].pointer == "?to", "{from} {to}"),
            Err(e) => panic!("{e}"),
        }
    }
}
