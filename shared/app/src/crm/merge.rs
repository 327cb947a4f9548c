//! Merging records that turned out to be the same: one transaction, so a reader sees either all of it or nothing.
//!
//! The losers stay readable and name their winner; they are in no list. What was written for a losing *company* (places, deals,
//! activities) is not moved, however much there is: the winner knows the ids that it goes by, and readers ask for all of
//! them. A losing *contact's* places are few, and move with the merge.

use axle_domain::address::{Domain, Email};
use axle_domain::crm::{Hold, MAX_LOSERS, MergeCompaniesInput, MergeContactsInput};
use axle_domain::{CompanyId, ContactId, EntityId, Faults};
use axle_store::crm::companies::{self as store, CompanyDomainRecord, CompanyRecord};
use axle_store::crm::contacts::{self as contact_store, ContactEmailRecord, ContactRecord};
use axle_store::crm::memberships::CompanyMembershipRecord;
use axle_store::{CommitError, Key, Record, Table, Tx, Versioned};

use super::shared::RACES;
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::changed_meanwhile;

/// Records that one can absorb in all: each of its readers asks for all of them.
const MAX_ABSORBED: usize = 60;
/// Writes of a merge beside the idempotent answer: DynamoDB takes 100 in a transaction.
const MAX_WRITES: usize = 99;

fn too_much() -> Error {
    let detail = format!("there is too much to move at once: a record can absorb {MAX_ABSORBED} others in all");
    Error::invalid("/loserIds", detail)
}

/// Notes ids that are given twice, or that are the winner's.
fn check_ids<T: PartialEq>(winner: &T, losers: &[T]) -> Result<()> {
    let mut faults = Faults::new();
    faults.count("/loserIds", losers.len(), MAX_LOSERS);
    if losers.is_empty() {
        faults.add("/loserIds", "must name a record");
    }
    for (i, loser) in losers.iter().enumerate() {
        if loser == winner {
            faults.add(format!("/loserIds/{i}"), "is the winner");
        } else if losers[..i].contains(loser) {
            faults.add(format!("/loserIds/{i}"), "is named twice");
        }
    }
    faults.check().map_err(Error::Invalid)
}

/// A record that can be merged into another of its kind.
trait Mergeable: Record {
    type Id: Copy + PartialEq + std::fmt::Display + Sync;
    fn key_for(entity: EntityId, id: Self::Id) -> Key;
    fn merged_into(&self) -> Option<Self::Id>;
}

impl Mergeable for CompanyRecord {
    type Id = CompanyId;
    fn key_for(entity: EntityId, id: CompanyId) -> Key {
        Self::key_of(entity, id)
    }
    fn merged_into(&self) -> Option<CompanyId> {
        self.merged_into
    }
}

impl Mergeable for ContactRecord {
    type Id = ContactId;
    fn key_for(entity: EntityId, id: ContactId) -> Key {
        Self::key_of(entity, id)
    }
    fn merged_into(&self) -> Option<ContactId> {
        self.merged_into
    }
}

/// What a merge begins with: the winner, and the losers that are not merged yet.
struct Sides<T> {
    winner: Versioned<T>,
    losers: Vec<Versioned<T>>,
}

/// Reads both sides, and notes what is not there.
async fn sides<T: Mergeable>(table: &Table, ctx: &Ctx, winner_id: T::Id, loser_ids: &[T::Id]) -> Result<Sides<T>> {
    let mut faults = Faults::new();
    let winner = table.get::<T>(&T::key_for(ctx.entity_id, winner_id), ctx.now).await?;
    match winner.as_ref().map(|winner| winner.value.merged_into()) {
        None => faults.add("/winnerId", "no record has this id"),
        Some(Some(other)) => faults.add("/winnerId", format!("was merged into {other}; name that one")),
        Some(None) => {}
    }
    let mut losers = Vec::new();
    for (i, id) in loser_ids.iter().enumerate() {
        match table.get::<T>(&T::key_for(ctx.entity_id, *id), ctx.now).await? {
            None => faults.add(format!("/loserIds/{i}"), "no record has this id"),
            Some(loser) => match loser.value.merged_into() {
                None => losers.push(loser),
                // Done already: a merge can be repeated.
                Some(into) if into == winner_id => {}
                Some(into) => return Err(Error::Conflict(format!("{id} was merged into {into} before"))),
            },
        }
    }
    faults.check().map_err(Error::Invalid)?;
    let winner = winner.ok_or_else(|| Error::Internal("a missing winner was let through".to_owned()))?;
    Ok(Sides { winner, losers })
}

/// A merge's transaction, with its writes counted.
struct Writes<'a> {
    tx: Tx<'a>,
    count: usize,
}

impl<'a> Writes<'a> {
    /// The winner and the tally are always written.
    fn new(table: &'a Table) -> Self {
        Self { tx: table.tx(), count: 2 }
    }

    /// Room for one more write.
    fn one(&mut self) -> Result<&mut Tx<'a>> {
        self.count += 1;
        if self.count > MAX_WRITES { Err(too_much()) } else { Ok(&mut self.tx) }
    }
}

/// Merges companies. The winner keeps what it has and takes what it lacks; the losers' domains lead to it from now on.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Conflict`] if one was merged into another company before.
pub async fn companies(
    app: &App,
    ctx: &Ctx,
    input: &MergeCompaniesInput,
    answer: impl Fn(&Versioned<CompanyRecord>) -> Result<Answer>,
) -> Result<Answer> {
    check_ids(&input.winner_id, &input.loser_ids)?;
    let table = app.table().await;
    for _ in 0..RACES {
        let Sides { winner, losers } = sides::<CompanyRecord>(table, ctx, input.winner_id, &input.loser_ids).await?;
        if losers.is_empty() {
            return answer(&winner);
        }
        let mut work = CompanyMerge { ctx, table, writes: Writes::new(table), domains: Vec::new() };
        let merged = work.run(winner, losers).await?;
        let answer = answer(&merged)?;
        ctx.keep(&mut work.writes.tx, &answer);
        match work.writes.tx.commit().await {
            Ok(()) => return Ok(answer),
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(None))
}

struct CompanyMerge<'a> {
    ctx: &'a Ctx,
    table: &'a Table,
    writes: Writes<'a>,
    /// Domains that were looked at: a winner may have taken over a loser's.
    domains: Vec<Domain>,
}

impl CompanyMerge<'_> {
    async fn run(
        &mut self,
        winner: Versioned<CompanyRecord>,
        losers: Vec<Versioned<CompanyRecord>>,
    ) -> Result<Versioned<CompanyRecord>> {
        let Versioned { value: mut merged, version } = winner;
        let before = merged.status;
        let mut gone: Vec<(&str, i64)> = Vec::new();
        for loser in losers {
            merged.profile.fill_from(loser.value.profile.clone());
            merged.owner = merged.owner.or(loser.value.owner);
            // Its won deals hold the winner from now on.
            (merged.hold, merged.status) = Hold::join(merged.hold, merged.status, loser.value.hold);
            merged.absorbed.push(loser.value.id);
            merged.absorbed.extend(&loser.value.absorbed);
            let status = loser.value.status.as_str();
            match gone.iter_mut().find(|(name, _)| *name == status) {
                Some((_, n)) => *n -= 1,
                None => gone.push((status, -1)),
            }
            // Those that were merged into the loser before are the winner's now.
            for id in loser.value.absorbed.clone() {
                let key = CompanyRecord::key_of(self.ctx.entity_id, id);
                if let Some(before) = self.table.get::<CompanyRecord>(&key, self.ctx.now).await? {
                    self.redirect(before, &merged).await?;
                }
            }
            self.redirect(loser, &merged).await?;
        }
        if merged.absorbed.len() > MAX_ABSORBED {
            return Err(too_much());
        }
        merged.updated_at = self.ctx.now;
        let tx = &mut self.writes.tx;
        tx.replace("winner", &merged, version);
        tx.tally(merged.entity_id, store::BOARD, merged.id.uuid().as_u128(), &gone);
        tx.tally(merged.entity_id, store::BOARD, merged.id.uuid().as_u128(), &[(before.as_str(), -1)]);
        tx.tally(merged.entity_id, store::BOARD, merged.id.uuid().as_u128(), &[(merged.status.as_str(), 1)]);
        Ok(Versioned { value: merged, version: version + 1 })
    }

    /// Lets a company, and its domain, lead to the winner.
    async fn redirect(&mut self, company: Versioned<CompanyRecord>, winner: &CompanyRecord) -> Result<()> {
        let Versioned { value: company, version } = company;
        if let Some(domain) = &company.profile.domain {
            self.redirect_domain(domain, winner).await?;
        }
        let company =
            CompanyRecord { merged_into: Some(winner.id), absorbed: Vec::new(), hold: None, updated_at: self.ctx.now, ..company };
        self.writes.one()?.replace("loser", &company, version);
        Ok(())
    }

    /// A domain that somebody else has taken since is theirs.
    async fn redirect_domain(&mut self, domain: &Domain, winner: &CompanyRecord) -> Result<()> {
        if self.domains.contains(domain) {
            return Ok(());
        }
        self.domains.push(domain.clone());
        let key = CompanyDomainRecord::key_of(self.ctx.entity_id, domain);
        match self.table.get::<CompanyDomainRecord>(&key, self.ctx.now).await? {
            Some(held) if winner.absorbed.contains(&held.value.company_id) => {
                let record = CompanyDomainRecord { company_id: winner.id, ..held.value };
                self.writes.one()?.replace("domain", &record, held.version);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Merges contacts. The winner keeps what they have and takes what they lack; places move, one a company.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Conflict`] if one was merged into another contact before.
pub async fn contacts(
    app: &App,
    ctx: &Ctx,
    input: &MergeContactsInput,
    answer: impl Fn(&Versioned<ContactRecord>) -> Result<Answer>,
) -> Result<Answer> {
    check_ids(&input.winner_id, &input.loser_ids)?;
    let table = app.table().await;
    for _ in 0..RACES {
        let Sides { winner, losers } = sides::<ContactRecord>(table, ctx, input.winner_id, &input.loser_ids).await?;
        if losers.is_empty() {
            return answer(&winner);
        }
        let mut work = ContactMerge { ctx, table, writes: Writes::new(table), companies: Vec::new() };
        let merged = work.run(winner, losers).await?;
        let answer = answer(&merged)?;
        ctx.keep(&mut work.writes.tx, &answer);
        match work.writes.tx.commit().await {
            Ok(()) => return Ok(answer),
            Err(CommitError::Condition { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(None))
}

struct ContactMerge<'a> {
    ctx: &'a Ctx,
    table: &'a Table,
    writes: Writes<'a>,
    /// Companies that the winner is in.
    companies: Vec<CompanyId>,
}

impl ContactMerge<'_> {
    async fn run(
        &mut self,
        winner: Versioned<ContactRecord>,
        losers: Vec<Versioned<ContactRecord>>,
    ) -> Result<Versioned<ContactRecord>> {
        let Versioned { value: mut merged, version } = winner;
        let entity = self.ctx.entity_id;
        let places = self.table.company_memberships(entity, merged.id).await?;
        self.companies = places.into_iter().map(|place| place.value.company_id).collect();
        let gone = i64::try_from(losers.len()).unwrap_or(0);
        for loser in losers {
            merged.profile.fill_from(loser.value.profile.clone());
            merged.owner = merged.owner.or(loser.value.owner);
            merged.company_id = merged.company_id.or(loser.value.company_id);
            merged.absorbed.push(loser.value.id);
            merged.absorbed.extend(&loser.value.absorbed);
            for id in loser.value.absorbed.clone() {
                if let Some(before) = self.table.get(&ContactRecord::key_of(entity, id), self.ctx.now).await? {
                    self.redirect(before, merged.id)?;
                }
            }
            self.move_places(loser.value.id, merged.id).await?;
            if let Some(email) = &loser.value.profile.email {
                self.redirect_email(email, loser.value.id, merged.id).await?;
            }
            self.redirect(loser, merged.id)?;
        }
        if merged.absorbed.len() > MAX_ABSORBED {
            return Err(too_much());
        }
        merged.q = merged.profile.search_text();
        merged.updated_at = self.ctx.now;
        let tx = &mut self.writes.tx;
        tx.replace("winner", &merged, version);
        tx.tally(entity, contact_store::BOARD, merged.id.uuid().as_u128(), &[("all", -gone)]);
        Ok(Versioned { value: merged, version: version + 1 })
    }

    fn redirect(&mut self, contact: Versioned<ContactRecord>, winner: ContactId) -> Result<()> {
        let Versioned { value, version } = contact;
        let value = ContactRecord {
            merged_into: Some(winner),
            absorbed: Vec::new(),
            company_id: None,
            updated_at: self.ctx.now,
            ..value
        };
        self.writes.one()?.replace("loser", &value, version);
        Ok(())
    }

    async fn move_places(&mut self, from: ContactId, to: ContactId) -> Result<()> {
        for place in self.table.company_memberships(self.ctx.entity_id, from).await? {
            self.writes.one()?.delete("place", place.value.key(), place.version);
            if !self.companies.contains(&place.value.company_id) {
                self.companies.push(place.value.company_id);
                self.writes.one()?.create("place", &CompanyMembershipRecord { contact_id: to, ..place.value });
            }
        }
        Ok(())
    }

    async fn redirect_email(&mut self, email: &Email, from: ContactId, to: ContactId) -> Result<()> {
        let key = ContactEmailRecord::key_of(self.ctx.entity_id, email);
        match self.table.get::<ContactEmailRecord>(&key, self.ctx.now).await? {
            Some(record) if record.value.contact_id == from => {
                self.writes.one()?.replace("email", &ContactEmailRecord { contact_id: to, ..record.value }, record.version);
            }
            _ => {}
        }
        Ok(())
    }
}
