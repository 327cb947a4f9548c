//! What a campaign has brought, counted from events.
//!
//! An event is counted by a *mark*: what happened to which message, person or meeting. A mark counts once, so an event that comes twice
//! and the second opening of a message change nothing, and a rate never exceeds 1 for want of care.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::event::{Event, EventType};

/// Classes of replies that no person wrote.
const AUTOMATIC: [&str; 5] = ["automatic", "auto_reply", "out_of_office", "not_a_person", "receipt"];

/// Which words a message was sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    pub step: u32,
    pub variant: String,
}

/// What an event counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What happened to what: `opened#<message>`.
    pub mark: String,
    /// The numbers that it raises by one.
    pub numbers: Vec<String>,
}

impl Count {
    /// The shard of the numbers, of 16, that it is counted in.
    pub fn shard(mark: &str) -> u8 {
        Sha256::digest(mark).first().copied().unwrap_or(0) % 16
    }
}

/// Whether an event tells of a person's reply.
pub fn is_reply(event: &Event) -> bool {
    let class = event.data.get("class").and_then(|class| class.as_str());
    event.event_type == EventType::CommunicationReplied && class.is_none_or(|class| !AUTOMATIC.contains(&class))
}

/// What an event of a campaign counts for; `wording` is that of its message, if it has variants.
pub fn count(event: &Event, wording: Option<&Wording>) -> Option<Count> {
    let flag = |name: &str| event.data.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false);
    let email = event.data.get("channel").and_then(|c| c.as_str()).is_none_or(|channel| channel == "email");
    let (what, number) = match event.event_type {
        EventType::CommunicationSent if email => ("sent", "sent"),
        EventType::CommunicationOpened if flag("machine") => ("machine-opened", "machine"),
        EventType::CommunicationOpened => ("opened", "opens"),
        EventType::CommunicationClicked if flag("machine") => ("machine-clicked", "machine"),
        EventType::CommunicationClicked => ("clicked", "clicks"),
        EventType::CommunicationReplied if is_reply(event) => ("replied", "replies"),
        EventType::CommunicationBounced => ("bounced", "bounces"),
        EventType::ContactUnsubscribed => ("unsubscribed", "unsubscribes"),
        EventType::MeetingBooked => ("met", "meetings"),
        _ => return None,
    };
    let mut numbers = vec![number.to_owned()];
    if let Some(wording) = wording.filter(|_| matches!(number, "sent" | "opens" | "clicks" | "replies")) {
        numbers.push(format!("{VARIANT}{}/{number}/{}", wording.step, wording.variant));
    }
    Some(Count { mark: format!("{what}#{}", event.subject.id), numbers })
}

const VARIANT: &str = "v/";

/// What a campaign has brought so far. Rates are over e-mails sent, 0 when there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = MetricsOut)]
pub struct Metrics {
    pub leads_targeted: u64,
    pub emails_sent: u64,
    /// E-mails that a person opened, however often.
    pub opens: u64,
    /// E-mails that were opened, or links of which were followed, by scanners and the like; they raise no rate.
    pub machine_opens: u64,
    /// E-mails with a link that a person followed.
    pub clicks: u64,
    pub replies: u64,
    pub meetings_booked: u64,
    pub bounces: u64,
    pub unsubscribes: u64,
    pub open_rate: f64,
    pub reply_rate: f64,
    pub booking_rate: f64,
    pub by_variant: Vec<VariantMetrics>,
}

/// The metrics of one wording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = VariantMetricsOut)]
pub struct VariantMetrics {
    pub step: u32,
    pub variant: String,
    pub emails_sent: u64,
    pub opens: u64,
    pub clicks: u64,
    pub replies: u64,
}

impl Metrics {
    /// From the campaign's numbers.
    pub fn of(leads_targeted: u64, numbers: &BTreeMap<String, i64>) -> Self {
        let number = |name: &str| numbers.get(name).map_or(0, |n| u64::try_from(*n).unwrap_or(0));
        let sent = number("sent");
        // A meeting or a reply can come of a message whose sending is yet to be counted.
        let rate = |n: u64| if sent == 0 { 0.0 } else { (n as f64 / sent as f64).min(1.0) };
        let (opens, replies, meetings_booked) = (number("opens"), number("replies"), number("meetings"));
        let mut variants: BTreeMap<(u32, &str), VariantMetrics> = BTreeMap::new();
        for (name, n) in numbers {
            let Some((step, what, variant)) = variant_number(name) else { continue };
            let entry = variants.entry((step, variant)).or_default();
            (entry.step, entry.variant) = (step, variant.to_owned());
            let n = u64::try_from(*n).unwrap_or(0);
            match what {
                "sent" => entry.emails_sent = n,
                "opens" => entry.opens = n,
                "clicks" => entry.clicks = n,
                "replies" => entry.replies = n,
                _ => {}
            }
        }
        Self {
            leads_targeted,
            emails_sent: sent,
            opens,
            machine_opens: number("machine"),
            clicks: number("clicks"),
            replies,
            meetings_booked,
            bounces: number("bounces"),
            unsubscribes: number("unsubscribes"),
            open_rate: rate(opens),
            reply_rate: rate(replies),
            booking_rate: rate(meetings_booked),
            by_variant: variants.into_values().collect(),
        }
    }
}

fn variant_number(name: &str) -> Option<(u32, &str, &str)> {
    let mut parts = name.strip_prefix(VARIANT)?.splitn(3, '/');
    Some((parts.next()?.parse().ok()?, parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::event::Subject;
    use crate::{Actor, EntityId, Time};

    fn event(kind: EventType, data: Value) -> Event {
        let now = Time::from_secs(1);
        Event::new(kind, EntityId::new_at(now), now, Actor::system("test"), Subject::new("communication", "m"), data)
    }

    #[rstest]
    #[case(EventType::CommunicationSent, json!({"channel": "email"}), Some(("sent#m", "sent")))]
    #[case(EventType::CommunicationSent, json!({"channel": "sms"}), None)]
    #[case(EventType::CommunicationOpened, json!({"machine": false}), Some(("opened#m", "opens")))]
    #[case(EventType::CommunicationOpened, json!({"machine": true}), Some(("machine-opened#m", "machine")))]
    #[case(EventType::CommunicationClicked, json!({"machine": true, "url": "x"}), Some(("machine-clicked#m", "machine")))]
    #[case(EventType::CommunicationClicked, json!({"machine": false, "url": "x"}), Some(("clicked#m", "clicks")))]
    #[case(EventType::CommunicationReplied, json!({}), Some(("replied#m", "replies")))]
    #[case(EventType::CommunicationReplied, json!({"class": "out_of_office"}), None)]
    #[case(EventType::CommunicationReplied, json!({"class": "interested"}), Some(("replied#m", "replies")))]
    #[case(EventType::CommunicationBounced, json!({"kind": "hard"}), Some(("bounced#m", "bounces")))]
    #[case(EventType::ContactUnsubscribed, json!({}), Some(("unsubscribed#m", "unsubscribes")))]
    #[case(EventType::MeetingBooked, json!({}), Some(("met#m", "meetings")))]
    #[case(EventType::CommunicationDelivered, json!({}), None)]
    #[case(EventType::LeadScored, json!({}), None)]
    fn what_counts(#[case] kind: EventType, #[case] data: Value, #[case] expected: Option<(&str, &str)>) {
        let found = count(&event(kind, data), None);
        assert_eq!(found.as_ref().map(|c| (c.mark.as_str(), c.numbers[0].as_str())), expected);
    }

    #[test]
    fn numbers_become_metrics() {
        let wording = Wording { step: 2, variant: "a/b".to_owned() };
        let mut numbers = BTreeMap::new();
        for (kind, times) in
            [(EventType::CommunicationSent, 4), (EventType::CommunicationOpened, 3), (EventType::MeetingBooked, 1)]
        {
            for name in count(&event(kind, json!({"channel": "email"})), Some(&wording)).into_iter().flat_map(|c| c.numbers) {
                *numbers.entry(name).or_insert(0) += times;
            }
        }
        let metrics = Metrics::of(9, &numbers);
        assert_eq!((metrics.leads_targeted, metrics.emails_sent, metrics.opens, metrics.meetings_booked), (9, 4, 3, 1));
        assert_eq!((metrics.open_rate, metrics.booking_rate, metrics.reply_rate), (0.75, 0.25, 0.0));
        let variant = VariantMetrics { step: 2, variant: "a/b".to_owned(), emails_sent: 4, opens: 3, clicks: 0, replies: 0 };
        assert_eq!(metrics.by_variant, [variant]);
        assert_eq!(Metrics::of(0, &BTreeMap::new()), Metrics::default());
    }
}
