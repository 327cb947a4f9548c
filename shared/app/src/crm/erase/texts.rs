//! Texts that were written with what happened: timelines, events, kept answers, what webhooks answered.

use axle_domain::crm::erasure::Person;
use axle_domain::{DealId, MeetingId, WebhookId};
use axle_store::Item;
use axle_store::crm::erasure::{Texts, edit, texts_of};
use serde_json::{Value, json};
use uuid::Uuid;

use super::records::{clean_some, committed};
use super::{Done, Work, contended};
use crate::error::Result;

/// Items that are read at a time.
const PAGE: usize = 500;
/// Attempts at an item that others write.
const RACES: usize = 4;

/// A text about the person without them. What is JSON is read as such: quotes in it are written with a backslash.
fn clean(person: &Person, text: &str) -> Option<String> {
    if text.starts_with(['{', '['])
        && let Ok(mut value) = serde_json::from_str::<Value>(text)
    {
        return person.redact_json(&mut value, true).then(|| value.to_string());
    }
    person.redact(text, true)
}

/// The answer that showed the contact shows only that they are erased; other answers lose their names and addresses.
fn clean_answer(person: &Person, text: &str) -> Option<String> {
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && let Some(id) = value.get("id").and_then(Value::as_str)
        && (value.get("firstName").is_some() || value.get("first_name").is_some())
        && id.parse::<Uuid>().is_ok_and(|uuid| person.is_in(&uuid.to_string()))
    {
        return Some(json!({"id": id, "erased": true}).to_string());
    }
    clean(person, text)
}

impl Work<'_> {
    fn is_about_them(&self, item: &Item) -> bool {
        texts_of(item).into_iter().any(|text| self.person.is_in(text))
    }

    /// A page of items of which those about them are cleaned.
    async fn sweep(
        &self,
        texts: Texts,
        after: Option<&str>,
        place: &'static str,
        clean: fn(&Person, &str) -> Option<String>,
        done: &mut Done,
    ) -> Result<Option<String>> {
        let (items, next) = self.table.text_items(self.ctx.entity_id, texts, after, PAGE).await?;
        for item in items.into_iter().filter(|item| self.is_about_them(item)) {
            if matches!(texts, Texts::Events) {
                self.meeting(&item, done).await?;
            }
            self.tidy(item, place, clean, done).await?;
        }
        Ok(next)
    }

    /// Cleans an item that others may write at the same moment.
    async fn tidy(
        &self,
        item: Item,
        place: &'static str,
        clean: fn(&Person, &str) -> Option<String>,
        done: &mut Done,
    ) -> Result<()> {
        let mut found = Some(item);
        for _ in 0..RACES {
            let Some(mut item) = found.take() else { return Ok(()) };
            let before = item.clone();
            if !edit(&mut item, &mut |text| clean(&self.person, text)) {
                return Ok(());
            }
            if self.table.put_back(item).await? {
                done.note(place);
                return Ok(());
            }
            found = self.table.again(&before).await?;
        }
        Err(contended(place))
    }

    /// The meeting that an event tells of: it is found by nothing else. Others who take part stay in it.
    async fn meeting(&self, event: &Item, done: &mut Done) -> Result<()> {
        let told = texts_of(event).into_iter().find_map(|text| serde_json::from_str::<Value>(text).ok()?.get("subject").cloned());
        let Some(subject) = told.filter(|subject| subject["kind"] == "meeting") else { return Ok(()) };
        let Some(id) = subject["id"].as_str().and_then(|id| id.parse::<MeetingId>().ok()) else { return Ok(()) };
        for _ in 0..RACES {
            let Some(found) = self.table.meeting(self.ctx.entity_id, id, self.ctx.now).await? else { return Ok(()) };
            let mut meeting = found.value.clone();
            meeting.attendees.retain(|address| !self.person.is_in(address));
            clean_some(&self.person, &mut meeting.title);
            meeting.lead_id = meeting.lead_id.filter(|lead| !self.person.leads().contains(lead));
            let same = (&meeting.attendees, &meeting.title, meeting.lead_id)
                == (&found.value.attendees, &found.value.title, found.value.lead_id);
            if same {
                return Ok(());
            }
            let mut tx = self.table.tx();
            tx.replace("meeting", &meeting, found.version);
            if committed(tx.commit().await)? {
                done.note("meetings");
                return Ok(());
            }
        }
        Err(contended("a meeting"))
    }

    /// A deal's timeline; answers with the activities in it.
    pub(super) async fn timeline(&self, deal: DealId, done: &mut Done) -> Result<Vec<Uuid>> {
        let (mut activities, mut after) = (Vec::new(), None);
        loop {
            let texts = Texts::Timeline(deal);
            let (items, next) = self.table.text_items(self.ctx.entity_id, texts, after.as_deref(), PAGE).await?;
            for item in items {
                let kind = item.get("kind").and_then(|kind| kind.as_s().ok());
                if kind.is_some_and(|kind| kind == "activity") {
                    activities.extend(item.get("id").and_then(|id| id.as_s().ok()?.parse::<Uuid>().ok()));
                } else {
                    self.tidy(item, "timelines", clean, done).await?;
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(activities),
            }
        }
    }

    pub(super) async fn events(&mut self) -> Result<Done> {
        let mut done = Done::default();
        done.next = self.sweep(Texts::Events, self.erasure.after.as_deref(), "events", clean, &mut done).await?;
        Ok(done)
    }

    pub(super) async fn answers(&mut self) -> Result<Done> {
        let mut done = Done::default();
        done.next = self.sweep(Texts::Answers, self.erasure.after.as_deref(), "answers", clean_answer, &mut done).await?;
        Ok(done)
    }

    /// One endpoint after another, by their ids; the position is the endpoint's id and the place in its list.
    pub(super) async fn deliveries(&mut self) -> Result<Done> {
        let mut done = Done::default();
        let mut ids: Vec<WebhookId> =
            self.table.webhooks(self.ctx.entity_id, true).await?.iter().map(|webhook| webhook.value.id).collect();
        ids.sort_unstable();
        let at = self.erasure.after.clone().unwrap_or_default();
        let (from, after) = at.split_once('/').unwrap_or_default();
        let from = from.parse::<WebhookId>().ok();
        let mut ids = ids.into_iter().skip_while(|id| from.is_some_and(|from| *id < from));
        let Some(id) = ids.next() else { return Ok(done) };
        // One that was deleted meanwhile leaves its place to the next.
        let after = Some(after).filter(|after| from == Some(id) && !after.is_empty());
        let next = self.sweep(Texts::Deliveries(id), after, "webhookDeliveries", clean, &mut done).await?;
        done.next = next.map(|next| format!("{id}/{next}")).or_else(|| ids.next().map(|id| format!("{id}/")));
        Ok(done)
    }
}
