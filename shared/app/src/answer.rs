//! What a use case answers, in the form in which it can be kept for an idempotent replay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axle_store::Tx;
use axle_store::idempotency::{Claim, Claimed, KeptAnswer};
use serde::Serialize;
use serde_json::Value;

use crate::context::{App, Ctx};
use crate::error::{Error, Result};

/// Status, body and entity tag of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub etag: Option<u64>,
    /// Fields at the top of the body that hold secrets: shown now, `null` in a replay, never stored.
    pub secret_fields: &'static [&'static str],
    /// A part of it may go otherwise when it is asked for again: it is not kept.
    pub passing: bool,
}

impl Answer {
    /// # Errors
    /// [`Error::Internal`] if the body has no JSON form.
    pub fn new(status: u16, body: impl Serialize) -> Result<Self> {
        let body = serde_json::to_value(body).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(Self { status, body, etag: None, secret_fields: &[], passing: false })
    }

    #[must_use]
    pub fn with_etag(mut self, version: u64) -> Self {
        self.etag = Some(version);
        self
    }

    #[must_use]
    pub fn with_secrets(mut self, fields: &'static [&'static str]) -> Self {
        self.secret_fields = fields;
        self
    }

    #[must_use]
    pub fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    fn kept(&self) -> KeptAnswer {
        let mut body = self.body.clone();
        for field in self.secret_fields {
            if let Some(secret) = body.get_mut(*field) {
                *secret = Value::Null;
            }
        }
        KeptAnswer { status: self.status, body: body.to_string(), etag: self.etag.map(|v| v.to_string()) }
    }
}

impl From<KeptAnswer> for Answer {
    fn from(kept: KeptAnswer) -> Self {
        let body = serde_json::from_str(&kept.body).unwrap_or(Value::Null);
        let etag = kept.etag.and_then(|v| v.parse().ok());
        Self { status: kept.status, body, etag, secret_fields: &[], passing: false }
    }
}

/// A request's right to be done once, as held while it runs.
#[derive(Debug)]
pub struct IdempotencyClaim {
    claim: Claim,
    committed: AtomicBool,
}

impl IdempotencyClaim {
    pub fn new(claim: Claim) -> Self {
        Self { claim, committed: AtomicBool::new(false) }
    }

    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Puts the answer into the transaction that does the work.
    pub(crate) fn join(&self, tx: &mut Tx<'_>, answer: &Answer) {
        tx.complete(&self.claim, answer.kept());
        self.committed.store(true, Ordering::Relaxed);
    }

    /// Whether an answer was part of a transaction already.
    pub fn is_joined(&self) -> bool {
        self.committed.load(Ordering::Relaxed)
    }

    /// Keeps the answer of a request that had no transaction of its own.
    pub async fn keep(&self, table: &axle_store::Table, answer: &Answer) -> Result<()> {
        table.complete(&self.claim, answer.kept()).await.map_err(Error::from)
    }
}

/// A part of a request that is done part by part.
#[derive(Debug)]
pub enum Part {
    /// To be done in this context, which keeps its answer.
    Work(Ctx),
    /// It was done when the request came before.
    Done(Answer),
}

impl Ctx {
    /// The context of one part of a request: with the request's idempotency key each part is done once, however often the whole is
    /// repeated.
    ///
    /// # Errors
    /// [`Error::StillRunning`] if somebody else is at it.
    pub async fn part(&self, app: &App, index: usize) -> Result<Part> {
        let Some(whole) = &self.idempotency else { return Ok(Part::Work(self.clone())) };
        Ok(match app.table().await.claim_part(whole.claim(), index, self.now).await? {
            Claimed::Mine(claim) => {
                Part::Work(Self { idempotency: Some(Arc::new(IdempotencyClaim::new(claim))), ..self.clone() })
            }
            Claimed::Answered(kept) => Part::Done(kept.into()),
            Claimed::OtherBody => return Err(Error::Internal("a part of another request".to_owned())),
            Claimed::Running(secs) => return Err(Error::StillRunning(secs)),
        })
    }

    /// Gives a part back that was refused: the next request under the whole's key does it anew.
    pub async fn refused(&self, app: &App) -> Result<()> {
        match &self.idempotency {
            Some(claim) => Ok(app.table().await.release(claim.claim()).await?),
            None => Ok(()),
        }
    }
}
