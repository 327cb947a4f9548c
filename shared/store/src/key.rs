//! Primary keys. The tenant is part of every key by construction: the only keys without one are the directories that lead to
//! a tenant (a credential, a phone, a slug) or have none (who calls without a credential), and they have a constructor of their own.

use aws_sdk_dynamodb::types::AttributeValue;
use axle_domain::EntityId;

use crate::item::Item;

/// A primary key of the table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    /// A thing of its own in a tenant: `E#<entity>#<kind>#<id>`, sort key `<kind>`.
    pub fn thing(entity: EntityId, kind: &'static str, id: impl std::fmt::Display) -> Self {
        Self { pk: format!("E#{entity}#{kind}#{id}"), sk: kind.to_owned() }
    }

    /// A member of a collection that is read together: `E#<entity>#<collection>`, sort key `<id>`.
    pub fn member(entity: EntityId, collection: &str, id: impl std::fmt::Display) -> Self {
        Self { pk: format!("E#{entity}#{collection}"), sk: id.to_string() }
    }

    /// An entry of a directory, looked up before the tenant is known.
    pub fn directory(kind: &'static str, id: impl std::fmt::Display) -> Self {
        Self { pk: format!("{kind}#{id}"), sk: kind.to_owned() }
    }

    pub(crate) fn attributes(&self) -> Item {
        Item::from([("pk".to_owned(), AttributeValue::S(self.pk.clone())), ("sk".to_owned(), AttributeValue::S(self.sk.clone()))])
    }
}
