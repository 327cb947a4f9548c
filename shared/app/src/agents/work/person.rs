//! Whom a step is for, as they are at that moment.

use axle_domain::agent::ContactKind;
use axle_domain::prompt::Person as Described;
use axle_domain::{CompanyId, ContactId, LeadId};
use axle_store::Versioned;
use axle_store::agent_runs::{ActionRecord, Target};
use axle_store::crm::companies::CompanyRecord;
use axle_store::crm::contacts::ContactRecord;
use axle_store::leads::{LeadRecord, Slot};
use serde_json::{Map, Value, json};

use crate::agents::runs::joined;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::outreach::leads::without_nulls;

/// Somebody an agent works for.
#[derive(Clone, Debug)]
pub(in crate::agents) enum Person {
    Lead(Box<Versioned<LeadRecord>>),
    Contact(Box<ContactRecord>, Option<Box<CompanyRecord>>),
    /// An agent that is told something can do without.
    Nobody,
}

impl Person {
    /// Reads them; `None` if they are gone.
    pub(in crate::agents) async fn find(app: &App, ctx: &Ctx, target: Target) -> Result<Option<Self>> {
        if target.kind == ContactKind::Lead {
            let slot = app.table().await.slot(ctx.entity_id, LeadId::from_uuid(target.id)).await?;
            return Ok(if let Slot::Lead(lead) = slot { Some(Self::Lead(lead)) } else { None });
        }
        let mut id = ContactId::from_uuid(target.id);
        // Who turned out to be another is that one.
        for _ in 0..4 {
            match crate::crm::contacts::get(app, ctx, id).await {
                Ok(contact) => match contact.value.merged_into {
                    Some(winner) => id = winner,
                    None => {
                        let company = company(app, ctx, contact.value.company_id).await?;
                        return Ok(Some(Self::Contact(Box::new(contact.value), company.map(Box::new))));
                    }
                },
                Err(Error::NotFound(_)) => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    pub(in crate::agents) fn lead_id(&self) -> Option<LeadId> {
        if let Self::Lead(lead) = self { Some(lead.value.id) } else { None }
    }

    pub(in crate::agents) fn contact_id(&self) -> Option<ContactId> {
        if let Self::Contact(contact, _) = self { Some(contact.id) } else { None }
    }

    /// What a model is told of them: no addresses.
    pub(in crate::agents) fn described(&self) -> Described {
        match self {
            Self::Lead(lead) => Described::from(&lead.value.profile),
            Self::Contact(contact, company) => Described {
                first_name: contact.profile.first_name.clone(),
                last_name: contact.profile.last_name.clone(),
                title: contact.profile.title.clone(),
                company: company.as_ref().map(|company| company.profile.name.clone()),
                ..Described::default()
            },
            Self::Nobody => Described::default(),
        }
    }

    /// What templates know as `contact` and `lead`. What is not known is not there.
    fn variables(&self) -> (Value, Value) {
        match self {
            Self::Lead(lead) => {
                let LeadRecord { id, profile, status, tier, score, .. } = &lead.value;
                let company = &profile.company;
                let contact = json!({
                    "id": id, "kind": "lead", "first_name": profile.first_name, "last_name": profile.last_name,
                    "name": joined(profile.first_name.clone(), profile.last_name.clone()), "email": profile.email,
                    "phone": profile.phone, "title": profile.title, "company": company.name, "country": profile.country,
                    "custom": profile.custom,
                });
                let mut lead = contact.clone();
                lead["status"] = json!(status);
                lead["tier"] = json!(tier);
                lead["score"] = json!(score);
                lead["seniority"] = json!(profile.seniority);
                lead["company"] = without_nulls(json!({
                    "name": company.name, "domain": company.domain, "website": company.website, "industry": company.industry,
                    "size": company.size, "location": company.location,
                }));
                (without_nulls(contact), without_nulls(lead))
            }
            Self::Contact(contact, company) => {
                let profile = &contact.profile;
                let about = json!({
                    "id": contact.id, "kind": "contact", "first_name": profile.first_name, "last_name": profile.last_name,
                    "name": joined(profile.first_name.clone(), profile.last_name.clone()), "email": profile.email,
                    "phone": profile.phone, "title": profile.title, "tags": profile.tags, "custom": profile.custom,
                    "company": company.as_ref().map(|company| company.profile.name.clone()),
                });
                (without_nulls(about), json!({}))
            }
            Self::Nobody => (json!({}), json!({})),
        }
    }

    /// What templates and conditions can speak of.
    pub(in crate::agents) fn context(&self, agent: &str, input: &Value, actions: &[ActionRecord]) -> Value {
        let (contact, lead) = self.variables();
        let steps: Map<String, Value> = actions
            .iter()
            .filter_map(|action| {
                let mut fields = action.result.as_ref()?.as_object().cloned().unwrap_or_default();
                fields.insert("status".to_owned(), json!(action.status));
                Some((action.step_id.clone(), Value::Object(fields)))
            })
            .collect();
        json!({"contact": contact, "lead": lead, "agent": {"name": agent}, "input": input, "steps": steps})
    }
}

async fn company(app: &App, ctx: &Ctx, id: Option<CompanyId>) -> Result<Option<CompanyRecord>> {
    let Some(id) = id else { return Ok(None) };
    match crate::crm::companies::get(app, ctx, id).await {
        Ok(company) => Ok(Some(company.value)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(e) => Err(e),
    }
}
