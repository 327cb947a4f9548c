//! What is wrong with a playbook is said when it is saved, all of it at once, each with its place.

use axle_app::{Answer, Error, agents, input};
use axle_domain::agent::AgentInput;
use serde_json::{Value, json};

use crate::Stage;

/// The faults of a definition, by place.
async fn faults(stage: &Stage, spec: Value) -> Vec<(String, String)> {
    let read: Result<AgentInput, Error> = input::read(spec);
    let made = match read {
        Ok(spec) => agents::create(stage.app(), &stage.ctx(), spec, |_| Answer::new(201, ())).await,
        Err(e) => Err(e),
    };
    let mut found: Vec<(String, String)> = match made {
        Ok(_) => Vec::new(),
        Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect(),
        Err(e) => panic!("{e}"),
    };
    found.sort();
    found
}

/// A playbook of one step, after a draft that it may build on.
fn step(step: Value) -> Value {
    let draft = json!({"id": "draft", "action": "draft_message", "params": {"channel": "email", "instructions": "x"}});
    json!({"name": "x", "playbook": {"steps": [draft, step]}})
}

fn long(n: usize) -> String {
    "x".repeat(n)
}

#[tokio::test]
async fn every_kind_of_fault_has_its_place() {
    let stage = Stage::new().await;
    let nobody = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77";
    let send = |params: Value| step(json!({"id": "s", "action": "send_message", "params": params}));
    let of = |action: &str, params: Value| step(json!({"id": "s", "action": action, "params": params}));
    let with = |name: &str, value: Value| {
        let mut spec = step(json!({"id": "s", "action": "score"}));
        spec[name] = value;
        spec
    };
    let playbook = |name: &str, value: Value| {
        let mut spec = step(json!({"id": "s", "action": "score"}));
        spec["playbook"][name] = value;
        spec
    };
    let p = |name: &str| format!("/playbook/steps/1/{name}");
    let cases: Vec<(Value, String, &str)> = vec![
        // Steps.
        (step(json!({"id": "s", "action": "teleport"})), p("action"), "enrich, score, research"),
        (step(json!({"id": "s"})), p("action"), "is required"),
        (step(json!({"action": "score"})), p("id"), "is required"),
        (step(json!({"id": "1 step", "action": "score"})), p("id"), ""),
        (step(json!({"id": "draft", "action": "score"})), p("id"), "is the id of an earlier step"),
        (step(json!({"id": "s", "action": "score", "on_eror": "skip"})), p("on_eror"), "is not a field of this object"),
        (step(json!({"id": "s", "action": "score", "on_error": "cry"})), p("on_error"), "fail, skip, retry"),
        (step(json!({"id": "s", "action": "score", "requires_approval": "yes"})), p("requires_approval"), "true or false"),
        (step(json!({"id": "s", "action": "score", "when": "lead.score >"})), p("when"), "line 1"),
        (step(json!({"id": "s", "action": "score", "when": "{{ lead.score }}"})), p("when"), "line 1"),
        (step(json!({"id": "s", "action": "score", "when": " "})), p("when"), "must not be empty"),
        (json!({"name": "x", "playbook": {"steps": []}}), "/playbook/steps".to_owned(), "must not be empty"),
        (json!({"name": "x", "playbook": {}}), "/playbook/steps".to_owned(), "is required"),
        (
            json!({"name": "x", "playbook": {"steps": (0..21).map(|n| json!({"id": format!("s{n}"), "action": "score"})).collect::<Vec<_>>()}}),
            "/playbook/steps".to_owned(),
            "at most 20",
        ),
        // Params of each action.
        (of("score", json!({"model": "x"})), p("params"), "must have no fields"),
        (of("enrich", json!({"providers": []})), p("params/providers"), "must not be empty"),
        (of("enrich", json!({"providers": ["website", "nobody"]})), p("params/providers/1"), "no provider has this name"),
        (of("research", json!({})), p("params/questions"), "is required"),
        (of("research", json!({"questions": ["", "x"]})), p("params/questions/0"), "must not be empty"),
        (of("draft_message", json!({"channel": "email"})), p("params/instructions"), "is required, or else body"),
        (of("draft_message", json!({"channel": "email", "instructions": "x", "body": "y"})), p("params/body"), "cannot go with"),
        (of("draft_message", json!({"channel": "email", "body": "y"})), p("params/subject"), "is required for e-mail"),
        (of("draft_message", json!({"channel": "fax", "instructions": "x"})), p("params/channel"), "email, sms, linkedin"),
        (send(json!({"channel": "email"})), p("params/body"), "is required, or else from_step"),
        (send(json!({"channel": "email", "from_step": "s"})), p("params/from_step"), "earlier draft_message step"),
        (send(json!({"channel": "email", "from_step": "none"})), p("params/from_step"), "earlier draft_message step"),
        (send(json!({"channel": "email", "from_step": "draft", "body": "b"})), p("params/from_step"), "cannot go with body"),
        (send(json!({"channel": "email", "body": "b"})), p("params/subject"), "is required for e-mail"),
        (send(json!({"channel": "sms", "subject": "s", "body": "b"})), p("params/subject"), "not a part of an SMS"),
        (send(json!({"channel": "email", "from_step": "draft", "to": "eve@example.com"})), p("params/to"), "is not a field"),
        (send(json!({"channel": "email", "subject": "s", "body": "a\n{{ contact."})), p("params/body"), "line 2"),
        (send(json!({"channel": "email", "subject": "{% if x %}", "body": "b"})), p("params/subject"), "line 1"),
        (of("wait", json!({})), p("params/hours"), "is required"),
        (of("wait", json!({"hours": -1})), p("params/hours"), "at least 0"),
        (of("wait", json!({"hours": 8761})), p("params/hours"), "at most 8760"),
        (of("wait", json!({"hours": "{{ input.hours }}"})), p("params/hours"), "number"),
        (of("create_task", json!({"title": long(501)})), p("params/title"), "at most 500"),
        (of("create_task", json!({"title": "x", "priority": "urgentest"})), p("params/priority"), "must be one of"),
        (of("create_follow_up", json!({"subject": "x"})), p("params/due_in_hours"), "is required"),
        (of("update_stage", json!({"stage": "lukewarm"})), p("params/stage"), "neither a stage of deals nor a status of leads"),
        (of("add_to_list", json!({"list_id": "friends"})), p("params/list_id"), "must be a UUID"),
        (of("add_to_list", json!({"list_id": nobody})), p("params/list_id"), "no marketing list has this id"),
        (of("model", json!({})), p("params/prompt"), "is required"),
        (of("model", json!({"prompt": "x", "output_schema": {"type": "thing"}})), p("params/output_schema"), "not a JSON Schema"),
        (
            of("model", json!({"prompt": "x", "output_schema": {"$ref": "https://example.com/schema.json"}})),
            p("params/output_schema"),
            "not a JSON Schema",
        ),
        (
            of("model", json!({"prompt": "x", "output_schema": {"properties": {"a": {"$ref": "file:///etc/passwd"}}}})),
            p("params/output_schema"),
            "not a JSON Schema",
        ),
        (of("http", json!({"url": "https://x.example"})), p("params/method"), "is required"),
        (of("http", json!({"url": "https://x.example", "method": "GET"})), p("params/method"), "get, post"),
        (of("http", json!({"url": "gopher://x.example", "method": "get"})), p("params/url"), ""),
        (of("http", json!({"url": "https://x.example/{{", "method": "get"})), p("params/url"), "line 1"),
        (
            of("http", json!({"url": "https://x.example", "method": "get", "headers": {"x/y": "1"}})),
            p("params/headers/x~1y"),
            "must not",
        ),
        (
            of("http", json!({"url": "https://x.example", "method": "post", "body": {"a": ["{{ b"]}})),
            p("params/body/a/0"),
            "line 1",
        ),
        (of("notify", json!({"message": ""})), p("params/message"), "must not be empty"),
        // Limits and targeting.
        (playbook("limits", json!({"max_cost": "-1"})), "/playbook/limits/max_cost".to_owned(), ""),
        (playbook("limits", json!({"max_cost": 1_000_001})), "/playbook/limits/max_cost".to_owned(), "at most"),
        (
            playbook("limits", json!({"max_duration_seconds": 0})),
            "/playbook/limits/max_duration_seconds".to_owned(),
            "at least 1",
        ),
        (playbook("limits", json!({"max_actions": 0})), "/playbook/limits/max_actions".to_owned(), "at least 1"),
        (playbook("limits", json!({"max_tokens": 1})), "/playbook/limits/max_tokens".to_owned(), "is not a field"),
        (playbook("targeting", json!({"source": "friends"})), "/playbook/targeting/source".to_owned(), "contacts, leads"),
        (
            playbook("targeting", json!({"source": "contacts", "tier": "hot"})),
            "/playbook/targeting/tier".to_owned(),
            "leads only",
        ),
        (
            playbook("targeting", json!({"source": "leads", "list_id": nobody})),
            "/playbook/targeting/list_id".to_owned(),
            "contacts only",
        ),
        (
            playbook("targeting", json!({"source": "contacts", "list_id": nobody})),
            "/playbook/targeting/list_id".to_owned(),
            "no marketing list",
        ),
        (
            playbook("targeting", json!({"source": "leads", "campaign_id": nobody})),
            "/playbook/targeting/campaign_id".to_owned(),
            "no campaign",
        ),
        (
            playbook("targeting", json!({"source": "leads", "limit": 1001})),
            "/playbook/targeting/limit".to_owned(),
            "at most 1000",
        ),
        (playbook("goal", json!("x")), "/playbook/goal".to_owned(), "is not a field of this object"),
        // The agent around it.
        (json!({}), "/name".to_owned(), "is required"),
        (with("playbook_template", json!("warm_outreach")), "/playbook_template".to_owned(), "cold_outreach"),
        (with("identity_id", json!(nobody)), "/identity_id".to_owned(), "no sending identity has this id"),
        (with("llm_config", json!({"provider": "skynet"})), "/llm_config/provider".to_owned(), "openai"),
        (with("llm_config", json!({"provider": "openai"})), "/llm_config/model".to_owned(), "is required for the provider"),
        (with("llm_config", json!({"provider": "builtin", "model": "gpt-4o"})), "/llm_config/model".to_owned(), "builtin-1"),
        (
            with("llm_config", json!({"provider": "bedrock", "model": "m", "temperature": 1.5})),
            "/llm_config/temperature".to_owned(),
            "from 0 to 1",
        ),
        (with("llm_config", json!({"max_tokens": 0})), "/llm_config/max_tokens".to_owned(), "at least 1"),
        (with("llm_config", json!({"modle": "x"})), "/llm_config/modle".to_owned(), "is not a field"),
        (with("input_schema", json!({"type": 7})), "/input_schema".to_owned(), "not a JSON Schema"),
        (with("output_schema", json!({"$ref": "http://127.0.0.1:9/x"})), "/output_schema".to_owned(), "not a JSON Schema"),
        (with("output_schema", json!({"description": long(20_001)})), "/output_schema".to_owned(), "at most 20000 bytes"),
        (with("runtime", json!("http")), "/endpoint".to_owned(), "is required for the runtime http"),
        (with("endpoint", json!("ftp://x.example")), "/endpoint".to_owned(), ""),
        (with("slug", json!("sender")), "/slug".to_owned(), "built-in agent"),
        (with("slug", json!("Not A Slug")), "/slug".to_owned(), ""),
    ];
    for (spec, pointer, words) in cases {
        let found = faults(&stage, spec.clone()).await;
        let [(at, detail)] = &found[..] else { panic!("{spec}: one fault at {pointer} rather than {found:?}") };
        assert!(*at == pointer && detail.contains(words), "{spec}: {pointer} {words:?} rather than {at} {detail:?}");
    }
    assert_eq!(
        faults(&stage, step(json!({"id": "s", "action": "send_message", "params": {"channel": "email", "from_step": "draft"}})))
            .await,
        []
    );
    // A schema may refer to itself.
    let schema = json!({"$defs": {"a": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/a"}}});
    assert_eq!(faults(&stage, of("model", json!({"prompt": "x", "output_schema": schema}))).await, []);
}

#[tokio::test]
async fn all_faults_of_a_playbook_at_once() {
    let stage = Stage::new().await;
    let spec = json!({"name": " ", "llm_config": {"provider": "openai"}, "input_schema": {"type": 7}, "colour": "red",
    "playbook": {"targeting": {"source": "contacts", "status": "new"}, "limits": {"max_actions": 5}, "steps": [
        {"id": "a", "action": "send_message", "params": {"channel": "email", "from_step": "b"}},
        {"id": "a", "action": "score", "when": "1 +"},
        {"id": "b", "action": "model", "params": {"prompt": "x", "output_schema": {"$ref": "https://example.com/x"}}},
        {"id": "c", "action": "notify", "params": {"message": "{{ oh"}},
    ]}});
    let pointers: Vec<String> = faults(&stage, spec).await.into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(
        pointers,
        [
            "/colour",
            "/input_schema",
            "/llm_config/model",
            "/name",
            "/playbook/steps/0/params/from_step",
            "/playbook/steps/1/id",
            "/playbook/steps/1/when",
            "/playbook/steps/2/params/output_schema",
            "/playbook/steps/3/params/message",
            "/playbook/targeting/status",
        ]
    );
}
