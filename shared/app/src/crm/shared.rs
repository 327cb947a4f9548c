//! What the use cases of the CRM share: numbered pages, patches, and references in bodies.

use axle_domain::crm::PageNumber;
use axle_domain::{CompanyId, ContactId, Faults};
use axle_store::Versioned;
use axle_store::crm::activities::ActivityRecord;
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::contacts::ContactRecord;
use axle_store::crm::deals::DealRecord;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Attempts against others who change the same record at the same moment.
pub(crate) const RACES: usize = 8;

/// One page of a numbered listing.
#[derive(Clone, Debug)]
pub struct Numbered<T> {
    pub items: Vec<T>,
    pub page: PageNumber,
    /// On all pages.
    pub total: u64,
}

impl<T> Numbered<T> {
    /// The page of a list that is all there.
    pub fn cut(all: Vec<T>, page: PageNumber) -> Self {
        let total = all.len() as u64;
        Self { items: page.cut(all), page, total }
    }
}

/// An input with a merge patch (RFC 7396) applied. `required` fields cannot be cleared.
///
/// # Errors
/// [`Error::Invalid`]
pub(crate) fn patched<T: Serialize + DeserializeOwned + ToSchema + 'static>(
    current: &T,
    change: &Value,
    required: &[&str],
) -> Result<T> {
    let mut faults = Faults::new();
    for field in required {
        if change.get(*field).is_some_and(Value::is_null) {
            faults.add(format!("/{field}"), "cannot be cleared");
        }
    }
    faults.check().map_err(Error::Invalid)?;
    crate::input::patched(current, change)
}

/// The company that a body names at `pointer`: itself, or the one that it was merged into. An unknown one is a fault.
pub(crate) async fn find_company(
    app: &App,
    ctx: &Ctx,
    pointer: &str,
    id: CompanyId,
    faults: &mut Faults,
) -> Result<Option<CompanyId>> {
    match super::companies::get(app, ctx, id).await {
        Ok(company) => Ok(Some(company.value.merged_into.unwrap_or(id))),
        Err(Error::NotFound(_)) => {
            faults.add(pointer, "no company has this id");
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// The person that a body names at `pointer`: themselves, or whom they were merged into. An unknown one is a fault.
pub(crate) async fn find_contact(
    app: &App,
    ctx: &Ctx,
    pointer: &str,
    id: ContactId,
    faults: &mut Faults,
) -> Result<Option<ContactId>> {
    match super::contacts::get(app, ctx, id).await {
        Ok(contact) => Ok(Some(contact.value.merged_into.unwrap_or(id))),
        Err(Error::NotFound(_)) => {
            faults.add(pointer, "no contact has this id");
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Every id that a company of a filter goes by, with those of the companies merged into it. One that is not there matches nothing.
pub(crate) async fn company_ids(app: &App, ctx: &Ctx, id: CompanyId) -> Result<Vec<CompanyId>> {
    let mut id = id;
    // A loser of a merge names its winner.
    for _ in 0..2 {
        match super::companies::get(app, ctx, id).await {
            Ok(company) => match company.value.merged_into {
                Some(winner) => id = winner,
                None => return Ok(company.value.ids()),
            },
            Err(Error::NotFound(_)) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(vec![id])
}

/// The same of a person.
pub(crate) async fn contact_ids(app: &App, ctx: &Ctx, id: ContactId) -> Result<Vec<ContactId>> {
    let mut id = id;
    for _ in 0..2 {
        match super::contacts::get(app, ctx, id).await {
            Ok(contact) => match contact.value.merged_into {
                Some(winner) => id = winner,
                None => return Ok(std::iter::once(id).chain(contact.value.absorbed).collect()),
            },
            Err(Error::NotFound(_)) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(vec![id])
}

/// A record that names a company or a person by the id that they had when it was written.
pub(crate) trait Linked {
    fn links(&mut self) -> (Option<&mut CompanyId>, Option<&mut ContactId>);
}

impl Linked for CompanyRecord {
    fn links(&mut self) -> (Option<&mut CompanyId>, Option<&mut ContactId>) {
        (None, None)
    }
}

impl Linked for ContactRecord {
    fn links(&mut self) -> (Option<&mut CompanyId>, Option<&mut ContactId>) {
        (self.company_id.as_mut(), None)
    }
}

impl Linked for DealRecord {
    fn links(&mut self) -> (Option<&mut CompanyId>, Option<&mut ContactId>) {
        (self.company_id.as_mut(), self.contact_id.as_mut())
    }
}

impl Linked for ActivityRecord {
    fn links(&mut self) -> (Option<&mut CompanyId>, Option<&mut ContactId>) {
        (self.company_id.as_mut(), self.contact_id.as_mut())
    }
}

/// Records as they are shown: companies and people that were merged since go by their winners' ids. Half a read unit for each company
/// and person.
pub(crate) async fn show_current<T: Linked>(app: &App, ctx: &Ctx, records: &mut [Versioned<T>]) -> Result<()> {
    let (mut companies, mut contacts) = (Vec::new(), Vec::new());
    for record in records.iter_mut() {
        let (company, contact) = record.value.links();
        companies.extend(company.map(|id| *id));
        contacts.extend(contact.map(|id| *id));
    }
    let table = app.table().await;
    let companies = table.current_companies(ctx.entity_id, companies, ctx.now).await?;
    let contacts = table.current_contacts(ctx.entity_id, contacts, ctx.now).await?;
    for record in records {
        let (company, contact) = record.value.links();
        if let Some(id) = company {
            *id = companies.get(id).copied().unwrap_or(*id);
        }
        if let Some(id) = contact {
            *id = contacts.get(id).copied().unwrap_or(*id);
        }
    }
    Ok(())
}

/// The same of one record.
pub(crate) async fn shown<T: Linked>(app: &App, ctx: &Ctx, record: Versioned<T>) -> Result<Versioned<T>> {
    let mut one = [record];
    show_current(app, ctx, &mut one).await?;
    let [record] = one;
    Ok(record)
}
