#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Faults;
use crate::campaign::CompanySize;
use crate::lead::LeadInput;

const NOW: Time = Time::from_secs(1_795_509_030);

fn profile(value: Value) -> LeadProfile {
    let mut faults = Faults::new();
    let parsed = serde_json::from_value::<LeadInput>(value).unwrap().parse(&mut faults);
    faults.check().unwrap();
    parsed
}

fn ada() -> LeadProfile {
    profile(json!({"email": "ada@engines.example", "title": "Chief Technology Officer", "country": "UK",
        "company": {"name": "Engines", "domain": "engines.example", "industry": "Computer Software", "size": "51-200", "location": "London"}}))
}

fn icp() -> Icp {
    Icp {
        industries: vec!["software".to_owned()],
        company_size: Some(CompanySize { min: Some(50), max: Some(500) }),
        titles: vec!["CTO".to_owned(), "VP Engineering".to_owned()],
        seniorities: vec!["C-Level".to_owned()],
        locations: vec!["United Kingdom".to_owned()],
        technologies: vec!["Salesforce".to_owned()],
        keywords: vec!["analytics".to_owned()],
        exclude_domains: vec!["rival.example".to_owned()],
    }
}

fn signal(kind: SignalKind, days_ago: i64, what: &str) -> Signal {
    Signal { kind, at: NOW.plus_days(-days_ago), what: what.to_owned() }
}

fn inputs<'a>(profile: &'a LeadProfile, icp: Option<&'a Icp>) -> Inputs<'a> {
    Inputs {
        profile,
        status: LeadStatus::New,
        known_at: NOW,
        description: None,
        technologies: &[],
        enriched_at: None,
        signals: &[],
        engaged: Engaged::default(),
        icp,
        now: NOW,
    }
}

fn latest() -> Model {
    Model::of_version(Model::latest_version()).unwrap()
}

#[test]
fn every_released_model_is_sound() {
    for version in Model::versions() {
        let model = Model::of_version(version).unwrap();
        assert_eq!(model.version, version);
        assert_eq!(model.fit.max + model.intent.max + model.engagement.max, 100, "{version}");
        assert!(model.tiers.warm < model.tiers.hot && model.tiers.hot <= 100, "{version}");
    }
    assert_eq!(Model::of_version("0").unwrap_err(), UnknownModel("0".to_owned()));
}

/// What version 1 makes of this lead, for good: an edited file would change what was already answered.
#[test]
fn version_1_gives_what_it_always_gave() {
    let (ada, icp) = (ada(), icp());
    let technologies = ["Salesforce".to_owned(), "React".to_owned()];
    let signals = [signal(SignalKind::Funding, 90, "Series B"), signal(SignalKind::Hiring, 0, "Head of Sales")];
    let engaged = Engaged { opens: 9, opened_at: Some(NOW), clicks: 1, clicked_at: Some(NOW), ..Engaged::default() };
    let all = Inputs {
        technologies: &technologies,
        description: Some("Analytics for engines"),
        signals: &signals,
        engaged,
        enriched_at: Some(NOW),
        ..inputs(&ada, Some(&icp))
    };
    let scored = score(&Model::of_version("1").unwrap(), &all);
    assert_eq!((scored.breakdown.fit, scored.breakdown.intent, scored.breakdown.engagement), (50, 10, 7));
    assert_eq!((scored.score, scored.tier, scored.model_version.as_str()), (67, Tier::Hot, "1"));
    let points: Vec<(&str, u32)> = scored.evidence.iter().map(|e| (e.factor.as_str(), e.points)).collect();
    assert_eq!(
        points,
        [
            ("fit.industries", 12),
            ("fit.titles", 9),
            ("fit.locations", 6),
            ("fit.company_size", 10),
            ("fit.seniorities", 7),
            ("fit.technologies", 4),
            ("fit.keywords", 2),
            ("intent.funding", 6),
            ("intent.hiring", 4),
            ("engagement.clicks", 3),
            ("engagement.opens", 4),
        ]
    );
    assert_eq!(scored.recommendation.action, Action::ContactNow);
    assert_eq!(scored.recommendation.reason, "Mostly for fit.industries; fit 50, intent 10, engagement 7.");
}

/// Other weights are another version: an old score can be computed again beside a new one.
#[test]
fn the_version_decides() {
    let one = include_str!("models/1.json");
    let two =
        Model::read(&one.replacen(r#""version": "1""#, r#""version": "2""#, 1).replace(r#""industry": 10"#, r#""industry": 40"#))
            .unwrap();
    let lead = profile(json!({"email": "a@b.example", "company": {"industry": "software"}}));
    let (old, new) = (score(&latest(), &inputs(&lead, None)), score(&two, &inputs(&lead, None)));
    assert_eq!((old.score, old.model_version.as_str()), (10, "1"));
    assert_eq!((new.score, new.model_version.as_str()), (25, "2"));
}

#[test]
fn an_icp_judges_only_what_it_asks_for() {
    let ada = ada();
    let only_titles = Icp { titles: vec!["cto".to_owned()], ..Icp::default() };
    assert_eq!(score(&latest(), &inputs(&ada, Some(&only_titles))).breakdown.fit, 50);
    let other = Icp { titles: vec!["nurse".to_owned()], ..Icp::default() };
    assert_eq!(score(&latest(), &inputs(&ada, Some(&other))).breakdown.fit, 0);
    // One that asks for nothing is none.
    let empty = score(&latest(), &inputs(&ada, Some(&Icp::default())));
    assert_eq!(empty, score(&latest(), &inputs(&ada, None)));
    assert!(empty.evidence.iter().all(|e| e.factor.starts_with("fit.known_")));
    assert_eq!(empty.breakdown.fit, 47, "all but technologies is known");
}

#[test]
fn nobody_is_written_to_who_must_not_be() {
    let ada = ada();
    let no = |domain: &str| Icp { exclude_domains: vec![domain.to_owned()], ..icp() };
    for (excluded, tier) in [("engines.example", Tier::Disqualified), ("example", Tier::Warm), ("notengines.example", Tier::Warm)]
    {
        let icp = no(excluded);
        let scored = score(&latest(), &inputs(&ada, Some(&icp)));
        assert_eq!(scored.tier, tier, "{excluded}");
        assert_eq!(scored.score == 0, tier == Tier::Disqualified);
        assert_eq!(scored.recommendation.action == Action::DoNotContact, tier == Tier::Disqualified);
    }
    for status in [LeadStatus::Unsubscribed, LeadStatus::Bounced] {
        let scored = score(&latest(), &Inputs { status, ..inputs(&ada, None) });
        assert_eq!((scored.score, scored.tier, scored.evidence.len()), (0, Tier::Disqualified, 0));
    }
}

#[test]
fn recommendations() {
    let bare = profile(json!({"email": "a@b.example"}));
    let action = |inputs: Inputs<'_>| score(&latest(), &inputs).recommendation.action;
    assert_eq!(action(inputs(&bare, None)), Action::Enrich);
    assert_eq!(action(Inputs { enriched_at: Some(NOW), ..inputs(&bare, None) }), Action::Nurture);
    let replied = Engaged { replies: 1, replied_at: Some(NOW), ..Engaged::default() };
    assert_eq!(action(Inputs { engaged: replied, ..inputs(&bare, None) }), Action::Answer);
    assert_eq!(action(inputs(&ada(), None)), Action::AddToCampaign);
}

fn some_signals() -> impl Strategy<Value = Vec<Signal>> {
    let kind = prop_oneof![Just(SignalKind::Funding), Just(SignalKind::Hiring), Just(SignalKind::Migration)];
    prop::collection::vec((kind, -30_i64..800, "[a-c]{1,2}").prop_map(|(kind, days, what)| signal(kind, days, &what)), 0..12)
}

fn some_engagement() -> impl Strategy<Value = Engaged> {
    (0_u32..30, 0_u32..30, 0_u32..5).prop_map(|(opens, clicks, replies)| Engaged { opens, clicks, replies, ..Engaged::default() })
}

fn some_profile() -> impl Strategy<Value = LeadProfile> {
    let text =
        || prop::option::of(prop_oneof![Just("software"), Just("CTO"), Just("London, UK"), Just("51-200"), Just("retail")]);
    (text(), text(), text(), text(), text()).prop_map(|(industry, size, title, location, country)| {
        profile(json!({"email": "a@b.example", "title": title, "country": country,
            "company": {"industry": industry, "size": size, "location": location}}))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bounded_additive_and_the_same_again(
        profile in some_profile(), signals in some_signals(), engaged in some_engagement(), with_icp in any::<bool>(), technologies in 0_usize..3
    ) {
        let (model, icp) = (latest(), icp());
        let technologies = vec!["Salesforce".to_owned(); technologies];
        let all = Inputs { signals: &signals, engaged, technologies: &technologies, ..inputs(&profile, with_icp.then_some(&icp)) };
        let scored = score(&model, &all);
        prop_assert!(scored.score <= 100);
        let Breakdown { fit, intent, engagement } = scored.breakdown;
        prop_assert!(fit <= 50 && intent <= 30 && engagement <= 20);
        prop_assert_eq!(fit + intent + engagement, scored.score);
        prop_assert_eq!(scored.evidence.iter().map(|e| e.points).sum::<u32>(), scored.score);
        for (name, part) in [("fit.", fit), ("intent.", intent), ("engagement.", engagement)] {
            let sum: u32 = scored.evidence.iter().filter(|e| e.factor.starts_with(name)).map(|e| e.points).sum();
            prop_assert_eq!(sum, part);
        }
        // The order of the signals does not matter.
        let mut turned = signals.clone();
        turned.reverse();
        prop_assert_eq!(&score(&model, &Inputs { signals: &turned, ..all.clone() }), &scored);
    }

    #[test]
    fn more_of_what_is_good_never_lowers_the_score(profile in some_profile(), signals in some_signals(), engaged in some_engagement(), more in some_signals()) {
        let model = latest();
        let before = Inputs { signals: &signals, engaged, ..inputs(&profile, None) };
        let both = [signals.clone(), more].concat();
        let seen = Engaged { opens: engaged.opens + 1, clicks: engaged.clicks + 1, replies: engaged.replies + 1, ..engaged };
        let lower = score(&model, &before).score;
        let higher = [
            score(&model, &Inputs { signals: &both, ..before.clone() }).score,
            score(&model, &Inputs { engaged: seen, ..before.clone() }).score,
        ];
        prop_assert!(higher.iter().all(|higher| *higher >= lower), "{higher:?} {lower}");
        let mut known = profile.clone();
        known.company.industry.get_or_insert_with(|| "software".to_owned());
        known.title.get_or_insert_with(|| "CTO".to_owned());
        let higher = score(&model, &Inputs { profile: &known, ..before }).score;
        prop_assert!(higher >= lower);
    }

    #[test]
    fn time_never_raises_a_score(profile in some_profile(), signals in some_signals(), days in 0_i64..400) {
        let model = latest();
        let today = Inputs { signals: &signals, ..inputs(&profile, None) };
        let later = Inputs { now: NOW.plus_days(days), ..today.clone() };
        prop_assert!(score(&model, &later).score <= score(&model, &today).score);
    }

    #[test]
    fn shares_add_up(max in 0_u32..1_000, weights in prop::collection::vec(0_u32..100, 1..9)) {
        let sum: u32 = shares(max, &weights).iter().sum();
        prop_assert_eq!(sum, if weights.iter().all(|w| *w == 0) { 0 } else { max });
    }
}
