//! What others are paid for, enrichment and drafts: once, within the budget, and with every cost written down.

use std::sync::Arc;

use axle_app::insights::economics::{self, CostQuery};
use axle_app::outreach::enrichment::put_provider;
use axle_domain::CampaignId;
use axle_domain::campaign::CampaignStatus::{Completed, Paused};
use axle_domain::campaign::run::RunState::{Failed, Waiting};
use axle_domain::campaign::run::run_id;
use axle_domain::cost::{CostCategory, CostUnit};
use axle_domain::event::EventType;
use axle_providers::model::{ModelErrorKind, ScriptedModels};
use axle_store::campaigns::PauseReason;
use axle_store::runs::RunJob;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::budget::settle_with;
use crate::stage::{ONE_STEP, Stage, spec};

const DRAFTED: &str = r#"[{"step": 1, "channel": "email"}, {"step": 2, "channel": "email", "delay_hours": 24}]"#;

/// An API that is paid for each answer.
async fn paid_api(s: &Stage, cost: &str) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(json!({"size": 120}))).mount(&server).await;
    let described =
        json!({"url": format!("{}/{{email}}", server.uri()), "mapping": {"company.size": "$.size"}, "cost_per_call": cost});
    let (name, input) = ("sizes".parse().unwrap(), axle_app::input::read(described).unwrap());
    put_provider(s.app(), &s.ctx(), &name, input, None).await.unwrap();
    server
}

/// One whose first answer takes so long, and every other none.
async fn slow_api(s: &Stage, first: std::time::Duration) -> MockServer {
    let server = MockServer::start().await;
    let answer = || ResponseTemplate::new(200).set_body_json(json!({"size": 120}));
    Mock::given(any()).respond_with(answer().set_delay(first)).up_to_n_times(1).mount(&server).await;
    Mock::given(any()).respond_with(answer()).mount(&server).await;
    let described =
        json!({"url": format!("{}/{{email}}", server.uri()), "mapping": {"company.size": "$.size"}, "cost_per_call": "0.002"});
    let (name, input) = ("sizes".parse().unwrap(), axle_app::input::read(described).unwrap());
    put_provider(s.app(), &s.ctx(), &name, input, None).await.unwrap();
    server
}

/// A worker that has just made the call for the run's lead, and waits for the answer.
async fn in_the_call(s: &Arc<Stage>, server: &MockServer, job: &RunJob) -> tokio::task::JoinHandle<()> {
    let (worker, job) = (Arc::clone(s), job.clone());
    let at_work = tokio::spawn(async move { worker.do_one(&crate::stage::Work::Run(job)).await.unwrap() });
    while asked(server).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    at_work
}

async fn asked(server: &MockServer) -> i64 {
    server.received_requests().await.unwrap().len() as i64
}

/// What the campaign says it has spent, and what the costs of the tenant add up to: enrichment, drafts, messages.
async fn spent(s: &Stage, id: CampaignId) -> [i64; 3] {
    let spent = s.overview(id).await.spent;
    let of_campaign = [spent.data_enrichment.0, spent.ai_inference.0, spent.channel_costs.0];
    let costs = economics::costs(s.app(), &s.ctx(), CostQuery::default()).await.unwrap().total;
    let of = |category| costs.amount(category).0;
    let of_tenant = [of(CostCategory::DataEnrichment), of(CostCategory::AiInference), of(CostCategory::ChannelCosts)];
    assert_eq!(of_campaign, of_tenant, "both say the same");
    assert_eq!(costs.count(CostUnit::Sent), s.recipients().len() as i64);
    of_campaign
}

/// Everything that follows within a while, with so many workers.
async fn run(s: &Arc<Stage>, workers: usize) {
    for _ in 0..12 {
        settle_with(s, workers).await;
        s.world.clock.advance_secs(6);
    }
    settle_with(s, workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_is_never_overdrawn_by_what_is_paid_for_leads() {
    for (limit, paid_for) in [("0.0252", 12), ("0.0251", 12), ("0.0419", 20), ("10", 30)] {
        let s = Arc::new(Stage::new().await);
        let api = paid_api(&s, "0.002").await;
        s.crowd(30).await;
        let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": limit})).await;
        run(&s, 20).await;
        let [enrichment, drafts, messages] = spent(&s, id).await;
        assert_eq!((enrichment, drafts), (2_000 * asked(&api).await, 0), "{limit}");
        assert_eq!(messages, 100 * s.recipients().len() as i64);
        let limit: axle_domain::Micros = serde_json::from_value(json!(limit)).unwrap();
        assert!(enrichment + messages <= limit.0, "{enrichment} and {messages} of {limit}");
        // No lead is paid for twice, and the money goes as far as it can.
        assert!(asked(&api).await >= paid_for, "{} of {paid_for}", asked(&api).await);
        let campaign = s.campaign(id).await;
        if paid_for == 30 {
            assert_eq!((campaign.status, s.recipients().len(), asked(&api).await), (Completed, 30, 30));
        } else {
            assert!(limit.0 - enrichment - messages < 2_000 + 100, "what is left buys nothing more");
            assert_eq!((campaign.status, campaign.pause_reason), (Paused, Some(PauseReason::Budget)));
            assert_eq!(s.told_of(EventType::BudgetExhausted).len(), 1);
        }
        assert_eq!(s.app().table().await.reserved_of(s.entity, id).await.unwrap().0, 0);
    }
}

fn drafted(model: Option<&str>) -> Value {
    let mut spec = spec(DRAFTED, json!({"value_proposition": "Half the work"}));
    spec["agents"] = json!({"squad": ["copywriter"], "model": model});
    if model.is_none() {
        spec["agents"].as_object_mut().unwrap().remove("model");
    }
    spec
}

/// The copywriter asks a model that costs something.
async fn dear_copywriter(s: &Stage) -> i64 {
    let id = axle_domain::agent::built_in_id(s.entity, axle_domain::agent::AgentRole::Copywriter);
    let change = json!({"llm_config": {"provider": "anthropic", "model": "claude-haiku-4-5", "max_tokens": 400}});
    axle_app::agents::patch(s.app(), &s.ctx(), id, &change, None).await.unwrap();
    s.world.models.answer(|_| Ok(json!({"subject": "For you", "body": "Shall we talk?"})));
    // A dollar and five dollars a million tokens.
    let usage = ScriptedModels::USAGE;
    i64::try_from((usage.input_tokens + 5 * usage.output_tokens).div_ceil(1)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn drafts_are_paid_for_once_and_within_the_budget() {
    let s = Arc::new(Stage::new().await);
    let each = dear_copywriter(&s).await;
    s.crowd(40).await;
    // Enough for some drafts; each reserves more than it costs in the end.
    let id = s.launched(drafted(None), json!({"budget_limit": "0.05"})).await;
    run(&s, 8).await;
    let [_, drafts, messages] = spent(&s, id).await;
    assert!(drafts > 0 && drafts + messages <= 50_000, "{drafts} and {messages}");
    assert_eq!((drafts, s.world.models.asked().len() as i64 * each), (drafts, drafts), "each is asked for once");
    assert_eq!(s.status(id).await, Paused);
    assert_eq!(s.app().table().await.reserved_of(s.entity, id).await.unwrap().0, 0);
    assert!(s.world.sent.emails().iter().all(|mail| mail.subject.as_str() == "For you"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_draft_says_what_it_was_made_of_and_a_later_one_answers_the_first() {
    let s = Arc::new(Stage::new().await);
    let each = dear_copywriter(&s).await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(drafted(None), json!({})).await;
    s.settle().await;
    let member = s.member(id, lead).await;
    let note = member.notes.iter().find(|note| note.what == "message.draft").unwrap();
    let of = |name: &str| note.attributes.get(name).cloned().unwrap();
    assert_eq!((of("gen_ai.request.model"), of("gen_ai.usage.input_tokens")), (json!("claude-haiku-4-5"), json!(1_000)));
    s.later(86_400 + 60).await;
    let subjects: Vec<String> = s.world.sent.emails().into_iter().map(|mail| mail.subject.as_str().to_owned()).collect();
    assert_eq!(subjects, ["For you", "Re: For you"]);
    let asked = s.world.models.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].user.contains("Half the work") && asked[1].user.contains("Shall we talk?"), "{}", asked[1].user);
    assert_eq!(spent(&s, id).await, [0, 2 * each, 200]);
    assert_eq!(s.status(id).await, Completed);
}

#[tokio::test]
async fn who_cannot_draft_is_told_at_the_launch_and_a_model_that_fails_fails_its_lead() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let mut without = drafted(None);
    without["agents"]["squad"] = json!(["sender"]);
    let id = s.draft(without).await;
    let refused = s.try_launch(id, json!({})).await;
    assert!(matches!(&refused, Err(axle_app::Error::Conflict(why)) if why.contains("no copywriter")), "{refused:?}");
    let id = s.draft(drafted(Some("no-such-model"))).await;
    assert!(
        matches!(s.try_launch(id, json!({})).await, Err(axle_app::Error::Conflict(_))),
        "the built-in provider has one model"
    );
    let id = s.launched(drafted(None), json!({})).await;
    s.world.models.answer(|_| Err(axle_providers::model::ModelErrorKind::Refused));
    s.settle().await;
    let member = s.member(id, lead).await;
    assert_eq!(member.state, Failed);
    assert!(member.reason.as_deref().is_some_and(|why| why.starts_with("step 1 could not be drafted")), "{member:?}");
}

#[tokio::test]
async fn a_model_that_is_down_for_hours_ends_no_sequence() {
    let s = Stage::new().await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(drafted(None), json!({})).await;
    let down = || ModelErrorKind::Unavailable { provider: "builtin", reason: "down".to_owned() };
    s.world.models.answer(move |_| Err(down()));
    s.settle().await;
    for wait in [31, 121, 481, 2_000] {
        assert_eq!(s.state(id, lead).await, Waiting);
        s.later(wait).await;
    }
    assert_eq!((s.state(id, lead).await, s.world.models.asked().len(), s.recipients().len()), (Waiting, 5, 0));
    s.world.models.answer(|_| Ok(json!({"subject": "For you", "body": "Shall we talk?"})));
    s.later(7_800).await;
    assert_eq!(s.recipients(), ["p0@example.com"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_call_whose_worker_died_nobody_knows_so_it_counts_and_is_made_again() {
    let s = Arc::new(Stage::new().await);
    let server = slow_api(&s, std::time::Duration::from_secs(30)).await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": 1})).await;
    for work in s.work().await {
        s.do_one(&work).await.unwrap();
    }
    s.relay().await;
    let job = RunJob { entity_id: s.entity, run_id: run_id(id, lead), trace_id: None };
    in_the_call(&s, &server, &job).await.abort();
    assert_eq!(s.app().table().await.reserved_of(s.entity, id).await.unwrap().0, 2_000);
    // Nobody else makes the call while the claim holds.
    s.do_one(&crate::stage::Work::Run(job)).await.unwrap();
    assert_eq!(asked(&server).await, 1);
    s.later(90).await;
    assert_eq!((asked(&server).await, s.recipients().len(), s.status(id).await), (2, 1, Completed));
    assert_eq!(spent(&s, id).await, [4_000, 0, 100]);
    assert_eq!(s.app().table().await.reserved_of(s.entity, id).await.unwrap().0, 0);
    let member = s.member(id, lead).await;
    assert!(member.notes.iter().any(|note| note.failed && note.detail.contains("count as spent")), "{member:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_answers_while_they_are_looked_up_is_left_alone_and_the_call_is_paid() {
    let s = Arc::new(Stage::new().await);
    let server = slow_api(&s, std::time::Duration::from_secs(6)).await;
    let lead = s.crowd(1).await[0];
    let id = s.launched(spec(ONE_STEP, json!({})), json!({"budget_limit": 1})).await;
    for work in s.work().await {
        s.do_one(&work).await.unwrap();
    }
    s.relay().await;
    let job = RunJob { entity_id: s.entity, run_id: run_id(id, lead), trace_id: None };
    let at_work = in_the_call(&s, &server, &job).await;
    axle_app::outreach::campaigns::stop_lead(s.app(), s.entity, lead, axle_domain::campaign::run::StopCause::Meeting)
        .await
        .unwrap();
    at_work.await.unwrap();
    s.settle().await;
    assert_eq!((s.recipients().len(), s.member(id, lead).await.reason.as_deref()), (0, Some("meeting")));
    assert_ne!(s.state(id, lead).await, Waiting);
    assert_eq!(spent(&s, id).await, [2_000, 0, 0]);
    assert_eq!(s.app().table().await.reserved_of(s.entity, id).await.unwrap().0, 0);
}
