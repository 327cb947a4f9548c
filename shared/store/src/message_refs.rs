//! Ways from what is known of a mail that comes back, its Message-ID or its sender, to the message of ours that it is about.

use axle_domain::{CommunicationId, EntityId, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Placement, Record, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::table::Table;
use crate::tx::Tx;

/// Days that a message can be found by its Message-ID.
const REF_DAYS: i64 = 365;

/// Leads from a Message-ID to the message: bounces and replies know nothing else. Its index entry finds the latest message to an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageRef {
    pub message_id: String,
    pub entity_id: EntityId,
    pub communication_id: CommunicationId,
    /// Keyed hash of the recipient's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub created_at: Time,
}

impl MessageRef {
    pub fn key_of(message_id: &str) -> Key {
        Key::directory("MESSAGEID", message_id)
    }
}

fn sent_to(entity: EntityId, address_hash: &str) -> String {
    format!("E#{entity}#SENTTO#{address_hash}")
}

impl Record for MessageRef {
    const TYPE: &'static str = "message_ref";
    fn key(&self) -> Key {
        Self::key_of(&self.message_id)
    }
    fn placement(&self) -> Placement {
        let position = format!("{}#{}", self.created_at, self.communication_id);
        Placement {
            gsi1: self.to.as_ref().map(|hash| (sent_to(self.entity_id, hash), position)),
            expires_at: Some(self.created_at.plus_days(REF_DAYS)),
            ..Placement::default()
        }
    }
}

impl Tx<'_> {
    /// Makes a message be found by its Message-ID. A provider that gives one id twice (it never should) leads to the later message.
    pub fn put_message_ref(&mut self, reference: &MessageRef) {
        self.overwrite("message reference", reference);
    }
}

impl Table {
    /// Whose message has this Message-ID (without brackets).
    pub async fn message_ref(&self, message_id: &str, now: Time) -> Result<Option<MessageRef>> {
        Ok(self.get(&MessageRef::key_of(message_id), now).await?.map(|found| found.value))
    }

    /// The latest e-mail that a tenant has sent to an address, by the address's keyed hash; from the index, which may lag a moment behind.
    pub async fn latest_sent_to(&self, entity: EntityId, address_hash: &str) -> Result<Option<CommunicationId>> {
        let listing = Listing { index: Some("gsi1"), partitions: vec![sent_to(entity, address_hash)], ascending: false };
        let page = self.page(&listing, &Span::default(), None, &Filter::default(), 1).await?;
        Ok(page.items.first().and_then(|item| text(item, "gsi1sk")?.rsplit('#').next()?.parse().ok()))
    }
}
