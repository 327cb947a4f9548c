//! Leads, the slots that their identities take, and their campaigns.

use axle_domain::lead::{IdentityKey, LeadProfile, LeadStatus, Tier};
use axle_domain::{CampaignId, ContactId, DealId, EntityId, LeadId, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Item, Placement, Record, Versioned, from_item, text};
use crate::key::Key;
use crate::listing::{Filter, Listing, Span};
use crate::loading::Room;
use crate::table::Table;

/// Partitions that a tenant's lead listing is spread over: 8,000 imported rows a second before DynamoDB throttles.
const SHARDS: u128 = 8;

/// The row of an import that made or last changed a lead. It makes a repeated row recognisable as the same row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRef {
    pub job: String,
    pub row: u64,
}

/// What a prospect has become in the CRM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    pub contact_id: ContactId,
    pub deal_id: DealId,
}

/// A lead. Kept small on purpose: a plain imported lead is one write unit and one more for the index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeadRecord {
    pub entity_id: EntityId,
    pub id: LeadId,
    /// What the lead is known by; see `axle_domain::lead::IdentityKey`. Absent for rows imported without de-duplication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Set once the lead took another identity than the one its id was made from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
    pub profile: LeadProfile,
    pub status: LeadStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<u8>,
    /// Set once it answered well, or met us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,
    /// The text that `q` searches.
    pub q: String,
    pub created_at: Time,
    /// Absent while it is `created_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<ImportRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<ImportRef>,
}

impl LeadRecord {
    pub fn key_of(entity: EntityId, id: LeadId) -> Key {
        Key::thing(entity, "LEAD", id)
    }
}

impl Record for LeadRecord {
    const TYPE: &'static str = "lead";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.id)
    }
    fn placement(&self) -> Placement {
        let shard = self.id.uuid().as_u128() % SHARDS;
        let gsi1 = Some((format!("E#{}#LEADS#{shard}", self.entity_id), format!("{}#{}", self.created_at, self.id)));
        Placement { gsi1, ..Placement::default() }
    }
}

/// Stands in a lead's place: the identity of this slot belongs to the lead `target`, or (a tombstone) to none any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlotRecord {
    pub entity_id: EntityId,
    pub id: LeadId,
    pub identity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<LeadId>,
}

impl Record for SlotRecord {
    const TYPE: &'static str = "lead_slot";
    fn key(&self) -> Key {
        LeadRecord::key_of(self.entity_id, self.id)
    }
}

/// What stands at a slot.
#[derive(Clone, Debug)]
pub enum Slot {
    Free,
    Lead(Box<Versioned<LeadRecord>>),
    Alias(Versioned<SlotRecord>),
}

impl Slot {
    pub fn read(item: Option<Item>) -> Result<Self> {
        let Some(item) = item else { return Ok(Self::Free) };
        if text(&item, "type") == Some(SlotRecord::TYPE) {
            return Ok(from_item(item, None)?.map_or(Self::Free, Self::Alias));
        }
        Ok(from_item(item, None)?.map_or(Self::Free, |lead| Self::Lead(Box::new(lead))))
    }

    /// The lead that holds `identity` here, if one does. A slot whose lead took another identity holds none.
    pub fn holder(&self, identity: &IdentityKey) -> Option<LeadId> {
        match self {
            Self::Lead(lead) if lead.value.identity.as_deref() == Some(identity.as_str()) => Some(lead.value.id),
            Self::Alias(slot) => slot.value.target,
            _ => None,
        }
    }
}

/// A lead's place in a campaign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MembershipRecord {
    pub entity_id: EntityId,
    pub campaign_id: CampaignId,
    #[serde(rename = "id")]
    pub lead_id: LeadId,
    pub added_at: Time,
}

impl MembershipRecord {
    pub fn key_of(entity: EntityId, lead: LeadId, campaign: CampaignId) -> Key {
        let lead = LeadRecord::key_of(entity, lead);
        Key { pk: lead.pk, sk: format!("CAMPAIGN#{campaign}") }
    }
}

impl Record for MembershipRecord {
    const TYPE: &'static str = "membership";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.lead_id, self.campaign_id)
    }
    fn placement(&self) -> Placement {
        let shard = self.lead_id.uuid().as_u128() % SHARDS;
        let partition = format!("E#{}#CAMPAIGN#{}#LEADS#{shard}", self.entity_id, self.campaign_id);
        Placement { gsi1: Some((partition, format!("{}#{}", self.added_at, self.lead_id))), ..Placement::default() }
    }
}

/// What to look for among leads.
#[derive(Clone, Debug, Default)]
pub struct LeadQuery {
    pub status: Option<LeadStatus>,
    pub tier: Option<Tier>,
    pub campaign_id: Option<CampaignId>,
    /// Folded text to be found anywhere in names, company, title and addresses.
    pub q: Option<String>,
}

impl LeadQuery {
    fn matches(&self, lead: &LeadRecord) -> bool {
        self.status.is_none_or(|s| s == lead.status)
            && self.tier.is_none_or(|t| Some(t) == lead.tier)
            && self.q.as_deref().is_none_or(|q| lead.q.contains(q))
    }

    fn index_filter(&self) -> Filter {
        let mut filter = Filter::default();
        // Memberships do not repeat the lead's columns, so those are judged on the lead itself.
        if self.campaign_id.is_none() {
            if let Some(status) = self.status {
                filter.equals("status", status.as_str());
            }
            if let Some(tier) = self.tier {
                filter.equals("tier", tier.as_str());
            }
            if let Some(q) = &self.q {
                filter.contains("q", q);
            }
        }
        filter
    }

    fn listing(&self, entity: EntityId) -> Listing {
        let collection = self.campaign_id.map_or_else(|| "LEADS".to_owned(), |id| format!("CAMPAIGN#{id}#LEADS"));
        let partitions = (0..SHARDS).map(|shard| format!("E#{entity}#{collection}#{shard}")).collect();
        Listing { index: Some("gsi1"), partitions, ascending: false }
    }
}

/// Rounds of reading that one page may take when a campaign's members are filtered by their leads.
const ROUNDS: usize = 50;

impl Table {
    /// What stands at a lead's key, strongly consistent.
    pub async fn slot(&self, entity: EntityId, id: LeadId) -> Result<Slot> {
        Slot::read(self.get_raw(&LeadRecord::key_of(entity, id)).await?)
    }

    /// A page of leads, newest first.
    pub async fn leads(
        &self,
        entity: EntityId,
        query: &LeadQuery,
        after: Option<&str>,
        limit: usize,
        now: Time,
    ) -> Result<(Vec<Versioned<LeadRecord>>, Option<String>)> {
        let (listing, filter) = (query.listing(entity), query.index_filter());
        let mut after = after.map(str::to_owned);
        let (mut leads, mut room): (Vec<Versioned<LeadRecord>>, _) = (Vec::new(), Room::of_a_list());
        let key_of = |item: &Item| Some(LeadRecord::key_of(entity, text(item, "id")?.parse().ok()?));
        for _ in 0..ROUNDS {
            let page = self.page(&listing, &Span::default(), after.as_deref(), &filter, limit - leads.len()).await?;
            let (found, next) = self.load::<LeadRecord>(&listing, page, key_of, now, &mut room).await?;
            leads.extend(found.into_iter().filter(|lead| query.matches(&lead.value)));
            after = next;
            if leads.len() >= limit || after.is_none() || room.is_full() {
                break;
            }
        }
        Ok((leads, after))
    }

    /// The campaigns that a lead is in.
    pub async fn memberships(&self, entity: EntityId, lead: LeadId) -> Result<Vec<Versioned<MembershipRecord>>> {
        let items = self.partition(&LeadRecord::key_of(entity, lead).pk, "CAMPAIGN#", true).await?;
        let records: Result<Vec<_>> = items.into_iter().map(|item| from_item(item, None)).collect();
        Ok(records?.into_iter().flatten().collect())
    }
}
