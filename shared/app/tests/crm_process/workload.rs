//! A made-up working month, the same for the same seed.

use axle_app::crm::deals;
use axle_domain::event::{EventType, Subject, sample::sample};
use axle_domain::{CommunicationId, CompanyId, DealId};
use serde_json::json;

use crate::office::Office;

/// A small generator (splitmix64): what a test draws must not change with a library.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.roll(from.len() as u64) as usize) }
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.roll(i as u64 + 1) as usize);
        }
    }
}

const STAGES: [&str; 7] = ["new", "contacted", "qualified", "proposal", "negotiation", "won", "lost"];
const TYPES: [&str; 5] = ["call", "email", "meeting", "note", "task"];

#[derive(Default)]
pub struct Month {
    companies: Vec<CompanyId>,
    deals: Vec<DealId>,
    messages: Vec<CommunicationId>,
}

impl Month {
    /// One thing that somebody does; some time goes by.
    pub async fn step(&mut self, office: &Office, dice: &mut Dice) {
        office.world.clock.advance_secs(dice.roll(20_000) as i64);
        let now = office.app().now();
        match dice.roll(12) {
            0 => self.companies.push(office.company(dice.pick(&["prospect", "active", "inactive"]).unwrap()).await),
            1..=3 => {
                let stage = STAGES[dice.roll(7) as usize];
                let mut deal = json!({"title": "x", "stage": stage, "valueMinor": dice.roll(100_000), "currency": dice.pick(&["EUR", "INR"])});
                if stage == "lost" {
                    deal["lostReason"] = json!("price");
                }
                if dice.roll(3) > 0 {
                    deal["ownerUserId"] =
                        json!(axle_domain::UserId::from_uuid(uuid::Uuid::from_u128(1 + u128::from(dice.roll(3)))));
                }
                deal["companyId"] = json!(dice.pick(&self.companies));
                deal.as_object_mut().unwrap().retain(|_, v| !v.is_null());
                self.deals.push(office.deal(deal).await);
            }
            4..=6 => {
                if let Some(id) = dice.pick(&self.deals).copied() {
                    office.shift(id, STAGES[dice.roll(7) as usize]).await;
                }
            }
            7 => {
                if let Some(id) = dice.pick(&self.deals).copied() {
                    office.patch(id, json!({"valueMinor": dice.roll(100_000), "probability": null})).await.unwrap();
                }
            }
            8 if !self.deals.is_empty() => {
                let id = self.deals.swap_remove(dice.roll(self.deals.len() as u64) as usize);
                deals::delete(office.app(), &office.ctx(), id, None).await.unwrap();
            }
            9 => {
                let id = CommunicationId::new_at(now);
                self.messages.push(id);
                message(office, EventType::CommunicationSent, id, json!({"channel": "email", "provider": "smtp"})).await;
            }
            10 => {
                let Some(id) = dice.pick(&self.messages).copied() else { return };
                let (kind, data) = match dice.roll(3) {
                    0 => (EventType::CommunicationReplied, json!({})),
                    machine => (EventType::CommunicationOpened, json!({"machine": machine == 1})),
                };
                message(office, kind, id, data).await;
            }
            _ => {
                let kind = TYPES[dice.roll(5) as usize];
                let at = now.plus_secs(dice.roll(45 * 86_400) as i64 - 43 * 86_400);
                let mut input = json!({"type": kind, "subject": "x", "occurredAt": at});
                if kind == "task" {
                    input["dueAt"] = json!(axle_domain::Date::of(now.plus_days(dice.roll(20) as i64 - 10)));
                }
                office.note(input).await;
            }
        }
    }
}

async fn message(office: &Office, kind: EventType, id: CommunicationId, data: serde_json::Value) {
    let mut event = sample(kind, office.entity, office.app().now());
    (event.subject, event.data) = (Subject::new("communication", id), data);
    let mut tx = office.app().table().await.tx();
    tx.emit(&event, 90);
    tx.commit().await.unwrap();
}
