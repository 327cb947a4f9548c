//! What a user writes to define a campaign, and what makes it valid.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::template::check_template;
use crate::address::Domain;
use crate::lead::is_time_zone;
use crate::text::{Entry, one_of};
use crate::{Faults, Input};

/// Entries a list of the ICP can have.
const LIST_MAX: usize = 200;
/// Steps a sequence can have.
const STEPS_MAX: usize = 20;
const SUBJECT_MAX: usize = 500;
const BODY_MAX: usize = 20_000;
/// A whole definition as JSON, in bytes: one item, far from DynamoDB's 400 KB.
const SPEC_MAX: usize = 200_000;

/// How a message reaches a person. Steps by `linkedin` and `webhook` are passed over: people have no URL to post to, and LinkedIn takes no
/// messages from programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Email,
    Sms,
    Linkedin,
    Webhook,
}

impl Channel {
    /// Whether messages to people can be sent by it.
    pub const fn reaches_people(self) -> bool {
        matches!(self, Self::Email | Self::Sms)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Linkedin => "linkedin",
            Self::Webhook => "webhook",
        }
    }
}

/// The ideal customer profile: empty lists match everyone. A list is met by any of its entries, in other words for them too (`CTO` by
/// `Chief Technology Officer`, `DE` by `Germany`); what is asked for and not known of a lead is not met.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Icp {
    #[schema(value_type = Vec<Entry<200>>, max_items = 200, example = json!(["software"]))]
    pub industries: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_size: Option<CompanySize>,
    #[schema(value_type = Vec<Entry<200>>, max_items = 200, example = json!(["CTO"]))]
    pub titles: Vec<String>,
    /// By what is said of the lead, else by its title.
    #[schema(value_type = Vec<Entry<200>>, max_items = 200)]
    pub seniorities: Vec<String>,
    #[schema(value_type = Vec<Entry<200>>, max_items = 200)]
    pub locations: Vec<String>,
    /// By what enrichment found, or by the lead's title, company and custom fields. A campaign enriches who is not known well enough, and
    /// then writes to those only that use one of them.
    #[schema(value_type = Vec<Entry<200>>, max_items = 200)]
    pub technologies: Vec<String>,
    /// Words in what enrichment found the company to say of itself, or in the lead's title, company and custom fields; as for technologies.
    #[schema(value_type = Vec<Entry<200>>, max_items = 200)]
    pub keywords: Vec<String>,
    /// Domains that are never written to.
    #[schema(value_type = Vec<Entry<200>>, max_items = 200, example = json!(["competitor.example"]))]
    pub exclude_domains: Vec<String>,
}

/// Employees, both ends inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompanySize {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100_000_000)]
    pub min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 100_000_000)]
    pub max: Option<u32>,
}

/// What is said, when, and what ends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Messaging {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 5000, example = "Half the cost of your current stack")]
    pub value_proposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200, example = "friendly")]
    pub tone: Option<String>,
    /// BCP 47 language tag: what drafts, and the line by which recipients unsubscribe, are written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 35, example = "en")]
    pub language: Option<String>,
    #[schema(max_items = 20)]
    pub sequence: Vec<SequenceStep>,
    pub track: Track,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sending_window: Option<SendingWindow>,
    /// What ends the sequence for a lead; all four by default.
    #[schema(value_type = BTreeSet<StopOn>, max_items = 4)]
    pub stop_on: Vec<StopOn>,
}

/// One message of the sequence. Subject and bodies are templates: `{{ lead.first_name | default("there") }}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SequenceStep {
    /// 1 for the first; each once, in order.
    #[schema(minimum = 1, maximum = 20, example = 1)]
    pub step: u32,
    pub channel: Channel,
    /// Hours after the step before (after launch for the first); fractions are allowed.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 8760, example = 0)]
    pub delay_hours: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 500, example = "A question about {{ lead.company.name }}")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 20000, example = "Hello {{ lead.first_name | default(\"there\") }}, ...")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 20000)]
    pub html: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10)]
    pub variants: Vec<Variant>,
}

/// One of several wordings of a step; a lead keeps the one it drew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    #[schema(min_length = 1, max_length = 100, example = "A")]
    pub name: String,
    /// Share of the leads, relative to the other variants' weights.
    #[schema(exclusive_minimum = 0, maximum = 1000000, example = 50)]
    pub weight: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 500)]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 20000)]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 20000)]
    pub html: Option<String>,
}

/// Which engagements are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Track {
    pub opens: bool,
    pub clicks: bool,
}

impl Default for Track {
    fn default() -> Self {
        Self { opens: true, clicks: true }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// When messages may go out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendingWindow {
    /// `contact` for each recipient's own zone, or an IANA name for all.
    #[schema(min_length = 1, max_length = 60, example = "contact")]
    pub timezone: String,
    #[schema(value_type = BTreeSet<Weekday>, max_items = 7, min_items = 1)]
    pub days: Vec<Weekday>,
    /// `HH:MM`, inclusive.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "09:00")]
    pub from: String,
    /// `HH:MM`, exclusive; later than `from`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "17:00")]
    pub to: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    Reply,
    Meeting,
    Unsubscribe,
    Bounce,
}

impl StopOn {
    fn all() -> Vec<Self> {
        vec![Self::Reply, Self::Meeting, Self::Unsubscribe, Self::Bounce]
    }
}

/// The schema of an agent's name in a squad: its role or its id.
#[derive(Debug)]
pub struct AgentName;

impl utoipa::PartialSchema for AgentName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::{ObjectBuilder, SchemaFormat, schema::OneOfBuilder, schema::Type};
        let id = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".to_owned())));
        let role = one_of(crate::agent::AgentRole::ALL.iter().map(|role| role.as_str()), "A role of the built-in squad.");
        OneOfBuilder::new().item(role).item(id.description(Some("An agent's id."))).into()
    }
}

impl ToSchema for AgentName {}

/// Who does the work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentsSpec {
    /// Agent ids or roles; the whole built-in squad by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeSet<AgentName>>, min_items = 1, max_items = 20, example = json!(["copywriter", "sender"]))]
    pub squad: Option<Vec<String>>,
    pub approval: Approval,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub model: Option<String>,
}

/// Whether a person looks at each message before it is queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    #[default]
    Auto,
    Manual,
}

/// A campaign as a user defines it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignInput {
    #[schema(min_length = 1, max_length = 200, example = "CTOs in the north")]
    pub name: String,
    #[serde(default)]
    pub icp: Icp,
    #[schema(value_type = BTreeSet<Channel>, min_items = 1, max_items = 4)]
    pub channels: Vec<Channel>,
    #[serde(default)]
    pub messaging: Messaging,
    #[serde(default)]
    pub agents: AgentsSpec,
    /// The sending identity; the tenant's default one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    pub identity_id: Option<String>,
}

impl Default for Messaging {
    fn default() -> Self {
        Self {
            value_proposition: None,
            tone: None,
            language: None,
            sequence: Vec::new(),
            track: Track::default(),
            sending_window: None,
            stop_on: StopOn::all(),
        }
    }
}

impl CampaignInput {
    /// Notes everything that makes the definition unusable.
    pub fn check(&self, faults: &mut Faults) {
        faults.text("/name", &self.name, 1, 200);
        self.icp.check(faults);
        if self.channels.is_empty() {
            faults.add("/channels", "must name at least one channel");
        }
        if self.channels.iter().collect::<HashSet<_>>().len() != self.channels.len() {
            faults.add("/channels", "names a channel twice");
        }
        faults.at("/messaging", |faults| self.messaging.check(&self.channels, faults));
        for (i, member) in self.agents.squad.iter().flatten().enumerate() {
            faults.text(&format!("/agents/squad/{i}"), member, 1, 100);
        }
        if self.agents.squad.as_ref().is_some_and(Vec::is_empty) {
            faults.add("/agents/squad", "must name at least one agent; leave it out for the built-in squad");
        }
        if self.identity_id.as_deref().is_some_and(|id| uuid::Uuid::try_parse(id).is_err()) {
            faults.add("/identity_id", "must be a UUID");
        }
        if serde_json::to_string(self).map_or(0, |json| json.len()) > SPEC_MAX {
            faults.add("", format!("the definition as a whole must have at most {SPEC_MAX} bytes"));
        }
    }
}

impl Input for CampaignInput {
    fn note_faults(&self, faults: &mut Faults) {
        self.check(faults);
    }
}

impl Icp {
    /// The part of it that is known of a lead once it is enriched, if it has one.
    pub fn found_by_enrichment(&self) -> Option<Self> {
        let Self { technologies, keywords, .. } = self.clone();
        let asks = !technologies.is_empty() || !keywords.is_empty();
        asks.then(|| Self { technologies, keywords, ..Self::default() })
    }

    /// Notes everything that makes it unusable; it stands at `/icp`.
    pub fn check(&self, faults: &mut Faults) {
        let lists = [
            ("industries", &self.industries),
            ("titles", &self.titles),
            ("seniorities", &self.seniorities),
            ("locations", &self.locations),
            ("technologies", &self.technologies),
            ("keywords", &self.keywords),
            ("exclude_domains", &self.exclude_domains),
        ];
        for (name, list) in lists {
            faults.count(&format!("/icp/{name}"), list.len(), LIST_MAX);
            for (i, text) in list.iter().enumerate() {
                faults.text(&format!("/icp/{name}/{i}"), text, 1, 200);
            }
        }
        for (i, domain) in self.exclude_domains.iter().enumerate() {
            faults.take(&format!("/icp/exclude_domains/{i}"), Domain::parse(domain));
        }
        if let Some(CompanySize { min: Some(min), max: Some(max) }) = self.company_size
            && min > max
        {
            faults.add("/icp/company_size", "min must not be greater than max");
        }
    }
}

impl Messaging {
    fn check(&self, channels: &[Channel], faults: &mut Faults) {
        let texts = [("/value_proposition", &self.value_proposition, 5_000), ("/tone", &self.tone, 200)];
        for (pointer, text, max) in texts {
            faults.text(pointer, text.as_deref().unwrap_or_default(), 0, max);
        }
        let tag_ok = |tag: &str| {
            !tag.is_empty()
                && tag.len() <= 35
                && tag.split('-').all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
        };
        if self.language.as_deref().is_some_and(|tag| !tag_ok(tag)) {
            faults.add("/language", "is not a language tag, such as en or pt-BR");
        }
        faults.count("/sequence", self.sequence.len(), STEPS_MAX);
        for (i, step) in self.sequence.iter().enumerate() {
            faults.at(format!("/sequence/{i}"), |faults| step.check(i, channels, faults));
        }
        if let Some(window) = &self.sending_window {
            faults.at("/sending_window", |faults| window.check(faults));
        }
        if self.stop_on.iter().collect::<HashSet<_>>().len() != self.stop_on.len() {
            faults.add("/stop_on", "names a condition twice");
        }
    }
}

impl SequenceStep {
    /// Whether its message has no words of its own and is to be drafted.
    pub fn is_drafted(&self) -> bool {
        self.body.is_none() && self.html.is_none() && self.variants.is_empty()
    }

    fn check(&self, index: usize, channels: &[Channel], faults: &mut Faults) {
        if usize::try_from(self.step) != Ok(index + 1) {
            faults.add("/step", format!("must be {}: steps are numbered from 1 in order", index + 1));
        }
        if !channels.contains(&self.channel) {
            faults.add("/channel", "is not one of the campaign's channels");
        }
        if !(0.0..=8760.0).contains(&self.delay_hours) {
            faults.add("/delay_hours", "must be from 0 to 8760");
        }
        self.check_words(faults);
        let mut names = HashSet::new();
        faults.count("/variants", self.variants.len(), 10);
        for (i, variant) in self.variants.iter().enumerate() {
            faults.at(format!("/variants/{i}"), |faults| variant.check(self, faults));
            if !names.insert(variant.name.as_str()) {
                faults.add(format!("/variants/{i}/name"), "is the name of an earlier variant");
            }
        }
    }

    fn check_words(&self, faults: &mut Faults) {
        let words = Words { subject: self.subject.as_deref(), body: self.body.as_deref(), html: self.html.as_deref() };
        words.check(faults);
        // Steps without words are drafted by the copywriter from the value proposition; half a message is a mistake.
        if self.variants.is_empty()
            && self.channel == Channel::Email
            && words.has_body()
            && words.subject.is_none()
            && self.step == 1
        {
            faults.add("/subject", "the first e-mail needs a subject; later ones may go without and reply in the thread");
        }
        if words.subject.is_some() && !words.has_body() && self.variants.is_empty() {
            faults.add("/body", "is missing; leave out the subject too to have the message drafted");
        }
    }
}

impl Variant {
    fn check(&self, step: &SequenceStep, faults: &mut Faults) {
        faults.text("/name", &self.name, 1, 100);
        if !(self.weight > 0.0 && self.weight <= 1_000_000.0) {
            faults.add("/weight", "must be greater than 0 and at most 1000000");
        }
        let words = Words { subject: self.subject.as_deref(), body: self.body.as_deref(), html: self.html.as_deref() };
        words.check(faults);
        if !words.has_body() && step.body.is_none() && step.html.is_none() {
            faults.add("/body", "is missing, and the step has none to fall back to");
        }
    }
}

/// The templates of one message.
struct Words<'a> {
    subject: Option<&'a str>,
    body: Option<&'a str>,
    html: Option<&'a str>,
}

impl Words<'_> {
    fn has_body(&self) -> bool {
        self.body.is_some() || self.html.is_some()
    }

    fn check(&self, faults: &mut Faults) {
        for (pointer, text, max) in
            [("/subject", self.subject, SUBJECT_MAX), ("/body", self.body, BODY_MAX), ("/html", self.html, BODY_MAX)]
        {
            let Some(text) = text else { continue };
            faults.text(pointer, text, 1, max);
            if pointer == "/subject" && text.contains(['\r', '\n']) {
                faults.add(pointer, "must not contain line breaks");
            }
            faults.take(pointer, check_template(text));
        }
    }
}

impl SendingWindow {
    /// Notes everything that makes it unusable.
    pub fn check(&self, faults: &mut Faults) {
        if self.timezone != "contact" && !is_time_zone(&self.timezone) {
            faults.add("/timezone", "must be `contact` or an IANA time zone, such as Europe/London");
        }
        if self.days.is_empty() || self.days.iter().collect::<HashSet<_>>().len() != self.days.len() {
            faults.add("/days", "must name one to seven days, each once");
        }
        let clock = |t: &str| {
            let (h, m) = t.split_once(':')?;
            let (h, m): (u32, u32) = (h.parse().ok()?, m.parse().ok()?);
            (t.len() == 5 && h < 24 && m < 60).then_some(h * 60 + m)
        };
        let (from, to) = (clock(&self.from), clock(&self.to));
        for (pointer, time) in [("/from", from), ("/to", to)] {
            if time.is_none() {
                faults.add(pointer, "must be a time of day as HH:MM");
            }
        }
        if from.is_some() && to.is_some() && from >= to {
            faults.add("/to", "must be later than from");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn faults(value: Value) -> Vec<String> {
        let input: CampaignInput = serde_json::from_value(value).unwrap();
        let mut faults = Faults::new();
        input.check(&mut faults);
        faults.into_vec().into_iter().map(|f| f.pointer).collect()
    }

    #[test]
    fn a_whole_campaign_is_fine() {
        let none: Vec<String> = vec![];
        assert_eq!(faults(json!({"name": "x", "channels": ["email"]})), none);
        assert_eq!(
            faults(json!({
                "name": "x", "channels": ["email", "sms"],
                "icp": {"company_size": {"min": 10, "max": 50}, "exclude_domains": ["rival.example"]},
                "messaging": {"language": "pt-BR", "sequence": [
                    {"step": 1, "channel": "email", "subject": "Hi {{ lead.first_name | default('there') }}", "body": "b"},
                    {"step": 2, "channel": "email", "delay_hours": 0.5, "body": "re",
                     "variants": [{"name": "A", "weight": 1, "body": "a"}, {"name": "B", "weight": 2.5}]},
                    {"step": 3, "channel": "sms"}],
                  "sending_window": {"timezone": "contact", "days": ["mon"], "from": "09:00", "to": "17:00"}}
            })),
            none
        );
    }

    #[test]
    fn every_fault_has_its_place() {
        assert_eq!(
            faults(json!({
                "name": " ", "channels": ["email", "email"],
                "icp": {"company_size": {"min": 2, "max": 1}, "exclude_domains": ["?"]},
                "messaging": {"language": "not a tag", "sequence": [
                    {"step": 2, "channel": "sms", "delay_hours": -1, "subject": "a\nb {{ nobody }}", "body": "{{ open"},
                    {"step": 2, "channel": "email", "body": "x", "variants": [{"name": "A", "weight": 0}, {"name": "A", "weight": 1}]}],
                  "sending_window": {"timezone": "Mars", "days": [], "from": "9:00", "to": "25:00"},
                  "stop_on": ["reply", "reply"]},
                "agents": {"squad": []}, "identity_id": "x"
            })),
            [
                "/name",
                "/icp/exclude_domains/0",
                "/icp/company_size",
                "/channels",
                "/messaging/language",
                "/messaging/sequence/0/step",
                "/messaging/sequence/0/channel",
                "/messaging/sequence/0/delay_hours",
                "/messaging/sequence/0/subject",
                "/messaging/sequence/0/body",
                "/messaging/sequence/1/variants/0/weight",
                "/messaging/sequence/1/variants/1/name",
                "/messaging/sending_window/timezone",
                "/messaging/sending_window/days",
                "/messaging/sending_window/from",
                "/messaging/sending_window/to",
                "/messaging/stop_on",
                "/agents/squad",
                "/identity_id",
            ]
        );
    }
}
