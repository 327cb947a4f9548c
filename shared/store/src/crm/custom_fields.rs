//! Definitions of custom fields: one small partition a tenant, read whole.

use axle_domain::crm::{CustomFieldInput, CustomObject};
use axle_domain::{CustomFieldId, EntityId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::item::{Record, Versioned, from_item};
use crate::key::Key;
use crate::table::Table;

const COLLECTION: &str = "CUSTOMFIELDS";
/// Name space of the ids: one object and name has one definition, and so one id.
const FIELDS: Uuid = Uuid::from_u128(0x1f6b_0c92_77de_4e35_8b1c_94a2_e60d_735a);

/// A definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomFieldRecord {
    pub entity_id: EntityId,
    pub definition: CustomFieldInput,
    pub created_at: Time,
    pub updated_at: Time,
}

impl CustomFieldRecord {
    pub fn id(&self) -> CustomFieldId {
        let name = format!("{}/{}/{}", self.entity_id, self.definition.object, self.definition.name);
        CustomFieldId::from_uuid(Uuid::new_v5(&FIELDS, name.as_bytes()))
    }
}

impl Record for CustomFieldRecord {
    const TYPE: &'static str = "custom_field";
    fn key(&self) -> Key {
        let CustomFieldInput { object, name, .. } = &self.definition;
        Key::member(self.entity_id, COLLECTION, format!("{object}#{name}"))
    }
}

impl Table {
    /// The definitions for one kind of record, or for all, by object and name; strongly consistent.
    pub async fn custom_fields(
        &self,
        entity: EntityId,
        object: Option<CustomObject>,
    ) -> Result<Vec<Versioned<CustomFieldRecord>>> {
        let prefix = object.map(|object| format!("{object}#")).unwrap_or_default();
        let items = self.partition(&format!("E#{entity}#{COLLECTION}"), &prefix, true).await?;
        let records: Result<Vec<_>> = items.into_iter().map(|item| from_item(item, None)).collect();
        Ok(records?.into_iter().flatten().collect())
    }
}
