//! A campaign's numbers against a count by hand, whatever becomes of the events on their way, and after a repair.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use axle_app::outreach::campaigns::{self, Operation};
use axle_domain::CampaignId;
use axle_domain::campaign::metrics::Metrics;
use axle_domain::event::{Event, EventType, Subject};
use axle_testkit::TestTable;
use serde_json::json;

use crate::stage::{Stage, spec};

/// A small generator (splitmix64): what a test draws must not change with a library.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.roll(i + 1));
        }
    }
}

const VARIANTS: &str = r#"[{"step": 1, "channel": "email", "subject": "s", "body": "b",
    "variants": [{"name": "A", "weight": 1, "body": "a"}, {"name": "B", "weight": 1, "subject": "t"}]}]"#;

/// A campaign that was sent, and what people and machines then did, all of it in the event log and none of it told.
async fn busy(seed: u64) -> (Stage, CampaignId, Vec<Event>) {
    let (s, mut dice) = (Stage::new().await, Dice(seed));
    let leads = s.crowd(20).await;
    let id = s.launched(spec(VARIANTS, json!({"stop_on": []})), json!({})).await;
    s.settle().await;
    for _ in 0..80 {
        let lead = leads[dice.roll(leads.len())];
        let message = s.member(id, lead).await.messages[0].id;
        let of_message = Subject::new("communication", message);
        let url = "https://a.example/x";
        let (kind, subject, data) = match dice.roll(8) {
            0 | 1 => (EventType::CommunicationOpened, of_message, json!({"machine": false})),
            2 => (EventType::CommunicationOpened, of_message, json!({"machine": true})),
            3 => (EventType::CommunicationClicked, of_message, json!({"machine": false, "url": url})),
            4 => (EventType::CommunicationClicked, of_message, json!({"machine": true, "url": url})),
            5 => (
                EventType::CommunicationReplied,
                of_message,
                if dice.roll(2) == 0 { json!({}) } else { json!({"class": "out_of_office"}) },
            ),
            6 => (EventType::CommunicationBounced, of_message, json!({"kind": "soft"})),
            _ => (EventType::MeetingBooked, Subject::new("meeting", dice.roll(10)), json!({"starts_at": s.app().now()})),
        };
        s.happens(kind, subject, Some(id), lead, data).await;
    }
    let before = s.events.lock().unwrap().len();
    s.work().await;
    let new = s.events.lock().unwrap()[before..].to_vec();
    (s, id, new)
}

/// The same numbers, from the events as they are.
async fn by_hand(s: &Stage, id: CampaignId) -> (u64, u64, u64, u64, u64, u64, u64) {
    let all: Vec<Event> = s.events.lock().unwrap().iter().filter(|event| event.campaign_id == Some(id)).cloned().collect();
    let distinct = |of: &dyn Fn(&Event) -> bool| {
        let subjects: HashSet<(EventType, &str)> =
            all.iter().filter(|e| of(e)).map(|e| (e.event_type, e.subject.id.as_str())).collect();
        subjects.len() as u64
    };
    let machine = |event: &Event| event.data["machine"] == json!(true);
    (
        distinct(&|e| e.event_type == EventType::CommunicationSent),
        distinct(&|e| e.event_type == EventType::CommunicationOpened && !machine(e)),
        distinct(&|e| e.event_type == EventType::CommunicationClicked && !machine(e)),
        distinct(&|e| matches!(e.event_type, EventType::CommunicationOpened | EventType::CommunicationClicked) && machine(e)),
        distinct(&|e| e.event_type == EventType::CommunicationReplied && e.data["class"].is_null()),
        distinct(&|e| e.event_type == EventType::CommunicationBounced),
        distinct(&|e| e.event_type == EventType::MeetingBooked),
    )
}

async fn shown(s: &Stage, id: CampaignId) -> Metrics {
    s.overview(id).await.metrics
}

fn the_same(m: &Metrics) -> (u64, u64, u64, u64, u64, u64, u64) {
    (m.emails_sent, m.opens, m.clicks, m.machine_opens, m.replies, m.bounces, m.meetings_booked)
}

async fn repair(s: &Stage, id: CampaignId) -> campaigns::Repaired {
    let operation = Operation::Repair { entity_id: s.entity, campaign_id: id, from: None };
    campaigns::repair(s.app(), operation, Instant::now() + Duration::from_secs(60)).await.unwrap()
}

#[tokio::test]
async fn events_are_counted_as_by_hand_twice_late_and_in_any_order() {
    for seed in [1, 2] {
        let (s, id, events) = busy(seed).await;
        let mut dice = Dice(seed + 100);
        let mut told = [events.clone(), events].concat();
        dice.shuffle(&mut told);
        for event in &told {
            campaigns::hear(s.app(), event).await.unwrap();
        }
        let metrics = shown(&s, id).await;
        assert_eq!((the_same(&metrics), metrics.leads_targeted), (by_hand(&s, id).await, 20), "seed {seed}");
        let sum =
            |of: &dyn Fn(&axle_domain::campaign::metrics::VariantMetrics) -> u64| metrics.by_variant.iter().map(of).sum::<u64>();
        assert_eq!(
            (sum(&|v| v.emails_sent), sum(&|v| v.opens), sum(&|v| v.clicks), sum(&|v| v.replies)),
            (metrics.emails_sent, metrics.opens, metrics.clicks, metrics.replies)
        );
        assert_eq!(metrics.by_variant.iter().map(|v| v.variant.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert!(metrics.open_rate <= 1.0 && (metrics.open_rate - metrics.opens as f64 / 20.0).abs() < 1e-9);
        assert_eq!(repair(&s, id).await, campaigns::Repaired::default(), "there is nothing to repair");
    }
}

#[tokio::test]
async fn a_repair_makes_the_numbers_what_the_events_say() {
    let (s, id, _) = busy(7).await;
    // None of the events was ever told.
    let repaired = repair(&s, id).await;
    assert!(repaired.events > 0, "{repaired:?}");
    let right = shown(&s, id).await;
    assert_eq!(the_same(&right), by_hand(&s, id).await);
    // Marks are lost, and sums are wrong.
    let client = s.world.table.client();
    for kind in ["campaign_mark", "tally"] {
        let scan = client.scan().table_name(TestTable::NAME).filter_expression("#type = :type");
        let scan = scan.expression_attribute_names("#type", "type");
        let found =
            scan.expression_attribute_values(":type", AttributeValue::S(kind.to_owned())).send().await.unwrap().items.unwrap();
        let ours = found.into_iter().filter(|item| item["pk"].as_s().unwrap().contains(&format!("CAMPAIGN#{id}")));
        for item in ours.step_by(3) {
            let gone =
                client.delete_item().table_name(TestTable::NAME).key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
            gone.send().await.unwrap();
        }
    }
    assert_ne!(shown(&s, id).await, right);
    let repaired = repair(&s, id).await;
    assert!(repaired.events > 0 && repaired.sums > 0, "{repaired:?}");
    assert_eq!(shown(&s, id).await, right);
}
