//! One row, one lead.
//!
//! Every write here recognises itself when it is repeated: a lead names the row that made it and the row that last changed it.

use std::future::Future;
use std::time::Duration;

use axle_domain::lead::{IdentityKey, lead_id};
use axle_domain::{Faults, LeadId};
use axle_store::imports::{ImportRecord, OnDuplicate};
use axle_store::leads::{ImportRef, LeadRecord, MembershipRecord, Slot};
use axle_store::{PutOutcome, Table, Versioned};
use uuid::Uuid;

use super::rows::RowLead;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{GENERATIONS, new_record};

/// Name space of the ids of leads that are imported without de-duplication (a UUIDv4 made for this purpose).
const ROWS: Uuid = Uuid::from_u128(0x9be3_1c07_52ad_4f6e_a4d8_60f3_7b15_c2e9);

/// Attempts against others who change the same lead at the same moment.
const RACES: usize = 32;
/// Attempts against a table that is throttled or away; the waits between them add up to 10 s or so.
const ATTEMPTS: u32 = 9;

/// What a row came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Created,
    Updated,
    Skipped,
    /// The reason, for whoever sent the row.
    Failed(String),
}

/// Writes the rows of one import.
pub(super) struct Writer<'a> {
    app: &'a App,
    table: &'a Table,
    import: &'a ImportRecord,
    ctx: Ctx,
}

/// What became of a try to make a row's lead.
enum Made {
    /// This row made it, now or earlier.
    Here(LeadId),
    /// Another has the identity; its record, if it was at hand.
    Held(LeadId, Option<Box<Versioned<LeadRecord>>>),
    /// Too many leads have given up the identity.
    Nowhere,
}

impl<'a> Writer<'a> {
    pub(super) fn new(app: &'a App, table: &'a Table, import: &'a ImportRecord) -> Self {
        let ctx = Ctx::system(import.entity_id, "import-worker", app.now(), import.trace_id);
        Self { app, table, import, ctx }
    }

    /// Brings one row to its end. Repeated, it comes to the same end and changes nothing.
    pub(super) async fn write(&self, row: u64, lead: &RowLead) -> Result<Outcome> {
        let (outcome, id) = match self.import.options.dedupe {
            true => self.one_of_its_kind(row, lead).await?,
            false => (Outcome::Created, Some(self.one_of_many(row, lead).await?)),
        };
        if let (Some(campaign_id), Some(lead_id)) = (self.import.options.campaign_id, id) {
            let added_at = self.app.now();
            let membership = MembershipRecord { entity_id: self.import.entity_id, campaign_id, lead_id, added_at };
            patiently(|| self.table.put_new(&membership)).await?;
        }
        Ok(outcome)
    }

    async fn one_of_its_kind(&self, row: u64, lead: &RowLead) -> Result<(Outcome, Option<LeadId>)> {
        for _ in 0..RACES {
            let (id, known) = match self.make(row, lead).await? {
                Made::Here(id) => return Ok((Outcome::Created, Some(id))),
                Made::Held(id, _) if self.import.options.on_duplicate == OnDuplicate::Skip => {
                    return Ok((Outcome::Skipped, Some(id)));
                }
                Made::Held(id, known) => (id, known),
                Made::Nowhere => return Ok((Outcome::Failed("too many leads have given up this address".to_owned()), None)),
            };
            match self.update(row, id, known, lead).await? {
                Some(Outcome::Failed(reason)) => return Ok((Outcome::Failed(reason), None)),
                Some(outcome) => return Ok((outcome, Some(id))),
                // The lead has gone or has another address now.
                None => {}
            }
        }
        Err(Error::Unavailable("a lead keeps changing hands".to_owned()))
    }

    /// Puts the lead where its identity says, unless one is there: a single conditional put, without a look before.
    async fn make(&self, row: u64, lead: &RowLead) -> Result<Made> {
        for generation in 0..GENERATIONS {
            let id = lead_id(self.import.entity_id, &lead.identity, generation);
            let record = self.record(row, id, Some(&lead.identity), lead);
            let PutOutcome::Exists(item) = patiently(|| self.table.put_new(&record)).await? else { return Ok(Made::Here(id)) };
            let slot = Slot::read(Some(item))?;
            let holder = slot.holder(&lead.identity);
            match (slot, holder) {
                (Slot::Lead(there), _) if there.value.made_by == record.made_by => return Ok(Made::Here(id)),
                (Slot::Lead(there), Some(holder)) => return Ok(Made::Held(holder, Some(there))),
                (_, Some(holder)) => return Ok(Made::Held(holder, None)),
                // Given up: the next generation's slot may be free.
                _ => {}
            }
        }
        Ok(Made::Nowhere)
    }

    /// Puts a lead of its own for a row that is not compared with others.
    async fn one_of_many(&self, row: u64, lead: &RowLead) -> Result<LeadId> {
        let name = format!("{}/{}/{row}", self.import.entity_id, self.import.id);
        let id = LeadId::from_uuid(Uuid::new_v5(&ROWS, name.as_bytes()));
        let record = self.record(row, id, None, lead);
        // If it exists, this row was here before.
        patiently(|| self.table.put_new(&record)).await?;
        Ok(id)
    }

    fn record(&self, row: u64, id: LeadId, identity: Option<&IdentityKey>, lead: &RowLead) -> LeadRecord {
        LeadRecord {
            created_at: self.app.now(),
            made_by: Some(self.reference(row)),
            ..new_record(&self.ctx, id, identity, lead.profile.clone())
        }
    }

    fn reference(&self, row: u64) -> ImportRef {
        ImportRef { job: self.import.id.to_string(), row }
    }

    /// Takes a row's values over into the lead that is there already; `None` if it does not have the identity any more.
    async fn update(
        &self,
        row: u64,
        id: LeadId,
        mut known: Option<Box<Versioned<LeadRecord>>>,
        lead: &RowLead,
    ) -> Result<Option<Outcome>> {
        let this = self.reference(row);
        for _ in 0..RACES {
            let Versioned { value: mut there, version } = match known.take() {
                Some(known) => *known,
                None => match patiently(|| self.table.slot(self.import.entity_id, id)).await? {
                    Slot::Lead(there) => *there,
                    _ => return Ok(None),
                },
            };
            if there.identity.as_deref() != Some(lead.identity.as_str()) {
                return Ok(None);
            }
            if there.changed_by.as_ref().is_some_and(|by| by.job == this.job && by.row >= this.row) {
                return Ok(Some(Outcome::Updated));
            }
            let mut merged = there.profile.clone();
            merged.update_from(lead.profile.clone());
            if merged == there.profile {
                return Ok(Some(Outcome::Updated));
            }
            let mut faults = Faults::new();
            merged.to_input().parse(&mut faults);
            if let Some(fault) = faults.into_vec().into_iter().find(|fault| fault.pointer == "/custom") {
                return Ok(Some(Outcome::Failed(format!("with this row's values, the lead's custom fields {}", fault.detail))));
            }
            there.q = merged.search_text();
            there.profile = merged;
            there.updated_at = Some(self.app.now());
            there.changed_by = Some(this.clone());
            if patiently(|| self.table.save_lead(&there, version)).await? {
                return Ok(Some(Outcome::Updated));
            }
        }
        Err(Error::Unavailable("a lead keeps being changed".to_owned()))
    }
}

/// Repeats what fails for the moment. An import asks for more than a table that was idle can give at once; DynamoDB grows with
/// what is asked of it, but not within the client library's own few attempts.
async fn patiently<T, F>(mut request: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = axle_store::Result<T>>,
{
    let mut attempt = 0;
    loop {
        match request().await {
            Err(axle_store::Error::Unavailable(_)) if attempt + 1 < ATTEMPTS => {}
            other => return other.map_err(Error::from),
        }
        let [byte]: [u8; 1] = axle_domain::id::entropy();
        let ceiling = 50_u64 << attempt;
        tokio::time::sleep(Duration::from_millis(ceiling / 2 + ceiling * u64::from(byte) / 510)).await;
        attempt += 1;
    }
}
