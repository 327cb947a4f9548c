//! Mails that answer a message. They lie beside it.

use axle_domain::{CommunicationId, EntityId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::communications::CommunicationRecord;
use crate::error::Result;
use crate::item::{Record, from_item};
use crate::key::Key;
use crate::table::Table;

const PREFIX: &str = "REPLY#";

/// A mail that answers a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplyRecord {
    pub entity_id: EntityId,
    pub communication_id: CommunicationId,
    /// Follows from the mail's own id, so that what comes twice is one reply.
    pub id: Uuid,
    pub from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    pub subject: String,
    /// What was written, without the message that it answers.
    pub text: String,
    /// Written by a program: an absence, a receipt.
    pub automatic: bool,
    /// What it comes to, such as `interested`, if anybody has judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classification: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    pub received_at: Time,
    pub created_at: Time,
}

impl ReplyRecord {
    pub fn key_of(entity: EntityId, communication: CommunicationId, id: Uuid) -> Key {
        let pk = CommunicationRecord::key_of(entity, communication).pk;
        Key { pk, sk: format!("{PREFIX}{}", id.as_hyphenated()) }
    }
}

impl Record for ReplyRecord {
    const TYPE: &'static str = "reply";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.communication_id, self.id)
    }
}

impl Table {
    /// A reply that came in before.
    pub async fn reply(
        &self,
        entity: EntityId,
        communication: CommunicationId,
        id: Uuid,
        now: Time,
    ) -> Result<Option<ReplyRecord>> {
        Ok(self.get(&ReplyRecord::key_of(entity, communication, id), now).await?.map(|found| found.value))
    }

    /// All that came back as mail to a message, oldest first. Whoever records one sees to it that they stay few.
    pub async fn replies(&self, entity: EntityId, communication: CommunicationId) -> Result<Vec<ReplyRecord>> {
        let items = self.partition(&CommunicationRecord::key_of(entity, communication).pk, PREFIX, false).await?;
        let records: Result<Vec<_>> = items.into_iter().map(|item| from_item::<ReplyRecord>(item, None)).collect();
        let mut replies: Vec<ReplyRecord> = records?.into_iter().flatten().map(|found| found.value).collect();
        replies.sort_by_key(|reply| (reply.received_at, reply.id));
        Ok(replies)
    }
}
