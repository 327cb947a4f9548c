//! Rules of messages to people: what a header may hold, how links are signed and followed, what providers report back.
//!
//! Everything here is pure: keys, times and received bytes are arguments.

mod access;
mod content;
mod credentials;
mod feedback;
mod header;
mod html;
mod inbound;
mod meeting;
mod page;
mod text;
mod ticket;

pub use access::{Access, MachineReason, SWEEP_MS, TOO_SOON_MS, is_prefetch_header, swept};
pub use content::{Content, Links, MAX_LINKS, Prepared, prepare};
pub use credentials::{Credentials, IdentityKind, OAuthCredentials, Secret, SmtpCredentials, SmtpTls};
pub use feedback::{Bounced, Feedback, FeedbackFault, FeedbackKind, Receipt, ReceivedMail};
pub use header::{Header, HeaderFault, HeaderText, ListUnsubscribe, MAX_HEADER_TEXT, MAX_HEADERS, Mailbox, MessageId};
pub use inbound::{InboundFault, InboundMail, InboundPost, MAX_INBOUND_BODY, OneOrMany};
pub use meeting::{Hook, MEETING_TOLERANCE_SECS, MeetingChange, MeetingFault, MeetingNotice};
pub use page::{OPEN_PIXEL, OPEN_PIXEL_TYPE, PAGE_POLICY, broken_link_page, message_page, unsubscribe_page, unsubscribed_page};
pub use text::{html_from_text, text_from_html};
pub use ticket::{CLICK_PATH, LinkKey, OPEN_PATH, Purpose, SenderProof, Ticket, UNSUBSCRIBE_PATH};
