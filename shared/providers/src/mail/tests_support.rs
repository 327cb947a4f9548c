//! What the tests of sending share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use axle_domain::mail::{HeaderText, Mailbox};
use axle_domain::{CommunicationId, EntityId, Time};

use super::OutgoingEmail;

pub(super) const ENTITY: &str = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a01";
pub(super) const MESSAGE: &str = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a02";

/// The plainest message there is.
pub(super) fn email() -> OutgoingEmail {
    let mailbox = |address: &str| Mailbox::new(address.to_owned().try_into().unwrap(), None);
    OutgoingEmail {
        entity_id: ENTITY.parse::<EntityId>().unwrap(),
        communication_id: MESSAGE.parse::<CommunicationId>().unwrap(),
        message_id: "<m1@sender.example>".parse().unwrap(),
        date: Time::from_secs(1_764_000_000),
        from: mailbox("anna@sender.example"),
        to: mailbox("bob@example.com"),
        reply_to: None,
        subject: HeaderText::clean("Hi"),
        text: Some("Hello".to_owned()),
        html: None,
        headers: vec![],
        in_reply_to: None,
        references: vec![],
        list_unsubscribe: None,
    }
}
