//! Prices of messages, by channel, provider and day.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::communication::MessageChannel;
use crate::{Date, Micros, Time};

/// What one message costs from a day on.
#[derive(Clone, Debug, Deserialize)]
struct MessagePrice {
    channel: MessageChannel,
    /// As messages name it; absent: whoever takes it.
    provider: Option<String>,
    from: Date,
    amount: Micros,
}

#[derive(Clone, Debug, Deserialize)]
struct MessagePrices {
    prices: Vec<MessagePrice>,
}

fn read() -> serde_json::Result<MessagePrices> {
    serde_json::from_str(include_str!("../../data/message-prices.json"))
}

/// A test reads the same file, so that it is known to be good.
static PRICES: LazyLock<Vec<MessagePrice>> = LazyLock::new(|| read().map(|table| table.prices).unwrap_or_default());

/// What a message costs that goes out at `at`: the latest price that had begun, of its provider if that has one. What no price is known of
/// is free: a tenant's own mail server is not ours to bill.
pub fn message_price(channel: MessageChannel, provider: Option<&str>, at: Time) -> Micros {
    let day = Date::of(at);
    let begun = PRICES.iter().filter(|price| price.channel == channel && price.from <= day);
    let fits = begun.filter(|price| price.provider.is_none() || price.provider.as_deref() == provider);
    fits.max_by_key(|price| (price.provider.is_some(), price.from)).map_or(Micros::ZERO, |price| price.amount)
}

/// The most that a message can cost that goes out at `at` or later, as far as prices are known: what to reserve for one that waits.
pub fn dearest_message_price(channel: MessageChannel, provider: Option<&str>, at: Time) -> Micros {
    let later = PRICES.iter().filter(|price| price.channel == channel && price.from > Date::of(at));
    let later = later.filter(|price| price.provider.is_none() || price.provider.as_deref() == provider).map(|price| price.amount);
    later.max().unwrap_or(Micros::ZERO).max(message_price(channel, provider, at))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_price_list_can_be_read() {
        let table = read().unwrap();
        assert!(!table.prices.is_empty());
        assert!(table.prices.iter().all(|price| price.amount > Micros::ZERO));
    }

    #[test]
    fn what_is_reserved_covers_prices_to_come() {
        let at = "2023-05-31T00:00:00Z".parse().unwrap();
        assert_eq!(message_price(MessageChannel::Sms, Some("sns"), at), Micros(5_810));
        assert_eq!(dearest_message_price(MessageChannel::Sms, Some("sns"), at), Micros(6_450));
        assert_eq!(dearest_message_price(MessageChannel::Email, Some("smtp"), at), Micros::ZERO);
    }

    #[rstest]
    #[case(MessageChannel::Email, Some("ses"), "2026-01-31T00:00:00Z", 100)]
    #[case(MessageChannel::Email, Some("smtp"), "2026-01-31T00:00:00Z", 0)]
    #[case(MessageChannel::Email, None, "2026-01-31T00:00:00Z", 0)]
    #[case(MessageChannel::Sms, Some("sns"), "2020-12-31T23:59:59Z", 0)]
    #[case(MessageChannel::Sms, Some("sns"), "2023-05-31T23:59:59Z", 5_810)]
    #[case(MessageChannel::Sms, Some("sns"), "2023-06-01T00:00:00Z", 6_450)]
    #[case(MessageChannel::Webhook, Some("webhook"), "2026-01-31T00:00:00Z", 0)]
    fn what_a_message_costs(
        #[case] channel: MessageChannel,
        #[case] provider: Option<&str>,
        #[case] at: &str,
        #[case] micros: i64,
    ) {
        assert_eq!(message_price(channel, provider, at.parse().unwrap()), Micros(micros));
    }
}
