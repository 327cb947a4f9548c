//! Text messages through Amazon SNS.

use aws_sdk_sns::Client;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;

use super::aws::failure;
use super::message::OutgoingSms;
use super::outcome::{Accepted, Blame, Provider, SendError};
use crate::Lazy;

/// Longest text that SNS takes, in bytes; it goes out in parts of 140.
pub const MAX_SMS_BYTES: usize = 1600;

pub(super) struct Sns {
    pub(super) client: Lazy<Client>,
}

impl Sns {
    pub(super) async fn send(&self, message: &OutgoingSms) -> Result<Accepted, SendError> {
        if message.text.is_empty() || message.text.len() > MAX_SMS_BYTES {
            return Err(SendError::permanent(Blame::Message, format!("a text message has 1 to {MAX_SMS_BYTES} bytes")));
        }
        let kind = if message.marketing { "Promotional" } else { "Transactional" };
        let Ok(kind) = MessageAttributeValue::builder().data_type("String").string_value(kind).build() else {
            return Err(SendError::permanent(Blame::Message, "the message cannot be handed to SNS"));
        };
        let call = self.client.get().await.publish();
        let call = call.phone_number(message.to.as_str()).message(&message.text).message_attributes("AWS.SNS.SMS.SMSType", kind);
        // The SDK would send again after a timeout, and so perhaps twice.
        let once = aws_sdk_sns::config::Config::builder().retry_config(RetryConfig::disabled());
        let answer = call.customize().config_override(once).send().await.map_err(|error| publish_error(&error))?;
        let id = answer.message_id().map(str::to_owned);
        Ok(Accepted { provider: Provider::Sns, provider_message_id: id, message_id: None, renewed: None })
    }
}

/// Documented errors of `Publish` to a phone.
fn publish_error(error: &SdkError<PublishError>) -> SendError {
    let said = error.message().unwrap_or("no reason given");
    match (error.as_service_error(), error.code().unwrap_or_default()) {
        (Some(PublishError::InvalidParameterException(_) | PublishError::InvalidParameterValueException(_)), _)
            if said.to_ascii_lowercase().contains("phonenumber") || said.to_ascii_lowercase().contains("phone number") =>
        {
            SendError::permanent(Blame::Recipient, format!("SNS: {said}"))
        }
        (_, "OptedOut" | "OptedOutException") => SendError::permanent(Blame::Recipient, "SNS: the recipient has opted out"),
        _ => failure(error, "SNS", Blame::Message),
    }
}
