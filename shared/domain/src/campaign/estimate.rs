//! What a launch will cost and how long it will take: an estimate.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CampaignInput, Channel, SequenceStep};
use crate::cost::CURRENCY;
use crate::model::Usage;
use crate::{Faults, Input, Micros};

/// Leads that a cohort can have.
const COHORT_MAX: u64 = 100_000;
/// A budget's limit in micro-units: a billion of the currency's major units.
const BUDGET_MAX: i64 = 1_000_000_000_000_000;

/// How a campaign is launched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LaunchInput {
    /// Only so many of the eligible leads: always the same ones of the same leads.
    #[schema(minimum = 1, maximum = 100000, example = 50)]
    pub test_cohort_size: Option<u64>,
    /// What the campaign may spend, in US dollars: a number or a text such as `"12.50"`, with at most six decimal places. At this limit
    /// the campaign pauses.
    #[schema(value_type = Option<BudgetLimit>, example = "25.00")]
    pub budget_limit: Option<Micros>,
    /// Messages a day, in the zone of the sending window (UTC where that is the recipient's own or there is none). A message counts on
    /// the day that it is to go out on when it is queued.
    #[schema(minimum = 1, maximum = 10000000, example = 200)]
    pub daily_send_limit: Option<u64>,
    /// Answers what would happen, and changes nothing.
    pub dry_run: bool,
}

/// The schema of a budget: an amount as text.
#[derive(Debug)]
pub struct BudgetLimit;

impl utoipa::PartialSchema for BudgetLimit {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{ObjectBuilder, schema::OneOfBuilder, schema::Type};
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^[0-9]{1,9}(\.[0-9]{1,6})?$"));
        let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(999_999_999));
        OneOfBuilder::new().item(text).item(number.description(Some("With at most six decimal places."))).into()
    }
}

impl ToSchema for BudgetLimit {}

impl Input for LaunchInput {
    fn note_faults(&self, faults: &mut Faults) {
        if self.test_cohort_size.is_some_and(|size| !(1..=COHORT_MAX).contains(&size)) {
            faults.add("/test_cohort_size", format!("must be a number from 1 to {COHORT_MAX}"));
        }
        if self.daily_send_limit.is_some_and(|limit| !(1..=10_000_000).contains(&limit)) {
            faults.add("/daily_send_limit", "must be a number from 1 to 10000000");
        }
        if self.budget_limit.is_some_and(|limit| !(0..=BUDGET_MAX).contains(&limit.0)) {
            faults.add("/budget_limit", "must not be negative, and at most 999999999");
        }
    }
}

/// What a drafted message takes of a model: a prompt with a lead and its company, and a short e-mail. In tokens.
pub const DRAFT_USAGE: Usage = Usage { input_tokens: 1_800, output_tokens: 260 };

/// What things cost this campaign, each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Handing an e-mail to whoever sends it.
    pub email: Micros,
    pub sms: Micros,
    /// Asking everybody who is asked about a lead.
    pub enrichment: Micros,
    /// Drafting a message.
    pub draft: Micros,
    /// Whom drafts are by.
    pub model: String,
}

impl Rates {
    /// What a message costs to hand over. Nothing is sent by the other channels.
    pub fn message(&self, channel: Channel) -> Micros {
        match channel {
            Channel::Email => self.email,
            Channel::Sms => self.sms,
            Channel::Linkedin | Channel::Webhook => Micros::ZERO,
        }
    }
}

/// What is spent on what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CostBreakdown {
    pub ai_inference: Micros,
    pub data_enrichment: Micros,
    pub channel_costs: Micros,
}

impl CostBreakdown {
    pub fn total(&self) -> Micros {
        Micros(self.ai_inference.0 + self.data_enrichment.0 + self.channel_costs.0)
    }
}

/// What a launch will cost if every lead gets the whole sequence.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CostEstimate {
    #[schema(example = "USD")]
    pub currency: String,
    pub total: Micros,
    pub breakdown: CostBreakdown,
    pub assumptions: Vec<String>,
}

/// Estimates what it costs to write to so many leads.
pub fn estimate(spec: &CampaignInput, leads: u64, rates: &Rates) -> CostEstimate {
    let leads_i = i64::try_from(leads).unwrap_or(i64::MAX);
    let (sequence, passed_over): (Vec<&SequenceStep>, Vec<&SequenceStep>) =
        spec.messaging.sequence.iter().partition(|step| step.channel.reaches_people());
    let drafted = sequence.iter().filter(|step| step.is_drafted()).count();
    let each: i64 = sequence.iter().map(|step| rates.message(step.channel).0).sum();
    let times = |amount: i64| Micros(amount.saturating_mul(leads_i));
    let breakdown = CostBreakdown {
        ai_inference: times(rates.draft.0.saturating_mul(i64::try_from(drafted).unwrap_or(0))),
        data_enrichment: times(rates.enrichment.0),
        channel_costs: times(each),
    };
    let steps = match sequence.len() {
        1 => "the one message".to_owned(),
        n => format!("all {n} messages"),
    };
    let mut assumptions = vec![format!("{leads} leads get {steps} of the sequence: none stops it before its end")];
    let channels: BTreeSet<&str> = sequence.iter().map(|step| step.channel.as_str()).collect();
    let prices = [(Channel::Email, rates.email), (Channel::Sms, rates.sms)];
    let sent = prices.iter().filter(|(channel, _)| channels.contains(channel.as_str()));
    assumptions.extend(sent.map(|(channel, price)| format!("one {} message costs {price} {CURRENCY}", channel.as_str())));
    if !passed_over.is_empty() {
        let numbers: Vec<String> = passed_over.iter().map(|step| format!("{} ({})", step.step, step.channel.as_str())).collect();
        assumptions.push(format!("steps that nothing can be sent by are passed over: {}", numbers.join(", ")));
    }
    assumptions.push(match drafted {
        0 => "the messages are written from templates, without a model".to_owned(),
        n => format!("{n} of the messages are drafted by {}, at {} {CURRENCY} each", rates.model, rates.draft),
    });
    assumptions.push(format!(
        "a lead is enriched at {} {CURRENCY}: nothing is known of it yet, and everybody is asked",
        rates.enrichment
    ));
    CostEstimate { currency: CURRENCY.to_owned(), total: breakdown.total(), breakdown, assumptions }
}

/// How fast a launch goes: messages on a day, and days until the last one.
pub fn pace(spec: &CampaignInput, leads: u64, daily_limit: Option<u64>) -> (u64, u64) {
    let messaging = &spec.messaging;
    let each = messaging.sequence.iter().filter(|step| step.channel.reaches_people()).count() as u64;
    let messages = leads.saturating_mul(each);
    if messages == 0 {
        return (0, 0);
    }
    let a_day = daily_limit.map_or(leads, |limit| limit.min(messages)).max(1);
    let open = messaging.sending_window.as_ref().map_or(7, |window| window.days.len().clamp(1, 7)) as u64;
    // Days on which messages go out, and with them those between on which none may.
    let sending = messages.div_ceil(a_day).saturating_mul(7).div_ceil(open);
    let delays: f64 = messaging.sequence.iter().map(|step| step.delay_hours).sum();
    let last = (delays / 24.0).floor() as u64 + 1;
    (a_day, sending.max(last))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn spec(sequence: Value) -> CampaignInput {
        serde_json::from_value(json!({"name": "x", "channels": ["email", "sms"], "messaging": {"sequence": sequence}})).unwrap()
    }

    fn two_steps() -> Value {
        json!([{"step": 1, "channel": "email", "subject": "s", "body": "b"}, {"step": 2, "channel": "sms", "delay_hours": 48, "body": "b"}])
    }

    #[test]
    fn an_estimate_adds_up_and_says_why() {
        let rates = Rates {
            email: Micros(100),
            sms: Micros(6_450),
            enrichment: Micros(20_000),
            draft: Micros(426),
            model: "builtin-1".to_owned(),
        };
        let plain = estimate(&spec(two_steps()), 1_000, &rates);
        assert_eq!(plain.breakdown.channel_costs, Micros(1_000 * (100 + 6_450)));
        assert_eq!(plain.breakdown.data_enrichment, Micros(20_000_000));
        assert_eq!((plain.total, plain.breakdown.ai_inference), (plain.breakdown.total(), Micros::ZERO));
        assert!(plain.assumptions.iter().any(|a| a == "one sms message costs 0.00645 USD"), "{:?}", plain.assumptions);
        let drafted = estimate(&spec(json!([{"step": 1, "channel": "email"}])), 10, &rates);
        assert_eq!(drafted.breakdown.ai_inference, Micros(4_260));
        assert_eq!(estimate(&spec(json!([])), 10, &Rates::default()).total, Micros::ZERO);
    }

    #[test]
    fn steps_that_nothing_is_sent_by_cost_nothing_and_take_no_day() {
        let mut sequence = two_steps();
        sequence.as_array_mut().unwrap().push(json!({"step": 3, "channel": "linkedin"}));
        let (with, without) = (spec(sequence), spec(two_steps()));
        let rates = Rates { email: Micros(100), sms: Micros(6_450), draft: Micros(426), ..Rates::default() };
        let estimated = estimate(&with, 10, &rates);
        assert_eq!(estimated.breakdown, estimate(&without, 10, &rates).breakdown);
        assert!(estimated.assumptions.iter().any(|a| a.ends_with("passed over: 3 (linkedin)")), "{:?}", estimated.assumptions);
        assert_eq!(pace(&with, 100, Some(20)), pace(&without, 100, Some(20)));
    }

    #[rstest]
    #[case(100, None, (100, 3))]
    #[case(100, Some(20), (20, 10))]
    #[case(100, Some(500), (200, 3))]
    #[case(0, Some(20), (0, 0))]
    fn paces(#[case] leads: u64, #[case] limit: Option<u64>, #[case] expected: (u64, u64)) {
        assert_eq!(pace(&spec(two_steps()), leads, limit), expected);
    }

    #[test]
    fn a_window_makes_it_longer() {
        let mut spec = spec(two_steps());
        let window = json!({"timezone": "UTC", "days": ["mon"], "from": "09:00", "to": "10:00"});
        spec.messaging.sending_window = Some(serde_json::from_value(window).unwrap());
        assert_eq!(pace(&spec, 100, Some(100)), (100, 14));
    }
}
