//! Sending identities: made, read, changed, checked, deleted.
//!
//! Credentials are sealed under the deployment's vault key (a secret in Secrets Manager) and bound to their identity; they are opened
//! only to send and to check, and never answered.

use std::time::Duration;

use axle_domain::address::Email;
use axle_domain::communication::{IdentityInput, IdentitySettings, IdentityStatus};
use axle_domain::mail::{Credentials, HeaderText, IdentityKind, Mailbox, MessageId, Purpose, SenderProof, Ticket};
use axle_domain::{CommunicationId, EntityId, Faults, SendingIdentityId};
use axle_providers::mail::{Account, OutgoingEmail, SendErrorKind, Verification};
use axle_store::identities::IdentityRecord;
use axle_store::{CommitError, Versioned};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::context::{App, Ctx};
use crate::error::{Error, Result};
use crate::identity::audit;
use crate::input;
use crate::outreach::leads::{changed_meanwhile, require_version};
use crate::{PageRequest, Paged};

/// Identities that a tenant can have.
pub const MAX_IDENTITIES: usize = 100;
/// Attempts against others who change the same identity at the same moment.
const RACES: usize = 4;
/// What a provider may take to answer.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);

fn place(entity: EntityId, id: SendingIdentityId) -> String {
    format!("sending-identity/{entity}/{id}")
}

/// An identity as sending needs it.
pub(super) async fn account(app: &App, identity: &IdentityRecord) -> Result<Account> {
    let credentials = match &identity.credentials {
        None => Credentials::Ses,
        Some(sealed) => {
            let json = app.vault().open(sealed, &place(identity.entity_id, identity.id)).await?;
            let opened = Credentials::open(identity.kind, json.expose_secret());
            opened.ok_or_else(|| Error::Internal("stored credentials are not of their identity's kind".to_owned()))?
        }
    };
    Ok(Account { identity: Some(identity.id), revision: identity.revision, credentials })
}

async fn seal(app: &App, entity: EntityId, id: SendingIdentityId, credentials: &Credentials) -> Result<Option<String>> {
    if *credentials == Credentials::Ses {
        return Ok(None);
    }
    Ok(Some(app.vault().seal(credentials.to_json().reveal(), &place(entity, id)).await?))
}

/// Keeps the credentials that a provider handed out in place of those that were used. They are the same access, so nothing has to be verified
/// anew; a failure is only logged, as the old ones are good for weeks.
pub(super) async fn renew(app: &App, identity: &IdentityRecord, credentials: &Credentials) {
    let ctx = Ctx::system(identity.entity_id, "outbox-sender", app.now(), axle_domain::TraceId::random());
    let done = async {
        let sealed = seal(app, identity.entity_id, identity.id, credentials).await?;
        record(app, &ctx, identity.id, |current| {
            // A tenant who entered others meanwhile knows better.
            if current.revision == identity.revision {
                current.credentials.clone_from(&sealed);
            }
            Ok(())
        })
        .await
    };
    if let Err(e) = done.await {
        tracing::warn!(identity_id = %identity.id, error = e.for_the_log(), "renewed credentials could not be kept");
    }
}

/// Creates an identity. It is unverified at first.
///
/// # Errors
/// [`Error::Invalid`] with every fault; [`Error::Conflict`] at [`MAX_IDENTITIES`].
pub async fn create_identity(
    app: &App,
    ctx: &Ctx,
    input: IdentityInput,
    answer: impl FnOnce(&Versioned<IdentityRecord>) -> Result<Answer>,
) -> Result<Answer> {
    let mut faults = Faults::new();
    let credentials = input.credentials(app.config().network, &mut faults);
    let (kind, settings) = input.into_settings();
    settings.check(&mut faults);
    faults.check().map_err(Error::Invalid)?;
    let credentials = credentials.ok_or_else(|| Error::Internal("no credentials and no fault".to_owned()))?;
    let table = app.table().await;
    if table.sending_identities(ctx.entity_id, None, MAX_IDENTITIES).await?.0.len() >= MAX_IDENTITIES {
        return Err(Error::Conflict(format!("there can be {MAX_IDENTITIES} sending identities at most; delete one first")));
    }
    let id = SendingIdentityId::new_at(ctx.now);
    let record = IdentityRecord {
        entity_id: ctx.entity_id,
        id,
        kind,
        from: normal(&settings.from),
        name: settings.name,
        credentials: seal(app, ctx.entity_id, id, &credentials).await?,
        revision: 1,
        daily_limit: settings.daily_limit,
        warmup: settings.warmup,
        warmup_since: ctx.now,
        sending_window: settings.sending_window,
        status: IdentityStatus::Unverified,
        status_detail: None,
        verified_at: None,
        confirmed_at: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let identity = Versioned { value: record, version: 1 };
    let answer = answer(&identity)?;
    let mut tx = table.tx();
    tx.create("identity", &identity.value);
    audit::note(ctx, &mut tx, "sending_identity.created", id, json!({"kind": kind}));
    ctx.keep(&mut tx, &answer);
    tx.commit().await?;
    Ok(answer)
}

fn normal(from: &str) -> String {
    Email::parse(from).map_or_else(|_| from.to_owned(), String::from)
}

pub async fn get_identity(app: &App, ctx: &Ctx, id: SendingIdentityId) -> Result<Versioned<IdentityRecord>> {
    app.table().await.sending_identity(ctx.entity_id, id, ctx.now).await?.ok_or(Error::NotFound("sending identity"))
}

/// A page of identities, newest first.
pub async fn identities(app: &App, ctx: &Ctx, page: PageRequest) -> Result<Paged<Versioned<IdentityRecord>>> {
    let after = ctx.open_cursor(app, "sending-identities", page.cursor.as_deref()).await?;
    let (items, next) = app.table().await.sending_identities(ctx.entity_id, after.as_deref(), page.limit).await?;
    Ok(Paged { items, next_cursor: ctx.seal_cursor(app, "sending-identities", next).await? })
}

fn settings_of(identity: &IdentityRecord) -> IdentitySettings {
    let IdentityRecord { from, name, daily_limit, warmup, sending_window, .. } = identity.clone();
    IdentitySettings { from, name, credentials: None, daily_limit, warmup, sending_window }
}

/// Changes an identity by a merge patch (RFC 7396). Credentials are replaced as a whole. Another address or other credentials have to be
/// verified anew; another warm-up begins with today.
///
/// # Errors
/// [`Error::Invalid`], [`Error::PreconditionFailed`] if it is not at the version asked for.
pub async fn patch_identity(
    app: &App,
    ctx: &Ctx,
    id: SendingIdentityId,
    change: &Value,
    if_match: Option<u64>,
) -> Result<Versioned<IdentityRecord>> {
    for _ in 0..RACES {
        let Versioned { value: old, version } = get_identity(app, ctx, id).await?;
        require_version(version, if_match)?;
        let mut new = patched(app, ctx, &old, change).await?;
        new.updated_at = ctx.now;
        let limits_changed = (new.daily_limit, new.warmup) != (old.daily_limit, old.warmup);
        let detail =
            json!({"limits": limits_changed, "address": new.from != old.from, "credentials": new.credentials != old.credentials});
        let mut tx = app.table().await.tx();
        tx.replace("identity", &new, version);
        audit::note(ctx, &mut tx, "sending_identity.updated", id, detail);
        match tx.commit().await {
            Ok(()) => {
                if limits_changed {
                    app.table().await.reset_send_frontier(ctx.entity_id, id).await?;
                }
                return Ok(Versioned { value: new, version: version + 1 });
            }
            Err(CommitError::Condition { .. }) if if_match.is_none() => {}
            Err(CommitError::Condition { .. }) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Err(changed_meanwhile(if_match))
}

async fn patched(app: &App, ctx: &Ctx, old: &IdentityRecord, change: &Value) -> Result<IdentityRecord> {
    if change.get("from").is_some_and(Value::is_null) {
        return Err(Error::invalid("/from", "cannot be cleared"));
    }
    let settings: IdentitySettings = input::patched(&settings_of(old), change)?;
    let mut faults = Faults::new();
    settings.check(&mut faults);
    let credentials = match change.get("credentials") {
        None => None,
        Some(value) => Credentials::read(old.kind, value, app.config().network, &mut faults),
    };
    faults.check().map_err(Error::Invalid)?;
    let mut new = old.clone();
    if let Some(credentials) = &credentials {
        new.credentials = seal(app, ctx.entity_id, old.id, credentials).await?;
    }
    new.from = normal(&settings.from);
    if new.from != old.from || credentials.is_some() {
        new.revision += 1;
        new.status = IdentityStatus::Unverified;
        new.status_detail = None;
        new.verified_at = None;
    }
    if new.from != old.from {
        new.confirmed_at = None;
    }
    if settings.warmup != old.warmup {
        new.warmup_since = ctx.now;
    }
    new.name = settings.name;
    new.daily_limit = settings.daily_limit;
    new.warmup = settings.warmup;
    new.sending_window = settings.sending_window;
    Ok(new)
}

/// Deletes an identity. What still waits to go out from it fails.
pub async fn delete_identity(app: &App, ctx: &Ctx, id: SendingIdentityId, if_match: Option<u64>) -> Result<()> {
    for _ in 0..RACES {
        let Versioned { version, .. } = get_identity(app, ctx, id).await?;
        require_version(version, if_match)?;
        let mut tx = app.table().await.tx();
        tx.delete("identity", IdentityRecord::key_of(ctx.entity_id, id), version);
        audit::note(ctx, &mut tx, "sending_identity.deleted", id, json!({}));
        if tx.try_commit().await? {
            return Ok(());
        }
        if if_match.is_some() {
            break;
        }
    }
    Err(changed_meanwhile(if_match))
}

/// What a check of an identity found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Verified {
    pub id: SendingIdentityId,
    pub status: IdentityStatus,
    /// What is still to be done, or what is wrong.
    pub detail: Option<String>,
}

/// Asks the provider whether the identity can send. Nothing is sent to anybody, but for SES: its account is shared by all tenants of the
/// deployment, so whoever reads mail at the address has to follow a link that is sent there first.
///
/// # Errors
/// [`Error::Unavailable`] if the provider cannot be asked at the moment; [`Error::Conflict`] if its address or credentials were changed
/// while it was asked: what it said is of others then.
pub async fn verify_identity(app: &App, ctx: &Ctx, id: SendingIdentityId) -> Result<Verified> {
    let Versioned { value: asked, .. } = get_identity(app, ctx, id).await?;
    let from = Email::parse(&asked.from).map_err(|e| Error::Internal(e.to_string()))?;
    let account = account(app, &asked).await?;
    let (status, detail) = match app.sender().verify(&account, &from, VERIFY_TIMEOUT).await {
        Ok(Verification::Verified) if asked.kind == IdentityKind::Ses && asked.confirmed_at.is_none() => {
            ask_to_confirm(app, ctx, &asked, from).await?;
            (IdentityStatus::Unverified, Some(format!("follow the link in the message that was sent to {}", asked.from)))
        }
        Ok(Verification::Verified) => (IdentityStatus::Verified, None),
        Ok(Verification::Pending { detail }) => (IdentityStatus::Unverified, Some(detail)),
        Err(e) if matches!(e.kind, SendErrorKind::Permanent(_)) => (IdentityStatus::Failed, Some(e.reason)),
        Err(e) => return Err(Error::Unavailable(e.reason)),
    };
    record(app, ctx, id, |identity| {
        if identity.revision != asked.revision {
            return Err(changed_meanwhile(None));
        }
        identity.status = status;
        identity.status_detail = detail.clone();
        identity.verified_at = (status == IdentityStatus::Verified).then_some(ctx.now);
        Ok(())
    })
    .await?;
    Ok(Verified { id, status, detail })
}

/// Sends the link that proves that mail at the address is read by who wants to send as it.
async fn ask_to_confirm(app: &App, ctx: &Ctx, identity: &IdentityRecord, to: Email) -> Result<()> {
    let config = app.config();
    let Some(sender) = config.sender.clone() else {
        return Err(Error::Conflict("this deployment has no sender address of its own to send the confirmation from".to_owned()));
    };
    let proof = SenderProof::new(&to, ctx.now);
    let ticket = Ticket { purpose: Purpose::Sender(proof), entity: ctx.entity_id, message: identity.id.uuid() };
    let link = app.link_key().await?.url(&config.base_url, &ticket);
    let communication_id = CommunicationId::new_at(ctx.now);
    let text = format!(
        "Somebody wants to send messages as {to} with Axle.\n\nIf that is you, follow this link within a week and confirm:\n{link}\n\nIf it is not, do nothing.\n"
    );
    let message = OutgoingEmail {
        entity_id: ctx.entity_id,
        communication_id,
        message_id: MessageId::of(communication_id, &sender.address),
        date: ctx.now,
        from: sender,
        to: Mailbox { address: to, name: None },
        reply_to: None,
        subject: HeaderText::clean("Confirm your sender address"),
        text: Some(text),
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
    };
    let sent = app.sender().email(&Account::default_ses(), &message, VERIFY_TIMEOUT).await;
    sent.map(drop).map_err(|e| Error::Unavailable(e.reason))
}

/// Changes an identity's state, whoever changes its settings meanwhile, unless `change` refuses what it is by then.
async fn record(app: &App, ctx: &Ctx, id: SendingIdentityId, change: impl Fn(&mut IdentityRecord) -> Result<()>) -> Result<()> {
    for _ in 0..RACES {
        let Versioned { value: mut identity, version } = get_identity(app, ctx, id).await?;
        change(&mut identity)?;
        let mut tx = app.table().await.tx();
        tx.replace("identity", &identity, version);
        if tx.try_commit().await? {
            return Ok(());
        }
    }
    Err(changed_meanwhile(None))
}

/// Notes that whoever reads mail at an SES identity's address agrees to its being sent from. The proof is the link's ticket: for the
/// address that the link was sent to, and for no other that the identity was given since.
///
/// # Errors
/// [`Error::NotFound`] if the link is not one of ours or has run out, or its identity is gone or has another address.
pub async fn confirm_identity(app: &App, ticket: &str) -> Result<()> {
    const GONE: Error = Error::NotFound("sending identity");
    let ticket = app.link_key().await?.read(ticket).ok_or(GONE)?;
    let Purpose::Sender(proof) = ticket.purpose else { return Err(GONE) };
    let ctx = Ctx::system(ticket.entity, "sender-confirmation", app.now(), axle_domain::TraceId::random());
    record(app, &ctx, SendingIdentityId::from_uuid(ticket.message), |identity| {
        if !Email::parse(&identity.from).is_ok_and(|from| proof.holds(&from, ctx.now)) {
            return Err(GONE);
        }
        identity.confirmed_at = Some(ctx.now);
        identity.status = IdentityStatus::Verified;
        identity.status_detail = None;
        identity.verified_at = Some(ctx.now);
        Ok(())
    })
    .await
}
