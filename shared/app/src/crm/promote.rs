//! Prospects and the CRM: who answers well or meets us becomes a person and a deal there; and whose sequences end with a deal.

use std::collections::BTreeSet;

use axle_domain::address::Domain;
use axle_domain::crm::deal::DealInput;
use axle_domain::crm::stage::Stage;
use axle_domain::crm::{CompanyInput, ContactInput, CustomRules};
use axle_domain::lead::{IdentityKey, LeadProfile};
use axle_domain::{CompanyId, ContactId, DealId, Faults, LeadId, enrich};
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::contacts::ContactRecord;
use axle_store::crm::deals::DealRecord;
use axle_store::leads::{LeadRecord, Promotion, Slot};
use axle_store::{CommitError, Tx, Versioned};
use uuid::Uuid;

use super::races::wait_for_others;
use super::stages::{self, Way};
use super::{companies, contacts, deals, memberships};
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::{Place, find_place};

/// Attempts against others who make the same company, contact or deal at the same moment.
const RACES: u32 = 16;
/// Name space of what follows from a prospect (a UUIDv4 made for this purpose).
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_9d21_7be4_4e1b_9a63_c8d1_20f7_4a96);
/// Where promoted deals come from.
const SOURCE: &str = "outreach";

/// Promotes a prospect: finds or makes the company by its domain and the person by their address, and opens a deal in `stage`, each linked
/// with the other, in one transaction. One that is promoted already has one deal and gets no second, unless that was deleted; if it stands
/// before `stage`, it is moved there. A prospect that was deleted and made again finds the deal that it had. One that is gone is no fault.
pub(crate) async fn promote(app: &App, ctx: &Ctx, id: LeadId, stage: Stage) -> Result<Option<DealId>> {
    let table = app.table().await;
    for attempt in 0..RACES {
        let Slot::Lead(lead) = table.slot(ctx.entity_id, id).await? else { return Ok(None) };
        let Versioned { value: mut lead, version } = *lead;
        let name = match &lead.promotion {
            None => format!("{}/{id}", ctx.entity_id),
            Some(promotion) => match further(app, ctx, promotion.deal_id, stage).await? {
                Some(deal) => return Ok(Some(deal)),
                None => format!("{}/{id}/{}", ctx.entity_id, promotion.deal_id),
            },
        };
        let deal_id = DealId::from_uuid(Uuid::new_v5(&NAMESPACE, name.as_bytes()));
        let mut tx = table.tx();
        let company = company(app, ctx, &mut tx, &lead.profile).await?;
        let contact = contact(app, ctx, &mut tx, &lead.profile, company).await?;
        lead.promotion = Some(Promotion { contact_id: contact, deal_id });
        lead.updated_at = Some(ctx.now);
        tx.replace("lead", &lead, version);
        if find(app, ctx, deal_id).await?.is_some() {
            if tx.try_commit().await? {
                return further(app, ctx, deal_id, stage).await;
            }
            wait_for_others(attempt).await;
            continue;
        }
        let wish = DealInput {
            title: title(&lead),
            company_id: company,
            contact_id: Some(contact),
            stage: Some(stage),
            source: Some(SOURCE.to_owned()),
            ..DealInput::default()
        };
        let mut faults = Faults::new();
        let (profile, place) = wish.parse(&mut faults);
        faults.check().map_err(Error::Invalid)?;
        let mut deal = deals::new_deal(ctx, deal_id, profile, place);
        deal.prospect_id = Some(id);
        stages::consequences(app, ctx, &mut tx, None, Some(&mut deal), &Way::Patch).await?;
        tx.create_deal(&deal);
        match tx.commit().await {
            Ok(()) => return Ok(Some(deal_id)),
            // Somebody else made one of these, or changed the prospect: look again.
            Err(CommitError::Condition { .. }) => wait_for_others(attempt).await,
            Err(e) => return Err(e.into()),
        }
    }
    Err(Error::Unavailable("a prospect keeps changing".to_owned()))
}

async fn find(app: &App, ctx: &Ctx, id: DealId) -> Result<Option<DealRecord>> {
    match deals::get(app, ctx, id).await {
        Ok(deal) => Ok(Some(deal.value)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Moves the deal of a promoted prospect on, unless people have taken it further, or elsewhere.
async fn further(app: &App, ctx: &Ctx, id: DealId, stage: Stage) -> Result<Option<DealId>> {
    let Some(deal) = find(app, ctx, id).await? else { return Ok(None) };
    let early = matches!(deal.stage, Stage::New | Stage::Contacted);
    if early && stage == Stage::Qualified {
        let wish = axle_domain::crm::deal::StageInput { stage, lost_reason: None, note: None };
        stages::shift(app, ctx, id, wish, None).await?;
    }
    Ok(Some(id))
}

fn title(lead: &LeadRecord) -> String {
    let profile = &lead.profile;
    let name = full_name(profile);
    let company = profile.company.name.clone();
    let email = || profile.email.clone().map(String::from);
    let text = match (company, name) {
        (Some(company), Some(name)) => format!("{company}: {name}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => email().unwrap_or_else(|| "A prospect".to_owned()),
    };
    text.chars().take(200).collect()
}

fn full_name(profile: &LeadProfile) -> Option<String> {
    let name = [profile.first_name.as_deref(), profile.last_name.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(name).filter(|name| !name.is_empty())
}

/// The company's domain: its own, or that of the person's address if that is not a mail provider's.
fn domain_of(profile: &LeadProfile) -> Option<Domain> {
    let of_mail = || profile.email.as_ref().map(|email| email.domain()).filter(|domain| !enrich::is_mail_provider(domain));
    profile.company.domain.clone().or_else(|| Domain::parse(of_mail()?).ok())
}

/// The company of a domain, made if there is none. Without a domain there is none.
async fn company(app: &App, ctx: &Ctx, tx: &mut Tx<'_>, profile: &LeadProfile) -> Result<Option<CompanyId>> {
    let Some(domain) = domain_of(profile) else { return Ok(None) };
    if let Some(known) = app.table().await.company_of_domain(ctx.entity_id, &domain, ctx.now).await? {
        return match companies::current(app, ctx, known).await {
            Ok(company) => Ok(Some(company.id)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(e) => Err(e),
        };
    }
    let input = CompanyInput {
        name: profile.company.name.clone().unwrap_or_else(|| domain.as_str().to_owned()),
        domain: Some(domain.as_str().to_owned()),
        website: profile.company.website.clone(),
        industry: profile.company.industry.clone(),
        size: profile.company.size.clone(),
        ..CompanyInput::default()
    };
    // Fields of the tenant's own are for people to fill.
    let company: CompanyRecord = companies::new_company(ctx, &CustomRules::default(), input)?;
    companies::add_company(app, ctx, tx, &company);
    Ok(Some(company.id))
}

/// A contact, or the one that they were merged into.
async fn current(app: &App, ctx: &Ctx, id: ContactId) -> Result<Option<Versioned<ContactRecord>>> {
    let get = async |id| match contacts::get(app, ctx, id).await {
        Err(Error::NotFound(_)) => Ok(None),
        other => other.map(Some),
    };
    match get(id).await? {
        Some(Versioned { value: ContactRecord { merged_into: Some(winner), .. }, .. }) => get(winner).await,
        other => Ok(other),
    }
}

/// The person of an address, made if there is none, and in the company either way.
async fn contact(app: &App, ctx: &Ctx, tx: &mut Tx<'_>, profile: &LeadProfile, company: Option<CompanyId>) -> Result<ContactId> {
    let table = app.table().await;
    if let Some(email) = &profile.email
        && let Some(known) = table.contact_of_email(ctx.entity_id, email, ctx.now).await?
        && let Some(contact) = current(app, ctx, known).await?
    {
        let id = contact.value.id;
        if let Some(company) = company {
            memberships::join(app, ctx, tx, contact, company).await?;
        }
        return Ok(id);
    }
    let input = ContactInput {
        first_name: profile.first_name.clone(),
        // A person has a name, an address or a phone; of a prospect one of a profile may be all that is known.
        last_name: profile.last_name.clone().or_else(|| {
            let nameless = profile.email.is_none() && profile.phone.is_none() && profile.first_name.is_none();
            nameless.then(|| "Unknown".to_owned())
        }),
        email: profile.email.clone().map(String::from),
        phone: profile.phone.clone().map(String::from),
        title: profile.title.clone(),
        linkedin_url: profile.linkedin_url.clone().map(String::from),
        ..ContactInput::default()
    };
    let contact = contacts::new_contact(ctx, &CustomRules::default(), input, company, Faults::new())?;
    contacts::add_contact(app, ctx, table, tx, &contact).await?;
    Ok(contact.id)
}

/// The prospects whom a deal is about: the one that it was opened for, its person, and the people of its company. Empty for a deal that is
/// gone.
pub(crate) async fn prospects_of(app: &App, ctx: &Ctx, id: DealId) -> Result<Vec<LeadId>> {
    let Some(deal) = find(app, ctx, id).await? else { return Ok(Vec::new()) };
    let table = app.table().await;
    let mut people: BTreeSet<ContactId> = deal.contact_id.into_iter().collect();
    if let Some(company) = deal.company_id {
        let ids = super::shared::company_ids(app, ctx, company).await?;
        people.extend(table.contact_ids_of(ctx.entity_id, &ids).await?);
    }
    let people: Vec<ContactId> = people.into_iter().collect();
    let mut identities = BTreeSet::new();
    for contact in table.contacts_by_id(ctx.entity_id, &people, ctx.now).await? {
        let profile = contact.value.profile;
        identities.extend(profile.email.map(|email| format!("email:{email}")));
        identities.extend(profile.linkedin_url.map(|url| format!("linkedin:{url}")));
        identities.extend(profile.phone.map(|phone| format!("phone:{phone}")));
    }
    let mut leads: BTreeSet<LeadId> = deal.prospect_id.into_iter().collect();
    for identity in identities {
        if let Place::Held(lead) = find_place(table, ctx, &IdentityKey::from(identity)).await? {
            leads.insert(lead);
        }
    }
    Ok(leads.into_iter().collect())
}
