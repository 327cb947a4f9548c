//! What is known of leads from outside, what is kept of it for a while, and by which rules leads are scored.

use axle_domain::enrich::Enrichment;
use axle_domain::score::ScoringProfileInput;
use axle_domain::{EntityId, LeadId, Time};
use serde::{Deserialize, Serialize};

use crate::item::Record;
use crate::key::Key;
use crate::leads::LeadRecord;

/// What was learned of a lead: beside the lead and not in it, since listings fetch whole leads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrichmentRecord {
    pub entity_id: EntityId,
    pub lead_id: LeadId,
    pub enrichment: Enrichment,
    pub enriched_at: Time,
}

impl EnrichmentRecord {
    pub fn key_of(entity: EntityId, lead: LeadId) -> Key {
        Key { pk: LeadRecord::key_of(entity, lead).pk, sk: "ENRICHMENT".to_owned() }
    }
}

impl Record for EnrichmentRecord {
    const TYPE: &'static str = "lead_enrichment";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, self.lead_id)
    }
}

/// A tenant's scoring profile; there is at most one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScoringProfileRecord {
    pub entity_id: EntityId,
    pub profile: ScoringProfileInput,
    pub updated_at: Time,
}

impl ScoringProfileRecord {
    pub fn key_of(entity: EntityId) -> Key {
        Key::thing(entity, "SCORINGPROFILE", "self")
    }
}

impl Record for ScoringProfileRecord {
    const TYPE: &'static str = "scoring_profile";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id)
    }
}
