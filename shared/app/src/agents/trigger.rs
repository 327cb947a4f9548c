//! Calling an agent: the job is written down, and the runner does the rest.

use std::collections::HashSet;

use axle_domain::agent::{ContactKind, Runtime};
use axle_domain::{AgentId, AgentJobId, ContactId, Faults, Input, LeadId};
use axle_store::agent_runs::{JobRecord, Target, model_of};
use axle_store::agents::AgentRecord;
use axle_store::crm::contacts::ContactRecord;
use axle_store::leads::LeadRecord;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::registry;
use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::input;

/// For whom an agent is called, and what it is told.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = TriggerInput, example = json!({}))]
pub struct TriggerInput {
    /// Contacts of the CRM, or leads. Without any: whom the playbook's `targeting` finds.
    #[schema(value_type = Option<Vec<ContactId>>, min_items = 1, max_items = 1000)]
    pub contact_ids: Option<Vec<ContactId>>,
    /// What templates know as `input`.
    pub input: Option<Map<String, Value>>,
}

impl Input for TriggerInput {
    fn note_faults(&self, faults: &mut Faults) {
        if let Some(input) = &self.input {
            axle_domain::agent::check_json("/input", &Value::Object(input.clone()), faults);
        }
    }
}

/// Writes the job down.
///
/// # Errors
/// [`Error::Invalid`] with every unknown id; [`Error::Conflict`] if the agent is disabled or has no playbook.
pub async fn trigger(
    app: &App,
    ctx: &Ctx,
    id: AgentId,
    wish: TriggerInput,
    answer: impl FnOnce(AgentJobId) -> Result<Answer>,
) -> Result<Answer> {
    let agent = registry::get(app, ctx, id).await?.value;
    if !agent.is_enabled() {
        return Err(Error::Conflict("the agent is disabled; enable it first".to_owned()));
    }
    let playbook =
        agent.spec.effective_playbook().filter(|_| agent.spec.runtime.is_none_or(|runtime| runtime == Runtime::Playbook));
    let playbook = playbook.ok_or_else(|| Error::Conflict("the agent has no playbook that it could follow".to_owned()))?;
    let told = Value::Object(wish.input.unwrap_or_default());
    let mut faults = Faults::new();
    let targets = match wish.contact_ids {
        Some(ids) => Some(known(app, ctx, &ids, &mut faults).await?),
        None if playbook.targeting.is_none() => {
            faults.add("/contact_ids", "is required: the agent's playbook has no targeting");
            None
        }
        None => None,
    };
    if let Some(schema) = agent.spec.input_schema.as_ref().filter(|_| agent.role.is_none()) {
        input::check_against(&Value::Object(schema.clone()), &told, "/input", &mut faults).map_err(Error::Internal)?;
    }
    faults.check().map_err(Error::Invalid)?;
    let job = new_job(ctx, &agent, playbook, told, targets);
    let answer = answer(job.id)?;
    let mut tx = app.table().await.tx();
    tx.create("job", &job);
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

fn new_job(
    ctx: &Ctx,
    agent: &AgentRecord,
    playbook: axle_domain::agent::Playbook,
    input: Value,
    targets: Option<Vec<Target>>,
) -> JobRecord {
    JobRecord {
        entity_id: ctx.entity_id,
        id: AgentJobId::new_at(ctx.now),
        agent_id: agent.id,
        agent_name: agent.spec.name.clone(),
        role: agent.role,
        playbook,
        model: model_of(&agent.spec),
        identity_id: agent.spec.identity_id,
        input,
        targets,
        planned: false,
        error: None,
        actor: ctx.actor.clone(),
        user_id: ctx.user_id,
        trace_id: ctx.trace_id,
        created_at: ctx.now,
    }
}

/// The people that ids name, each once, in their order. Contacts who turned out to be others stand for those.
pub(super) async fn known(app: &App, ctx: &Ctx, ids: &[ContactId], faults: &mut Faults) -> Result<Vec<Target>> {
    let (table, entity) = (app.table().await, ctx.entity_id);
    let distinct: Vec<ContactId> = ids.iter().copied().collect::<HashSet<_>>().into_iter().collect();
    let contact_keys: Vec<_> = distinct.iter().map(|id| ContactRecord::key_of(entity, *id)).collect();
    let lead_keys: Vec<_> = distinct.iter().map(|id| LeadRecord::key_of(entity, LeadId::from_uuid(id.uuid()))).collect();
    let contacts = table.get_many_now::<ContactRecord>(&contact_keys, ctx.now).await?;
    let leads = table.get_many_now::<LeadRecord>(&lead_keys, ctx.now).await?;
    let (mut seen, mut targets): (HashSet<Uuid>, Vec<Target>) = Default::default();
    for (i, id) in ids.iter().enumerate() {
        let contact =
            contacts.iter().find(|contact| contact.value.id == *id).map(|contact| contact.value.merged_into.unwrap_or(*id));
        let lead = leads.iter().find(|lead| lead.value.id.uuid() == id.uuid());
        let target = match (contact, lead) {
            (Some(contact), _) => Target { kind: ContactKind::Contact, id: contact.uuid() },
            (None, Some(lead)) => Target { kind: ContactKind::Lead, id: lead.value.id.uuid() },
            (None, None) => {
                faults.add(format!("/contact_ids/{i}"), format!("no contact or lead has this id: {id}"));
                continue;
            }
        };
        if seen.insert(target.id) {
            targets.push(target);
        }
    }
    Ok(targets)
}
