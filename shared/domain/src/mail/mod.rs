//! Rules of messages to people: what a header may hold, how links are signed and followed, what providers report back.
//!
//! Everything here is pure: keys, times and received bytes are arguments.

mod credentials;
mod header;

pub use credentials::{Credentials, IdentityKind, OAuthCredentials, Secret, SmtpCredentials, SmtpTls};
pub use header::{Header, HeaderFault, HeaderText, ListUnsubscribe, MAX_HEADER_TEXT, MAX_HEADERS, Mailbox, MessageId};
