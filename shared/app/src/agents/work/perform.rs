//! Doing one action for one person: everything but writing down that it was done.

use std::time::{Duration, Instant};

use axle_domain::agent::{
    ActionKind, AddToListParams, AgentRole, CreateTaskParams, DraftParams, EnrichParams, FollowUpParams, HttpMethod, HttpParams,
    NotifyParams, SendChannel, SendParams, StageParams,
};
use axle_domain::communication::{Category, CommunicationInput, MessageChannel, Track};
use axle_domain::crm::deal::StageInput;
use axle_domain::crm::stage::Stage;
use axle_domain::crm::task::{Chore, Priority, Related};
use axle_domain::crm::{AddToListInput, PageNumber};
use axle_domain::event::{Event, EventType, Subject};
use axle_domain::lead::LeadStatus;
use axle_domain::model::ModelConfig;
use axle_domain::{AgentId, Due, Micros, RunId, SendingIdentityId, Time};
use axle_providers::model::ModelRequest;
use axle_providers::outbound::{BodyLimit, Method, Request};
use axle_store::agent_runs::ActionRecord;
use axle_store::leads::LeadRecord;
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::typed;
use super::steps::step_span;
use super::{Effect, Outcome, Person, Spent, model};
use crate::agents::leads::{self, Found};
use crate::communications;
use crate::context::{App, Ctx};
use crate::crm::deals::{self, Wanted};
use crate::crm::{marketing_lists, stages};
use crate::error::{Error, Result};

/// Bytes of an HTTP answer that are kept.
const ANSWER_MAX: usize = 8 * 1024;
/// Time for an HTTP call.
const HTTP_TIMEOUT: Duration = Duration::from_secs(15);

/// An action about to be done, with what is known around it.
#[derive(Debug)]
pub(in crate::agents) struct Doing<'a> {
    pub(in crate::agents) person: &'a Person,
    /// Its params are filled.
    pub(in crate::agents) action: &'a ActionRecord,
    pub(in crate::agents) earlier: &'a [ActionRecord],
    pub(in crate::agents) agent_id: AgentId,
    pub(in crate::agents) role: Option<AgentRole>,
    pub(in crate::agents) model: &'a ModelConfig,
    pub(in crate::agents) identity_id: Option<SendingIdentityId>,
    pub(in crate::agents) sender_name: Option<String>,
    pub(in crate::agents) input: &'a Value,
    pub(in crate::agents) run_id: Option<RunId>,
    /// What others know the action by, however often it is tried.
    pub(in crate::agents) key: Uuid,
    pub(in crate::agents) deadline: Instant,
}

impl Doing<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// What has an effect outside of the write that records it, or costs something: it is claimed by a write of its own.
    pub(in crate::agents) fn is_outside(kind: ActionKind) -> bool {
        match kind {
            ActionKind::Enrich
            | ActionKind::Score
            | ActionKind::Research
            | ActionKind::DraftMessage
            | ActionKind::Model
            | ActionKind::Http
            | ActionKind::UpdateStage
            | ActionKind::AddToList => true,
            ActionKind::SendMessage
            | ActionKind::Wait
            | ActionKind::CreateTask
            | ActionKind::CreateFollowUp
            | ActionKind::Notify => false,
        }
    }

    /// What it asks a model.
    pub(in crate::agents) async fn request(&self, app: &App) -> Result<Option<ModelRequest>> {
        model::request(app, self).await
    }

    /// The most that it can cost, with what attempts at it have paid that died before it was written down.
    pub(in crate::agents) async fn most(&self, app: &App, ctx: &Ctx, request: Option<&ModelRequest>) -> Result<Micros> {
        if self.action.action != ActionKind::Enrich || self.person.lead_id().is_none() {
            return Ok(model::reserve(request));
        }
        let price = leads::price(app, ctx, &typed(self)?).await?;
        let paid = app.table().await.paid_before(ctx.entity_id, self.key, self.action.attempts, ctx.now).await?;
        Ok(Micros(price.0 + paid.0))
    }
}

/// Does it.
///
/// # Errors
/// Something of our own is away, or somebody else changed what it is about at the same moment: try again.
pub(in crate::agents) async fn perform(
    app: &App,
    ctx: &Ctx,
    doing: &Doing<'_>,
    request: Option<ModelRequest>,
) -> Result<Outcome> {
    if let Some(request) = request {
        return Ok(model::ask(app, doing, &request, doing.left()).await);
    }
    match doing.action.action {
        ActionKind::Enrich => enrich(app, ctx, doing).await,
        ActionKind::Score => match doing.person.lead_id() {
            Some(lead) => Ok(found(leads::score(app, ctx, lead).await?)),
            None => Ok(Outcome::skipped("only leads are scored")),
        },
        ActionKind::DraftMessage => {
            let DraftParams { channel, subject, body, .. } = typed(doing)?;
            Ok(Outcome::done(crate::outreach::leads::without_nulls(
                json!({"channel": channel, "subject": subject, "body": body}),
            )))
        }
        ActionKind::SendMessage => send(app, ctx, doing).await,
        ActionKind::CreateTask => task(ctx, doing),
        ActionKind::CreateFollowUp => follow_up(ctx, doing),
        ActionKind::UpdateStage => stage(app, ctx, doing).await,
        ActionKind::AddToList => add_to_list(app, ctx, doing).await,
        ActionKind::Http => http(app, doing).await,
        ActionKind::Notify => notify(ctx, doing),
        ActionKind::Wait => Ok(Outcome::done(json!({}))),
        ActionKind::Research | ActionKind::Model => Err(Error::Internal("an action for a model without a request".to_owned())),
    }
}

fn found(found: Found) -> Outcome {
    match found {
        Found::Skipped(reason) => Outcome::skipped(reason),
        Found::Refused(why) => Outcome::failed(why),
        // Enrichment writes down what it costs with what it finds.
        Found::Done { result, cost } => Outcome::Done { result, effect: None, spent: Spent { cost, ..Spent::default() } },
    }
}

async fn enrich(app: &App, ctx: &Ctx, doing: &Doing<'_>) -> Result<Outcome> {
    let params: EnrichParams = typed(doing)?;
    match doing.person.lead_id() {
        Some(lead) => {
            // Only a step of a run is attempted again with what earlier attempts paid in mind.
            let step = doing.run_id.map_or_else(Uuid::new_v4, |_| doing.key);
            let payer = leads::Payer { agent: doing.agent_id, step, attempt: doing.action.attempts };
            Ok(found(leads::enrich(app, ctx, lead, &params, payer).await?))
        }
        None => Ok(Outcome::skipped("only leads are enriched")),
    }
}

async fn send(app: &App, ctx: &Ctx, doing: &Doing<'_>) -> Result<Outcome> {
    let SendParams { channel, subject, body, .. } = typed(doing)?;
    let channel = match channel {
        SendChannel::Email => MessageChannel::Email,
        SendChannel::Sms => MessageChannel::Sms,
    };
    let input = CommunicationInput {
        channel,
        // Whom it is for is not the playbook's, nor a model's, to say.
        to: None,
        lead_id: doing.person.lead_id(),
        contact_id: doing.person.contact_id(),
        campaign_id: None,
        identity_id: doing.identity_id.filter(|_| channel == MessageChannel::Email),
        category: Some(Category::Marketing),
        subject,
        text: body,
        html: None,
        send_at: None,
        headers: Default::default(),
        track: Track::default(),
        idempotency_key: None,
    };
    match communications::prepare(app, ctx, input).await {
        Ok(mut message) => {
            message.record.agent_id = Some(doing.agent_id);
            message.parent_span = Some(step_span(ctx.trace_id, doing.action, doing.key, ctx.now).span_id);
            let result = json!({"communication_id": message.record.id, "channel": channel, "scheduled_send_time": message.record.scheduled_send_time});
            Ok(Outcome::with(result, Effect::Message(Box::new(message))))
        }
        Err(Error::Invalid(faults)) => {
            let all: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
            Ok(Outcome::failed(format!("it cannot be sent: {}", all.join("; "))))
        }
        Err(e) => Err(e),
    }
}

fn hours_ahead(now: Time, hours: f64) -> Time {
    // At most a year of hours, by the schema.
    #[allow(clippy::cast_possible_truncation)]
    now.plus_millis((hours * 3_600_000.0) as i64)
}

fn related(person: &Person) -> Option<Related> {
    let lead = person.lead_id().map(|id| Related { kind: "lead".to_owned(), id: id.to_string() });
    lead.or_else(|| person.contact_id().map(|id| Related { kind: "contact".to_owned(), id: id.to_string() }))
}

fn task(ctx: &Ctx, doing: &Doing<'_>) -> Result<Outcome> {
    let CreateTaskParams { title, due_in_hours, priority } = typed(doing)?;
    let due = due_in_hours.map(|hours| Due::At(hours_ahead(ctx.now, hours)));
    let chore = Chore { title, description: None, due, priority: priority.unwrap_or(Priority::Medium), remind_at: None };
    Ok(Outcome::with(json!({}), Effect::Task(Box::new(chore), related(doing.person))))
}

fn follow_up(ctx: &Ctx, doing: &Doing<'_>) -> Result<Outcome> {
    let FollowUpParams { subject, due_in_hours } = typed(doing)?;
    let due = hours_ahead(ctx.now, due_in_hours);
    let chore =
        Chore { title: subject, description: None, due: Some(Due::At(due)), priority: Priority::Medium, remind_at: Some(due) };
    Ok(Outcome::with(json!({}), Effect::Task(Box::new(chore), related(doing.person))))
}

/// Moves a lead to another status with the step's own write; a contact's latest open deal by the CRM's own rules, which do nothing to
/// a deal that is there already.
async fn stage(app: &App, ctx: &Ctx, doing: &Doing<'_>) -> Result<Outcome> {
    let StageParams { stage } = typed(doing)?;
    match doing.person {
        Person::Lead(lead) => match stage.parse::<LeadStatus>() {
            Ok(status) => {
                let new = LeadRecord { status, updated_at: Some(ctx.now), ..lead.value.clone() };
                Ok(Outcome::with(json!({"stage": status}), Effect::Lead { new: Box::new(new), version: lead.version }))
            }
            Err(_) => Ok(Outcome::skipped(format!("leads have no status `{stage}`"))),
        },
        Person::Contact(contact, _) => {
            let Ok(to) = stage.parse::<Stage>() else { return Ok(Outcome::skipped(format!("deals have no stage `{stage}`"))) };
            let wanted = Wanted { contact_id: Some(contact.id), ..Wanted::default() };
            let deals = deals::list(app, ctx, wanted, PageNumber { page: 1, size: 100 }).await?.items;
            // One that is there already is left alone; an open one goes before it.
            let open = deals.iter().find(|deal| deal.value.stage.is_open());
            let Some(deal) = open.or_else(|| deals.iter().find(|deal| deal.value.stage == to)) else {
                return Ok(Outcome::skipped("the contact has no open deal"));
            };
            let wish =
                StageInput { stage: to, lost_reason: (to == Stage::Lost).then(|| "closed by an agent".to_owned()), note: None };
            match stages::shift(app, ctx, deal.value.id, wish, None).await {
                Ok(deal) => Ok(Outcome::done(json!({"stage": to, "deal_id": deal.value.id}))),
                Err(Error::NotFound(_)) => Ok(Outcome::skipped("the contact's deal is gone")),
                Err(Error::Invalid(faults)) => {
                    Ok(Outcome::failed(faults.first().map_or_else(String::new, |fault| fault.detail.clone())))
                }
                Err(e) => Err(e),
            }
        }
        Person::Nobody => Ok(Outcome::skipped("there is nobody to move")),
    }
}

async fn add_to_list(app: &App, ctx: &Ctx, doing: &Doing<'_>) -> Result<Outcome> {
    let AddToListParams { list_id } = typed(doing)?;
    let Person::Contact(contact, _) = doing.person else {
        return Ok(Outcome::skipped("lists have companies of contacts; a lead has none"));
    };
    let Some(company) = contact.company_id else { return Ok(Outcome::skipped("the contact has no company")) };
    match marketing_lists::add(app, ctx, AddToListInput { list_id, company_ids: Some(vec![company]), filter: None }).await {
        Ok(_) => Ok(Outcome::done(json!({"list_id": list_id, "company_id": company}))),
        Err(Error::Invalid(faults)) => Ok(Outcome::failed(faults.first().map_or_else(String::new, |fault| fault.detail.clone()))),
        Err(e) => Err(e),
    }
}

async fn http(app: &App, doing: &Doing<'_>) -> Result<Outcome> {
    let HttpParams { url, method, headers, body } = typed(doing)?;
    let method = match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    };
    let mut request = Request::new(method, url).timeout(HTTP_TIMEOUT.min(doing.left())).limit(BodyLimit::First(ANSWER_MAX));
    for (name, value) in headers.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("idempotency-key")) {
        request = request.header(name, value);
    }
    request = request.header("idempotency-key", doing.key.as_hyphenated().to_string());
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let exchange = app.outbound().send(request).await;
    Ok(match exchange.outcome {
        Ok(answer) if answer.is_success() => {
            let text = answer.excerpt(ANSWER_MAX);
            let body = serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text));
            Outcome::done(json!({"status_code": answer.status, "body": body}))
        }
        Ok(answer) => {
            let passing = answer.status >= 500 || answer.status == 429;
            Outcome::Failed { error: format!("it was answered with {}", answer.status), passing, spent: Spent::default() }
        }
        Err(e) => Outcome::Failed { error: e.to_string(), passing: true, spent: Spent::default() },
    })
}

fn notify(ctx: &Ctx, doing: &Doing<'_>) -> Result<Outcome> {
    let NotifyParams { message } = typed(doing)?;
    let person = doing
        .person
        .lead_id()
        .map(axle_domain::LeadId::uuid)
        .or_else(|| doing.person.contact_id().map(axle_domain::ContactId::uuid));
    let run = doing.run_id.map_or(doing.key, RunId::uuid);
    let data = json!({"run_id": run.as_hyphenated().to_string(), "contact_id": person.unwrap_or(run).as_hyphenated().to_string(), "message": message});
    let subject = Subject::new(EventType::AgentNotified.subject_kind(), run.as_hyphenated());
    let event = Event::new(EventType::AgentNotified, ctx.entity_id, ctx.now, ctx.actor.clone(), subject, data);
    let event = event.agent(doing.agent_id).trace(ctx.trace_id);
    let event = match doing.person.lead_id() {
        Some(lead) => event.lead(lead),
        None => event,
    };
    Ok(Outcome::with(json!({"message": message}), Effect::Event(Box::new(event))))
}
