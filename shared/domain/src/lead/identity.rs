//! What makes two leads the same lead.
//!
//! A lead is identified by its e-mail address, else by its LinkedIn profile, else by its phone. Its id is derived from the
//! tenant and that identity, so that "create unless it exists" is one conditional put, without a look-up or a guard item.
//! An identity that was given up (a lead's address was changed) leaves its slot occupied; the next lead with that identity
//! takes the slot of the next `generation`.

use uuid::Uuid;

use super::LeadProfile;
use crate::{EntityId, LeadId};

/// Name space of derived lead ids (a UUIDv4 made for this purpose).
const NAMESPACE: Uuid = Uuid::from_u128(0x5d0f_6a52_9c0e_4b53_8f2e_7a1c_43b9_e6d4);

/// A lead's identity within its tenant, such as `email:ada@example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityKey(String);

impl IdentityKey {
    /// The identity of a profile; `None` if it has no e-mail address, LinkedIn profile or phone.
    pub fn of(profile: &LeadProfile) -> Option<Self> {
        let email = profile.email.as_ref().map(|e| format!("email:{e}"));
        let linkedin = || profile.linkedin_url.as_ref().map(|l| format!("linkedin:{l}"));
        let phone = || profile.phone.as_ref().map(|p| format!("phone:{p}"));
        email.or_else(linkedin).or_else(phone).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for IdentityKey {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The id of the lead that takes `key`'s slot in the given generation.
pub fn lead_id(entity: EntityId, key: &IdentityKey, generation: u32) -> LeadId {
    let name = match generation {
        0 => format!("{entity}/{}", key.0),
        n => format!("{entity}/{}/{n}", key.0),
    };
    LeadId::from_uuid(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Time;
    use crate::address::{Email, Phone};

    #[test]
    fn email_first_and_tenants_apart() {
        let profile = LeadProfile {
            email: Some(Email::parse("Ada@Example.com").unwrap()),
            phone: Some(Phone::parse("+14155550123").unwrap()),
            ..LeadProfile::default()
        };
        let key = IdentityKey::of(&profile).unwrap();
        assert_eq!(key.as_str(), "email:ada@example.com");
        let (a, b) = (EntityId::new_at(Time::from_secs(1)), EntityId::new_at(Time::from_secs(1)));
        assert_eq!(lead_id(a, &key, 0), lead_id(a, &key, 0));
        assert_ne!(lead_id(a, &key, 0), lead_id(b, &key, 0));
        assert_ne!(lead_id(a, &key, 0), lead_id(a, &key, 1));
        assert!(IdentityKey::of(&LeadProfile::default()).is_none());
    }
}
