//! What is theirs goes, and what is only about them stays without them.

use axle_domain::address::Email;
use axle_domain::communication::{CommunicationStatus, SuppressionOrigin};
use axle_domain::crm::erasure::{ERASED, Person};
use axle_domain::crm::task::Related;
use axle_domain::lead::{IdentityKey, lead_id};
use axle_domain::text::fold;
use axle_domain::{ActivityId, CommunicationId, ContactId, DealId, LeadId};
use axle_store::communications::CommunicationRecord;
use axle_store::crm::activities::{ActivityQuery, ActivityRecord};
use axle_store::crm::contacts::{ContactEmailRecord, ContactRecord};
use axle_store::crm::deals::DealRecord;
use axle_store::crm::erasure::ErasureAlias;
use axle_store::crm::search::Kind;
use axle_store::crm::tasks::TaskRecord;
use axle_store::crm::timeline::TimelineRecord;
use axle_store::leads::{LeadQuery, Slot, SlotRecord};
use axle_store::suppressions::SuppressionRecord;
use axle_store::{CommitError, Record, Tx, Versioned};
use serde_json::Value;

use super::{Done, Work, contended};
use crate::crm::shared::RACES;
use crate::error::{Error, Result};
use crate::outreach::leads::{self, GENERATIONS};

/// Records that are read at a time.
const PAGE: usize = 200;
/// Writes of a transaction.
const AT_ONCE: usize = 90;

/// A text without the person, whom it is about.
fn clean(person: &Person, text: &mut String) -> bool {
    match person.redact(text, true) {
        Some(rest) => {
            *text = rest;
            true
        }
        None => false,
    }
}

pub(super) fn clean_some(person: &Person, text: &mut Option<String>) -> bool {
    text.as_mut().is_some_and(|text| clean(person, text))
}

/// Somebody else's write at the same moment is no failure: the loop looks again.
pub(super) fn committed(result: Result<(), CommitError>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(CommitError::Condition { .. }) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

impl Work<'_> {
    /// The contacts that they were besides, places, the place of their address, and suppressions.
    pub(super) async fn contact(&mut self) -> Result<Done> {
        let (entity, mut done) = (self.ctx.entity_id, Done::default());
        for id in self.contact_ids() {
            let places = self.table.company_memberships(entity, id).await?;
            for some in places.chunks(AT_ONCE) {
                let mut tx = self.table.tx();
                for place in some {
                    tx.remove("place", place.value.key());
                    done.note("memberships");
                }
                tx.commit().await?;
            }
            self.merged_contact(id, &mut done).await?;
        }
        for email in self.person.emails().clone() {
            let Ok(email) = Email::parse(&email) else { continue };
            self.place_of_email(&email).await?;
        }
        let addresses: Vec<String> = self.person.addresses().cloned().collect();
        for address in addresses {
            self.suppress(&address, &mut done).await?;
        }
        Ok(done)
    }

    /// A contact that they were.
    async fn merged_contact(&self, id: ContactId, done: &mut Done) -> Result<()> {
        let (entity, key) = (self.ctx.entity_id, ContactRecord::key_of(self.ctx.entity_id, id));
        for _ in 0..RACES {
            let Some(loser) = self.table.get::<ContactRecord>(&key, self.ctx.now).await? else { return Ok(()) };
            let mut tx = self.table.tx();
            tx.delete_contact(&loser.value, loser.version);
            tx.create("alias", &ErasureAlias { entity_id: entity, id, contact_id: self.erasure.id });
            if committed(tx.commit().await)? {
                done.note("contacts");
                return Ok(());
            }
        }
        Err(contended("a contact"))
    }

    /// What keeps an address for a contact that they were.
    async fn place_of_email(&self, email: &Email) -> Result<()> {
        let key = ContactEmailRecord::key_of(self.ctx.entity_id, email);
        for _ in 0..RACES {
            let held = self.table.get::<ContactEmailRecord>(&key, self.ctx.now).await?;
            let Some(held) = held.filter(|held| self.contact_ids().contains(&held.value.contact_id)) else { return Ok(()) };
            let mut tx = self.table.tx();
            tx.delete("email", key.clone(), held.version);
            if committed(tx.commit().await)? {
                return Ok(());
            }
        }
        Err(contended("the place of an address"))
    }

    /// What searches go through. No search shows them since the contact is deleted: what is found is fetched, and is not there.
    pub(super) async fn search(&self) -> Result<Done> {
        let mut done = Done::default();
        for (id, created_at) in &self.erasure.created {
            let removed = self.table.forget_in_search(self.ctx.entity_id, Kind::Contacts, id.uuid(), *created_at).await?;
            (0..removed).for_each(|_| done.note("searches"));
        }
        Ok(done)
    }

    /// Keeps an address on the suppression list, by its hash alone: nobody writes to them again, and nobody reads whom not.
    async fn suppress(&self, address: &str, done: &mut Done) -> Result<()> {
        let entity = self.ctx.entity_id;
        let id = self.app.address_hash(entity, address).await?;
        for _ in 0..RACES {
            let mut tx = self.table.tx();
            match self.table.suppression(entity, &id, self.ctx.now).await? {
                Some(known) if known.value.address == ERASED => return Ok(()),
                Some(Versioned { value, version }) => {
                    tx.replace("suppression", &SuppressionRecord { address: ERASED.to_owned(), reason: None, ..value }, version);
                }
                None => tx.create(
                    "suppression",
                    &SuppressionRecord {
                        entity_id: entity,
                        id: id.clone(),
                        address: ERASED.to_owned(),
                        reason: None,
                        origin: SuppressionOrigin::Erasure,
                        communication_id: None,
                        created_at: self.ctx.now,
                    },
                ),
            }
            if committed(tx.commit().await)? {
                done.note("suppressions");
                return Ok(());
            }
        }
        Err(contended("a suppression"))
    }

    /// Leads with one of their addresses. None if another call does the same.
    pub(super) async fn leads(&mut self) -> Result<Option<Done>> {
        let (entity, mut done) = (self.ctx.entity_id, Done::default());
        let after = self.erasure.after.clone();
        let (page, next) = self.table.leads(entity, &LeadQuery::default(), after.as_deref(), PAGE, self.ctx.now).await?;
        let theirs: Vec<_> = page.into_iter().filter(|lead| self.person.is_lead(&lead.value.profile)).collect();
        if !theirs.is_empty() {
            theirs.iter().for_each(|lead| self.person.add_lead(lead.value.id, &lead.value.profile));
            // Before they are gone: their ids stand in messages and events.
            if !self.save().await? {
                return Ok(None);
            }
        }
        for lead in theirs {
            match leads::delete(self.app, self.ctx, lead.value.id, None).await {
                Ok(()) => done.note("leads"),
                Err(Error::NotFound(_)) => {}
                Err(e) => return Err(e),
            }
        }
        done.next = next;
        if done.next.is_none() {
            self.slots().await?;
        }
        Ok(Some(done))
    }

    /// What stood for leads of theirs says whose it was no more. A lead that was made with an address of theirs and deleted since has left
    /// what campaigns and agents did for it, under the id that follows from the address.
    async fn slots(&mut self) -> Result<()> {
        let entity = self.ctx.entity_id;
        let identities: Vec<IdentityKey> = self.person.identities().map(IdentityKey::from).collect();
        for identity in identities {
            for generation in 0..GENERATIONS {
                let id = lead_id(entity, &identity, generation);
                let slot = self.give_up_slot(id).await?;
                // One that is there was not found to be theirs.
                if !matches!(slot, Slot::Lead(_)) {
                    self.person.add_former_lead(id);
                }
                if matches!(slot, Slot::Free) {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn give_up_slot(&self, id: LeadId) -> Result<Slot> {
        for _ in 0..RACES {
            let slot = self.table.slot(self.ctx.entity_id, id).await?;
            let Slot::Alias(alias) = &slot else { return Ok(slot) };
            let is_others = match alias.value.target {
                // It was not found to be theirs, though a number of theirs leads to it.
                Some(lead) => matches!(self.table.slot(self.ctx.entity_id, lead).await?, Slot::Lead(_)),
                None => false,
            };
            if is_others || alias.value.identity.is_empty() {
                return Ok(slot);
            }
            let mut tx = self.table.tx();
            tx.replace("slot", &SlotRecord { identity: String::new(), ..alias.value.clone() }, alias.version);
            if committed(tx.commit().await)? {
                return Ok(slot);
            }
        }
        Err(contended("the place of a lead"))
    }

    /// Deals stay, without them. Their timelines go first: who finds the deal cleaned has nothing left to do.
    pub(super) async fn deals(&mut self) -> Result<Done> {
        let mut done = Done::default();
        for id in self.erasure.deals.clone() {
            for activity in self.timeline(id, &mut done).await? {
                self.activity(ActivityId::from_uuid(activity), false, &mut done).await?;
            }
            self.deal(id, &mut done).await?;
        }
        Ok(done)
    }

    async fn deal(&self, id: DealId, done: &mut Done) -> Result<()> {
        let key = DealRecord::key_of(self.ctx.entity_id, id);
        for _ in 0..RACES {
            let found = self.table.get::<DealRecord>(&key, self.ctx.now).await?;
            let Some(Versioned { value: old, version }) = found else { return Ok(()) };
            let mut new = self.without_contact(&old);
            let profile = &mut new.profile;
            let mut changed = new.contact_id != old.contact_id || new.prospect_id != old.prospect_id;
            changed |= clean(&self.person, &mut profile.title);
            changed |= clean_some(&self.person, &mut profile.lost_reason) | clean_some(&self.person, &mut profile.source);
            changed |= profile.custom.values_mut().fold(false, |any, v: &mut Value| any | self.person.redact_json(v, true));
            if !changed {
                return Ok(());
            }
            new.q = new.profile.search_text();
            let mut tx = self.table.tx();
            tx.replace_deal(&old, &new, version);
            if committed(tx.commit().await)? {
                done.note("deals");
                return Ok(());
            }
        }
        Err(contended("a deal"))
    }

    fn without_contact(&self, deal: &DealRecord) -> DealRecord {
        let contact_id = deal.contact_id.filter(|id: &ContactId| !self.person.is_linked(id.uuid()));
        let prospect_id = deal.prospect_id.filter(|id| !self.person.leads().contains(id));
        DealRecord { contact_id, prospect_id, ..deal.clone() }
    }

    /// Activities with them.
    pub(super) async fn activities(&mut self) -> Result<Done> {
        let mut done = Done::default();
        let query = ActivityQuery { contacts: Some(self.contact_ids()), ..ActivityQuery::default() };
        for id in self.table.activity_ids(self.ctx.entity_id, &query).await? {
            self.activity(id, true, &mut done).await?;
        }
        Ok(done)
    }

    /// An activity keeps its type and time. One with the person keeps no text; one of a deal of theirs, what does not name them.
    async fn activity(&self, id: ActivityId, with_them: bool, done: &mut Done) -> Result<()> {
        let key = ActivityRecord::key_of(self.ctx.entity_id, id);
        for _ in 0..RACES {
            let found = self.table.get::<ActivityRecord>(&key, self.ctx.now).await?;
            let Some(Versioned { value: old, version }) = found else { return Ok(()) };
            let new = self.without_them_told(&old, with_them);
            if new.profile == old.profile && new.contact_id == old.contact_id {
                return Ok(());
            }
            let mut tx = self.table.tx();
            if let Some(deal) = old.deal_id {
                self.told_activity(&mut tx, deal, &old, &new).await?;
            }
            tx.replace("activity", &new, version);
            if committed(tx.commit().await)? {
                done.note("activities");
                return Ok(());
            }
        }
        Err(contended("an activity"))
    }

    fn without_them_told(&self, old: &ActivityRecord, with_them: bool) -> ActivityRecord {
        let mut new = old.clone();
        new.contact_id = old.contact_id.filter(|id| !self.person.is_linked(id.uuid()));
        if with_them || new.contact_id != old.contact_id {
            new.profile.subject = ERASED.to_owned();
            (new.profile.body, new.profile.outcome) = (None, None);
        } else {
            clean(&self.person, &mut new.profile.subject);
            clean_some(&self.person, &mut new.profile.body);
            clean_some(&self.person, &mut new.profile.outcome);
        }
        new
    }

    /// Its entry in the timeline of its deal, which may be somebody else's.
    async fn told_activity(&self, tx: &mut Tx<'_>, deal: DealId, old: &ActivityRecord, new: &ActivityRecord) -> Result<()> {
        let told = axle_domain::crm::timeline::Told::activity(new.id, new.kind, &new.profile);
        let (id, at, actor) = (old.id.uuid(), old.occurred_at, old.actor.clone());
        let mut entry = TimelineRecord::new(self.ctx.entity_id, deal, id, at, actor, told);
        entry.status = Some(new.kind.as_str().to_owned());
        (entry.company_id, entry.contact_id) = (new.company_id, new.contact_id);
        if let Some(there) = self.table.get::<TimelineRecord>(&entry.key(), self.ctx.now).await? {
            tx.replace("timeline", &entry, there.version);
        }
        Ok(())
    }

    /// Tasks about them, or about their deals. None if another call does the same.
    pub(super) async fn tasks(&mut self) -> Result<Option<Done>> {
        let (entity, mut done) = (self.ctx.entity_id, Done::default());
        let (page, next) = self.table.countable::<TaskRecord>(entity, self.erasure.after.as_deref(), PAGE, self.ctx.now).await?;
        let theirs: Vec<_> = page.into_iter().filter(|task| self.is_task(&task.value)).collect();
        if !theirs.is_empty() {
            theirs.iter().for_each(|task| self.person.link(task.value.id.uuid()));
            if !self.save().await? {
                return Ok(None);
            }
        }
        for task in theirs {
            self.task(task, &mut done).await?;
        }
        done.next = next;
        Ok(Some(done))
    }

    async fn task(&self, task: Versioned<TaskRecord>, done: &mut Done) -> Result<()> {
        let mut found = Some(task);
        for _ in 0..RACES {
            let Some(Versioned { value: mut task, version }) = found else { return Ok(()) };
            let about_them = |related: &Related| related.kind == "contact" || self.is_their_lead(&related.id);
            let mut changed = task.related.as_ref().is_some_and(about_them);
            task.related = task.related.filter(|related| !about_them(related));
            changed |= clean(&self.person, &mut task.title) | clean_some(&self.person, &mut task.description);
            if !changed {
                return Ok(());
            }
            task.q = fold(&task.title).chars().take(400).collect();
            let mut tx = self.table.tx();
            tx.replace("task", &task, version);
            if committed(tx.commit().await)? {
                done.note("tasks");
                return Ok(());
            }
            found = self.table.get(&TaskRecord::key_of(self.ctx.entity_id, task.id), self.ctx.now).await?;
        }
        Err(contended("a task"))
    }

    /// A lead of campaigns and agents, that is: deals are leads only to the CRM.
    fn is_their_lead(&self, id: &str) -> bool {
        id.parse().is_ok_and(|id| self.person.leads().contains(&id))
    }

    fn is_task(&self, task: &TaskRecord) -> bool {
        let related = task.related.as_ref();
        related.is_some_and(|related| related.id.parse().is_ok_and(|id| self.person.is_linked(id)))
            || related.is_some_and(|related| self.is_their_lead(&related.id))
            || self.person.is_in(&task.title)
            || task.description.as_deref().is_some_and(|text| self.person.is_in(text))
    }

    /// Messages to them: those that wait are cancelled, all become numbers. None if another call does the same.
    pub(super) async fn messages(&mut self) -> Result<Option<Done>> {
        let (entity, mut done) = (self.ctx.entity_id, Done::default());
        let after = self.erasure.after.clone();
        let (page, next) = self.table.all_communications(entity, after.as_deref(), PAGE, self.ctx.now).await?;
        let theirs: Vec<_> = page.into_iter().filter(|message| self.is_to_them(&message.value)).collect();
        if !theirs.is_empty() {
            theirs.iter().for_each(|message| self.person.link(message.value.id.uuid()));
            if !self.save().await? {
                return Ok(None);
            }
        }
        for message in theirs {
            self.message(message, &mut done).await?;
        }
        done.next = next;
        Ok(Some(done))
    }

    async fn message(&self, message: Versioned<CommunicationRecord>, done: &mut Done) -> Result<()> {
        let mut found = Some(message);
        for _ in 0..RACES {
            let Some(Versioned { value: old, version }) = found else { return Ok(()) };
            if old.status == CommunicationStatus::Processing {
                // Its worker will write down what becomes of it, the address included.
                done.blocked = true;
                return Ok(());
            }
            self.replies(old.id).await?;
            let mut tx = self.table.tx();
            tx.forget_recipient(&old, &self.without_recipient(&old), version);
            if committed(tx.commit().await)? {
                // One that came in meanwhile; from here on none is matched to it.
                self.replies(old.id).await?;
                crate::communications::send::give_back(self.app, &old, old.place.clone()).await;
                done.note("messages");
                return Ok(());
            }
            found = self.table.communication(self.ctx.entity_id, old.id, self.ctx.now).await?;
        }
        Err(contended("a message"))
    }

    /// What they wrote in answer to a message.
    async fn replies(&self, message: CommunicationId) -> Result<()> {
        let replies = self.table.replies(self.ctx.entity_id, message).await?;
        // Half of what a transaction can hold.
        for some in replies.chunks(50) {
            let mut tx = self.table.tx();
            some.iter().for_each(|reply| tx.remove("reply", reply.key()));
            committed(tx.commit().await)?;
        }
        Ok(())
    }

    fn is_to_them(&self, message: &CommunicationRecord) -> bool {
        message.contact_id.is_some_and(|id| self.person.is_linked(id.uuid()))
            || message.lead_id.is_some_and(|id| self.person.leads().contains(&id))
            || self.person.addresses().any(|address| *address == message.to)
    }

    fn without_recipient(&self, old: &CommunicationRecord) -> CommunicationRecord {
        let mut new = old.clone();
        if new.status == CommunicationStatus::Pending {
            new.status = CommunicationStatus::Cancelled;
        }
        new.to = ERASED.to_owned();
        (new.to_name, new.subject, new.timezone) = (None, None, None);
        (new.lead_id, new.contact_id) = (None, None);
        (new.message_id, new.provider_message_id) = (None, None);
        (new.due_at, new.place) = (None, None);
        clean_some(&self.person, &mut new.error);
        for attempt in &mut new.attempts {
            clean_some(&self.person, &mut attempt.error);
        }
        new.updated_at = self.ctx.now;
        new
    }
}
