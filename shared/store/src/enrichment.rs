//! What is known of leads from outside, what is kept of it for a while, and by which rules leads are scored.

use std::collections::BTreeMap;

use axle_domain::enrich::{Enrichment, Findings, Method, ProviderName};
use axle_domain::score::ScoringProfileInput;
use axle_domain::{EntityId, LeadId, Micros, Time};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::item::{Placement, Record, Versioned, from_item};
use crate::key::Key;
use crate::leads::LeadRecord;
use crate::table::Table;
use crate::tx::Tx;

/// Days that findings are kept: as long as they are fresh they are used again, after that what changed is told by them.
const KEPT_DAYS: i64 = 180;
const PROVIDERS: &str = "ENRICHERS";

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

/// What a provider found the last time that it was asked about a subject, such as a site.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindingsRecord {
    pub entity_id: EntityId,
    pub provider: String,
    /// What it was asked about, without white space.
    pub about: String,
    pub findings: Findings,
    pub fetched_at: Time,
}

impl FindingsRecord {
    pub fn key_of(entity: EntityId, provider: &str, about: &str) -> Key {
        Key::thing(entity, "FINDINGS", format!("{provider}#{about}"))
    }
}

impl Record for FindingsRecord {
    const TYPE: &'static str = "findings";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, &self.provider, &self.about)
    }
    fn placement(&self) -> Placement {
        Placement { expires_at: Some(self.fetched_at.plus_days(KEPT_DAYS)), ..Placement::default() }
    }
}

/// An enrichment API that a tenant has described.
#[derive(Clone, Serialize, Deserialize)]
pub struct ProviderRecord {
    pub entity_id: EntityId,
    pub name: ProviderName,
    pub url: String,
    pub method: Method,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Paths by field.
    pub mapping: BTreeMap<String, String>,
    pub cost_per_call: Micros,
    /// Percent.
    pub confidence: u8,
    pub position: u32,
    pub enabled: bool,
    pub created_at: Time,
    pub updated_at: Time,
}

impl std::fmt::Debug for ProviderRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderRecord").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ProviderRecord {
    pub fn key_of(entity: EntityId, name: &ProviderName) -> Key {
        Key::member(entity, PROVIDERS, name)
    }
}

impl Record for ProviderRecord {
    const TYPE: &'static str = "enrichment_provider";
    fn key(&self) -> Key {
        Self::key_of(self.entity_id, &self.name)
    }
}

impl Tx<'_> {
    /// Puts what was learned of a lead in place of what was known before.
    pub fn put_enrichment(&mut self, record: &EnrichmentRecord) {
        self.overwrite("enrichment", record);
    }

    /// Puts findings in place of earlier ones about the same.
    pub fn put_findings(&mut self, record: &FindingsRecord) {
        self.overwrite("findings", record);
    }
}

impl Table {
    /// A tenant's enrichment APIs, by name.
    pub async fn enrichment_providers(&self, entity: EntityId) -> Result<Vec<Versioned<ProviderRecord>>> {
        let items = self.partition(&format!("E#{entity}#{PROVIDERS}"), "", true).await?;
        let records: Result<Vec<_>> = items.into_iter().map(|item| from_item(item, None)).collect();
        Ok(records?.into_iter().flatten().collect())
    }
}
