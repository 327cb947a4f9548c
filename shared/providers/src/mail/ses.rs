//! Amazon SES, API version 2.

use std::time::Duration;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::create_email_identity::CreateEmailIdentityError;
use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityError;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, MessageTag, RawMessage};
use axle_domain::address::Email;
use axle_domain::communication::Throttle;
use axle_domain::mail::MessageId;

use super::aws::{failure, throttle};
use super::message::OutgoingEmail;
use super::outcome::{Accepted, Blame, Provider, SendError, Verification};
use crate::Lazy;

/// Tag under which SES reports the tenant back.
pub const ENTITY_TAG: &str = "entity_id";
/// Tag under which SES reports the message back.
pub const COMMUNICATION_TAG: &str = "communication_id";

pub(super) struct Ses {
    pub(super) client: Lazy<Client>,
    /// Where its events go is set on the configuration set; without one, nothing comes back.
    pub(super) configuration_set: Option<String>,
}

impl Ses {
    pub(super) async fn send(&self, message: &OutgoingEmail, raw: Vec<u8>) -> Result<Accepted, SendError> {
        let client = self.client.get().await;
        let tag = |name: &str, value: String| MessageTag::builder().name(name).value(value).build();
        let tags = [tag(ENTITY_TAG, message.entity_id.to_string()), tag(COMMUNICATION_TAG, message.communication_id.to_string())];
        let tags = tags.into_iter().collect::<Result<Vec<_>, _>>();
        let raw = RawMessage::builder().data(Blob::new(raw)).build();
        let (Ok(tags), Ok(raw)) = (tags, raw) else {
            return Err(SendError::permanent(Blame::Message, "the message cannot be handed to SES"));
        };
        let call = client
            .send_email()
            .from_email_address(message.from.address.as_str())
            .destination(Destination::builder().to_addresses(message.to.address.as_str()).build())
            .content(EmailContent::builder().raw(raw).build())
            .set_configuration_set_name(self.configuration_set.clone())
            .set_email_tags(Some(tags));
        let region = client.config().region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
        // The SDK would send again after a timeout, and so perhaps twice.
        let once = aws_sdk_sesv2::config::Config::builder().retry_config(RetryConfig::disabled());
        let answer = call.customize().config_override(once).send().await.map_err(|error| send_error(&error))?;
        let id = answer.message_id().map(str::to_owned);
        let message_id = id.as_deref().and_then(|id| MessageId::of_ses(id, &region).ok());
        Ok(Accepted { provider: Provider::Ses, provider_message_id: id, message_id, renewed: None })
    }

    /// Whether SES sends as this address, or as any of its domain. Asks the address's owner when SES does not know it yet.
    pub(super) async fn verify(&self, from: &Email) -> Result<Verification, SendError> {
        let client = self.client.get().await;
        for identity in [from.domain(), from.as_str()] {
            match client.get_email_identity().email_identity(identity).send().await {
                Ok(found) if found.verified_for_sending_status() => return Ok(Verification::Verified),
                Ok(_) if identity == from.as_str() => return Ok(pending()),
                Ok(_) => {}
                Err(error) if error.as_service_error().is_some_and(GetEmailIdentityError::is_not_found_exception) => {}
                Err(error) => return Err(failure(&error, "SES", Blame::Identity)),
            }
        }
        match client.create_email_identity().email_identity(from.as_str()).send().await {
            Ok(created) if created.verified_for_sending_status() => Ok(Verification::Verified),
            Ok(_) => Ok(pending()),
            Err(error) if error.as_service_error().is_some_and(CreateEmailIdentityError::is_already_exists_exception) => {
                Ok(pending())
            }
            Err(error) => Err(failure(&error, "SES", Blame::Identity)),
        }
    }
}

fn pending() -> Verification {
    Verification::Pending { detail: "Amazon SES has sent a link to this address; follow it, then verify again".to_owned() }
}

/// Documented errors of `SendEmail`.
fn send_error(error: &SdkError<SendEmailError>) -> SendError {
    use SendEmailError as E;
    let said = error.message().unwrap_or("no reason given");
    match error.as_service_error() {
        Some(E::TooManyRequestsException(_)) => SendError::throttled(throttle(said), format!("SES: {said}")),
        Some(E::LimitExceededException(_)) => {
            let throttle = if said.contains("rate") { Throttle::Rate } else { Throttle::Day };
            SendError::throttled(throttle, format!("SES: a limit of the account is reached: {said}"))
        }
        Some(E::SendingPausedException(_)) => SendError::transient_after(
            Some(Duration::from_secs(15 * 60)),
            "SES: sending is paused for the account or configuration set",
        ),
        Some(E::AccountSuspendedException(_)) => SendError::permanent(Blame::Identity, "SES: the account may not send any more"),
        Some(E::MailFromDomainNotVerifiedException(_)) => {
            SendError::permanent(Blame::Identity, "SES: the MAIL FROM domain is not verified")
        }
        Some(E::NotFoundException(_)) => SendError::permanent(Blame::Identity, format!("SES: {said}")),
        Some(E::MessageRejected(_)) if said.contains("not verified") => {
            SendError::permanent(Blame::Identity, format!("SES: {said}"))
        }
        Some(E::MessageRejected(_)) => SendError::permanent(Blame::Message, format!("SES: {said}")),
        Some(E::BadRequestException(_)) => SendError::permanent(Blame::Message, format!("SES: {said}")),
        _ => failure(error, "SES", Blame::Message),
    }
}
