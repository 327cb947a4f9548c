//! Idempotency records: what was answered to a POST that named itself.
//!
//! A record is claimed before the work, with a lease, and completed in the transaction that does the work. A request that dies
//! in between leaves a lease that runs out; a request that was refused gives its claim back.

use axle_domain::{EntityId, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::item::{Placement, Record, from_item};
use crate::key::Key;
use crate::table::{Table, Update};
use crate::tx::{CommitError, Tx};

/// An answer is kept for 24 hours.
const KEEP_SECS: i64 = 86_400;
/// Longer than any request can run behind API Gateway (30 s).
pub const LEASE_SECS: i64 = 35;

/// Names one POST: tenant, and a hash of method, path and key.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    pub entity_id: EntityId,
    /// Hex.
    pub hash: String,
}

/// The answer that is given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    pub status: u16,
    /// JSON text, with secrets taken out.
    pub body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Kept answers can be read through, as those of a person who is erased have to be found.
pub(crate) const COLLECTION: &str = "IDEM";
/// Partitions that a tenant's are spread over: each takes 1,000 writes a second.
pub(crate) const SHARDS: u32 = 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdempotencyRecord {
    entity_id: EntityId,
    hash: String,
    /// Hash of the body, so that another body under the same key is told apart.
    fingerprint: String,
    /// Who holds the claim.
    owner: String,
    lease_until: i64,
    expires: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<KeptAnswer>,
}

impl Record for IdempotencyRecord {
    const TYPE: &'static str = "idempotency";
    fn key(&self) -> Key {
        let shard = self.hash.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % SHARDS;
        Key::member(self.entity_id, &format!("{COLLECTION}#{shard}"), &self.hash)
    }
    fn placement(&self) -> Placement {
        Placement { expires_at: Some(Time::from_secs(self.expires)), ..Placement::default() }
    }
}

/// What to do with a POST that names itself.
#[derive(Debug)]
pub enum Claimed {
    /// It is the first, or the first after a refusal: do the work.
    Mine(Claim),
    /// It was answered: answer the same.
    Answered(KeptAnswer),
    /// The key was used with another body.
    OtherBody,
    /// The first is still at work; seconds until its lease runs out.
    Running(i64),
}

/// The right to do the work once.
#[derive(Clone, Debug)]
pub struct Claim {
    record: IdempotencyRecord,
}

impl Claim {
    /// What names the request: the same when it is repeated, with the same body, under its key.
    pub fn request(&self) -> String {
        format!("{}/{}", self.record.hash, self.record.fingerprint)
    }
}

impl Table {
    /// Claims a key, or says what became of it.
    pub async fn claim(&self, key: &IdempotencyKey, fingerprint: &str, owner: &str, now: Time) -> Result<Claimed> {
        let record = IdempotencyRecord {
            entity_id: key.entity_id,
            hash: key.hash.clone(),
            fingerprint: fingerprint.to_owned(),
            owner: owner.to_owned(),
            lease_until: now.secs() + LEASE_SECS,
            expires: now.secs() + KEEP_SECS,
            answer: None,
        };
        self.take(record, now).await
    }

    /// Claims a part of a request that is done part by part, for as long as the request itself is claimed.
    pub async fn claim_part(&self, whole: &Claim, index: usize, now: Time) -> Result<Claimed> {
        let hash = Sha256::digest(format!("{}/{index}", whole.request())).iter().map(|b| format!("{b:02x}")).collect();
        self.take(IdempotencyRecord { hash, expires: now.secs() + KEEP_SECS, answer: None, ..whole.record.clone() }, now).await
    }

    async fn take(&self, record: IdempotencyRecord, now: Time) -> Result<Claimed> {
        let free = "attribute_not_exists(pk) OR expires_at <= :now OR (attribute_not_exists(answer) AND lease_until <= :now AND fingerprint = :fp)";
        let now_value = aws_sdk_dynamodb::types::AttributeValue::N(now.secs().to_string());
        let fp_value = aws_sdk_dynamodb::types::AttributeValue::S(record.fingerprint.clone());
        let mut tx = self.tx();
        tx.put_if("claim", &record, free, vec![(":now".to_owned(), now_value), (":fp".to_owned(), fp_value)]);
        match tx.commit_alone().await {
            Ok(()) => Ok(Claimed::Mine(Claim { record })),
            Err(CommitError::Condition { existing, .. }) => {
                let old = existing.map(|item| from_item::<IdempotencyRecord>(item, None)).transpose()?.flatten();
                let old = old.ok_or_else(|| Error::Unavailable("the idempotency record changed hands".to_owned()))?.value;
                Ok(match old.answer {
                    // The answer to our own first request got lost, and the client library asked again.
                    None if old.owner == record.owner => Claimed::Mine(Claim { record }),
                    _ if old.fingerprint != record.fingerprint => Claimed::OtherBody,
                    Some(answer) => Claimed::Answered(answer),
                    None => Claimed::Running((old.lease_until - now.secs()).max(1)),
                })
            }
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    /// Gives a claim back after a refusal, so that the corrected request can take it.
    pub async fn release(&self, claim: &Claim) -> Result<()> {
        let mut tx = self.tx();
        let key = claim.record.key();
        tx.delete_if("claim", key, "#owner = :owner AND attribute_not_exists(answer)", &claim.record.owner);
        match tx.commit_alone().await {
            Ok(()) | Err(CommitError::Condition { .. }) => Ok(()),
            Err(CommitError::Store(e)) => Err(e),
        }
    }

    /// Keeps the answer of work that changed nothing in the table.
    pub async fn complete(&self, claim: &Claim, answer: KeptAnswer) -> Result<(), CommitError> {
        let mut tx = self.tx();
        tx.complete(claim, answer);
        tx.commit().await
    }
}

impl Tx<'_> {
    /// Keeps the answer together with the change that it tells of; fails if the claim's lease ran out and another took it.
    pub fn complete(&mut self, claim: &Claim, answer: KeptAnswer) {
        let answer = serde_dynamo::to_attribute_value(answer).unwrap_or(aws_sdk_dynamodb::types::AttributeValue::Null(true));
        let update = Update::new("SET answer = :answer")
            .when("#owner = :owner AND attribute_not_exists(answer)")
            .name("#owner", "owner")
            .text(":owner", &claim.record.owner)
            .value(":answer", answer);
        self.update("idempotency", claim.record.key(), update);
    }
}
