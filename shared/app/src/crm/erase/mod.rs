//! Erasing a person: from the CRM, the leads, messages to them, events, kept answers, and stored files.
//!
//! It takes many transactions, so it is a record of how far it has come, and any call goes on from there. The first transaction deletes
//! the contact and makes that record, with what to look for sealed in it: from then on no reader finds them among the contacts. Then,
//! in this order: the contacts merged into them, their memberships and their address's place, and their addresses on the suppression
//! list as hashes, so nothing is sent to them from here on; their leads; their ways through campaigns, and what agents did for them, with
//! drafts and the traces that tell of it; deals, activities and tasks, which stay without them; messages with their replies; events, and
//! the meetings that they tell of; kept answers; answers of webhooks; files; what searches among very many contacts go through. A reader
//! between two of these finds texts about them that are yet to come, under ids that lead to nobody. The last one forgets what to look
//! for, and leaves a receipt.

mod agents;
mod campaigns;
mod files;
mod records;
mod texts;

use std::collections::BTreeMap;
use std::time::Instant;

use axle_domain::crm::erasure::Person;
use axle_domain::{ContactId, EntityId, Time};
use axle_store::crm::contacts::ContactRecord;
use axle_store::crm::deals::DealQuery;
use axle_store::crm::erasure::ErasureRecord;
use axle_store::{Key, Table, Versioned};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::shared::RACES;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;
use crate::outreach::leads::changed_meanwhile;

/// Whether everything of the person is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasureStatus {
    /// There is more to look through, or a message to them is being sent at this moment: ask again to go on.
    Running,
    Completed,
}

/// What was removed where.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub entity_id: EntityId,
    pub contact_id: ContactId,
    pub status: ErasureStatus,
    pub started_at: Time,
    /// Null until it is completed.
    pub completed_at: Option<Time>,
    /// Records that were deleted or cleaned, by where they were: `contacts`, `memberships`, `leads`, `campaignRuns`, `traceSteps`,
    /// `agentRuns`, `traces`, `deals`, `timelines`, `activities`, `tasks`, `messages`, `events`, `meetings`, `answers`, `webhookDeliveries`,
    /// `files`, `searches` (what those of a large tenant go through); and `suppressions`, of which hashes are kept.
    #[schema(example = json!({"contacts": 1, "memberships": 1, "messages": 3, "events": 7, "suppressions": 2}))]
    pub removed: BTreeMap<String, u64>,
    /// Of a completed one: HMAC-SHA256 in hex over the receipt without this field, as JSON with sorted keys and no white space, under a
    /// key of the deployment. Its operator can tell a true receipt by it.
    pub signature: Option<String>,
}

/// What a page of work came to.
#[derive(Default)]
struct Done {
    removed: BTreeMap<&'static str, u64>,
    /// Where to go on in this step.
    next: Option<String>,
    /// Something has to happen elsewhere first.
    blocked: bool,
}

impl Done {
    fn note(&mut self, place: &'static str) {
        *self.removed.entry(place).or_insert(0) += 1;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Contact,
    Leads,
    Campaigns,
    Agents,
    Deals,
    Activities,
    Tasks,
    Messages,
    Events,
    Answers,
    Deliveries,
    Files,
    Search,
}

impl Step {
    /// An erasure under way goes on at the place where it stopped: a new step before that place would be left out.
    const ALL: [Self; 13] = [
        Self::Contact,
        Self::Leads,
        // Before the agents' step takes their names from what is left of their traces.
        Self::Campaigns,
        Self::Agents,
        Self::Deals,
        Self::Activities,
        Self::Tasks,
        Self::Messages,
        Self::Events,
        Self::Answers,
        Self::Deliveries,
        Self::Files,
        Self::Search,
    ];
}

/// Erases a person until it is done or `deadline` comes. Asked again it goes on, or answers the same receipt.
///
/// # Errors
/// [`Error::NotFound`] for a contact who never was.
pub async fn erase(app: &App, ctx: &Ctx, id: ContactId, deadline: Instant) -> Result<Receipt> {
    let table = app.table().await;
    let mut id = id;
    for _ in 0..RACES {
        let key = ContactRecord::key_of(ctx.entity_id, id);
        match table.get::<ContactRecord>(&key, ctx.now).await? {
            Some(contact) => match contact.value.merged_into {
                // Who was merged is the same person.
                Some(winner)
                    if table.get::<ContactRecord>(&ContactRecord::key_of(ctx.entity_id, winner), ctx.now).await?.is_some() =>
                {
                    id = winner;
                }
                Some(winner) => return go_on(app, ctx, winner, deadline).await,
                None if begin(app, ctx, contact).await? => return go_on(app, ctx, id, deadline).await,
                None => {}
            },
            None => return go_on(app, ctx, id, deadline).await,
        }
    }
    Err(changed_meanwhile(None))
}

fn place(entity: EntityId, id: ContactId) -> String {
    format!("erasure/{entity}/{id}")
}

async fn seal(app: &App, erasure: &ErasureRecord, person: &Person) -> Result<String> {
    let json = serde_json::to_string(person).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(app.vault().seal(&json, &place(erasure.entity_id, erasure.id)).await?)
}

async fn open(app: &App, erasure: &ErasureRecord) -> Result<Option<Person>> {
    let Some(sealed) = &erasure.person else { return Ok(None) };
    let json = app.vault().open(sealed, &place(erasure.entity_id, erasure.id)).await?;
    serde_json::from_str(json.expose_secret()).map(Some).map_err(|e| Error::Internal(e.to_string()))
}

/// Deletes the contact, and notes what to look for. False if they were changed at the same moment.
async fn begin(app: &App, ctx: &Ctx, contact: Versioned<ContactRecord>) -> Result<bool> {
    let table = app.table().await;
    let Versioned { value: contact, version } = contact;
    let mut person = Person::default();
    person.add_contact(contact.id, &contact.profile);
    let mut created = BTreeMap::from([(contact.id, contact.created_at)]);
    let keys: Vec<Key> = contact.absorbed.iter().map(|id| ContactRecord::key_of(ctx.entity_id, *id)).collect();
    for loser in table.get_many_now::<ContactRecord>(&keys, ctx.now).await? {
        person.add_contact(loser.value.id, &loser.value.profile);
        created.insert(loser.value.id, loser.value.created_at);
    }
    let ids: Vec<ContactId> = std::iter::once(contact.id).chain(contact.absorbed.iter().copied()).collect();
    let deals = table.deal_ids(ctx.entity_id, &DealQuery { contacts: Some(ids), ..DealQuery::default() }).await?;
    deals.iter().for_each(|deal| person.link(deal.uuid()));
    let mut erasure = ErasureRecord {
        entity_id: ctx.entity_id,
        id: contact.id,
        absorbed: contact.absorbed.clone(),
        created,
        person: None,
        deals,
        step: 0,
        after: None,
        removed: BTreeMap::from([("contacts".to_owned(), 1)]),
        actor: ctx.actor.clone(),
        started_at: ctx.now,
        finished_at: None,
    };
    erasure.person = Some(seal(app, &erasure, &person).await?);
    let mut tx = table.tx();
    tx.create("erasure", &erasure);
    tx.delete_contact(&contact, version);
    audit::note(ctx, &mut tx, "contact.erased", contact.id, json!({}));
    Ok(tx.try_commit().await?)
}

async fn go_on(app: &App, ctx: &Ctx, id: ContactId, deadline: Instant) -> Result<Receipt> {
    let table = app.table().await;
    loop {
        let found = table.erasure(ctx.entity_id, id, ctx.now).await?.ok_or(Error::NotFound("contact"))?;
        let Some(person) = open(app, &found.value).await? else { return receipt(app, found.value).await };
        let mut work = Work { app, ctx, table, erasure: found.value, version: found.version, person, deadline };
        if !work.run().await? {
            // Another call goes on with the same; it knows where it is.
            continue;
        }
        return receipt(app, work.erasure).await;
    }
}

async fn receipt(app: &App, erasure: ErasureRecord) -> Result<Receipt> {
    let ErasureRecord { entity_id, id, removed, started_at, finished_at, .. } = erasure;
    let status = if finished_at.is_some() { ErasureStatus::Completed } else { ErasureStatus::Running };
    let mut receipt =
        Receipt { entity_id, contact_id: id, status, started_at, completed_at: finished_at, removed, signature: None };
    if finished_at.is_some() {
        let mut json = json!(receipt);
        if let Some(fields) = json.as_object_mut() {
            fields.remove("signature");
        }
        receipt.signature = Some(app.sign_receipt(&json.to_string()).await?);
    }
    Ok(receipt)
}

/// An erasure in progress.
struct Work<'a> {
    app: &'a App,
    ctx: &'a Ctx,
    table: &'a Table,
    erasure: ErasureRecord,
    version: u64,
    person: Person,
    deadline: Instant,
}

/// Others have been faster again and again: the next call goes on.
fn contended(what: &str) -> Error {
    Error::Unavailable(format!("{what} changes all the time"))
}

impl Work<'_> {
    /// Works until it is done or the deadline comes; false if another call does the same.
    async fn run(&mut self) -> Result<bool> {
        while let Some(step) = Step::ALL.get(usize::from(self.erasure.step)) {
            if Instant::now() >= self.deadline {
                return Ok(true);
            }
            let Some(done) = self.page(*step).await? else { return Ok(false) };
            for (place, n) in done.removed {
                *self.erasure.removed.entry(place.to_owned()).or_insert(0) += n;
            }
            if !done.blocked {
                self.erasure.step += u8::from(done.next.is_none());
                self.erasure.after = done.next;
            }
            if usize::from(self.erasure.step) == Step::ALL.len() {
                self.erasure.finished_at = Some(self.app.now());
                self.erasure.deals = Vec::new();
            }
            if !self.save().await? {
                return Ok(false);
            }
            if done.blocked {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// A page of a step; none if another call does the same.
    async fn page(&mut self, step: Step) -> Result<Option<Done>> {
        Ok(Some(match step {
            Step::Contact => self.contact().await?,
            Step::Leads => return self.leads().await,
            Step::Campaigns => self.campaigns().await?,
            Step::Agents => self.agents().await?,
            Step::Deals => self.deals().await?,
            Step::Activities => self.activities().await?,
            Step::Tasks => return self.tasks().await,
            Step::Messages => return self.messages().await,
            Step::Events => self.events().await?,
            Step::Answers => self.answers().await?,
            Step::Deliveries => self.deliveries().await?,
            Step::Files => self.files().await?,
            Step::Search => self.search().await?,
        }))
    }

    /// Writes down how far it has come, and what was learnt of the person.
    async fn save(&mut self) -> Result<bool> {
        self.erasure.person = match self.erasure.finished_at {
            Some(_) => None,
            None => Some(seal(self.app, &self.erasure, &self.person).await?),
        };
        let saved = self.table.save_erasure(&self.erasure, self.version).await?;
        self.version += 1;
        Ok(saved)
    }

    /// The contacts that they were.
    fn contact_ids(&self) -> Vec<ContactId> {
        std::iter::once(self.erasure.id).chain(self.erasure.absorbed.iter().copied()).collect()
    }
}
