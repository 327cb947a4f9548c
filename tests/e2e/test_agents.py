"""Agents on the deployed stack: many people, a manual approval each, models, and a runner that is killed meanwhile."""

import collections
import concurrent.futures
import contextlib
import os
import random
import signal

from leadfiles import finished, pages, start_csv
from test_faults import Killer

# People of the two runs that go on side by side: one asks the scripted OpenAI server, one the built-in model.
OPENAI, BUILTIN = 200, 60


def micros(amount: str) -> int:
    whole, _, part = amount.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0") or 0)


def whole_run(api, agent):
    runs = api.want(200, "GET", f"/v1/agents/{agent}/runs")["runs"]
    return api.want(200, "GET", f"/v1/agents/runs/{runs[0]['id']}")["run"] if runs else None


def action_path(asked: dict) -> str:
    return f"/v1/agents/runs/{asked['run_id']}/contacts/{asked['contact_id']}/actions/{asked['action_index']}"


def all_approvals(api) -> list[dict]:
    found = []
    while page := api.want(200, "GET", "/v1/approvals", params={"limit": 100, "offset": len(found)})["approvals"]:
        found += page
    return found


def import_people(api, until) -> list[str]:
    rows = "".join(f"p{n}@example.com,Ada,Person {n},Ropes {n % 7}\n" for n in range(OPENAI + BUILTIN))
    finished(api, until, start_csv(api, f"email,first_name,last_name,company\n{rows}"))
    return [lead["id"] for lead in pages(api, "/leads", "leads")]


def decide_all(api, asked: list[dict]) -> dict[str, str]:
    """Every tenth action is rejected, the others are approved, every thirteenth by three callers at the same moment. Answers what became of
    each contact's."""
    calls = []
    for n, asking in enumerate(asked):
        verb, body = ("reject", {"reason": "no"}) if n % 10 == 9 else ("approve", {"expected_hash": asking["hash"]})
        calls += [(asking, verb, body)] * (3 if n % 13 == 5 else 1)

    def decide(call):
        asking, verb, body = call
        answer = api.request("POST", f"{action_path(asking)}/{verb}", json=body)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 409:
            decided = "rejected" if verb == "reject" else "approved"
            assert f"the action was {decided} by api_key " in answer.json()["error"]["message"], answer.text
        return asking["contact_id"], verb, answer.status_code

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(decide, calls))
    done = collections.Counter(contact for contact, _, status in answers if status == 200)
    assert done == collections.Counter(asking["contact_id"] for asking in asked), "each decided exactly once"
    return {contact: verb for contact, verb, status in answers if status == 200}


def check_people(run: dict, decided: dict[str, str], messages: collections.Counter) -> int:
    """Each has exactly one message, or one reason why not; answers how many messages there are."""
    sent = 0
    for contact in run["contacts"]:
        send = next(action for action in contact["actions"] if action["action"] == "send_message")
        expected = decided[contact["contact_id"]] == "approve"
        assert messages[contact["contact_id"]] == int(expected), contact
        if expected:
            assert (contact["status"], contact["reason"], send["status"]) == ("completed", None, "done"), contact
        else:
            assert (contact["status"], contact["reason"]) == ("cancelled", "it was rejected: no"), contact
        assert micros(contact["cost"]) == sum(micros(action["cost"]) for action in contact["actions"])
        sent += expected
    assert micros(run["cost"]) == sum(micros(contact["cost"]) for contact in run["contacts"])
    return sent


def check_trace(api, run: dict, sent: int) -> None:
    """The run is one trace, nothing in it goes on, and every step, decision and message of everybody is in it."""
    trace = api.want(200, "GET", f"/traces/{run['trace_id']}")
    spans = trace["spans"]
    assert not trace["truncated"] and [span["name"] for span in spans if span["status"] == "running"] == []
    names = collections.Counter(span["name"] for span in spans)
    people = len(run["contacts"])
    assert (names["agent.run"], names["agent.contact"], names["message.approve"]) == (1, people, people), names
    assert {names[name] for name in ("agent.send_message", "message.queue", "message.wait", "message.send")} == {sent}, names
    known = {span["span_id"] for span in spans}
    assert all(span["parent_id"] in known for span in spans if span["name"] != "agent.run")
    done = {(span["attributes"].get("axle.contact_id"), span["attributes"].get("axle.step_id")) for span in spans if span["status"] == "ok"}
    for contact in run["contacts"]:
        for action in contact["actions"]:
            if action["status"] == "done":
                assert (contact["contact_id"], action["step_id"]) in done, (contact["contact_id"], action)
    drafts = [span["attributes"] for span in spans if span["name"] == "message.draft"]
    for draft in drafts:
        assert {"gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"} <= draft.keys(), draft


def test_two_hundred_people_with_manual_approval_while_the_runner_is_killed(tenant, models, until, function_pids, sweep):
    api, rng = tenant, random.Random(6)

    def kill(function):
        """One worker, whichever: the others go on."""
        pids = sorted(function_pids(function))
        with contextlib.suppress(ProcessLookupError):
            if pids:
                os.kill(rng.choice(pids), signal.SIGKILL)
                return True
        return False

    people = import_people(api, until)
    assert len(people) == OPENAI + BUILTIN
    runs = {}
    for config, some in [({"provider": "openai", "model": "gpt-4o-mini"}, people[:OPENAI]), ({"provider": "builtin"}, people[OPENAI:])]:
        agent = {"name": config["provider"], "playbook_template": "cold_outreach", "llm_config": config}
        runs[config["provider"]] = (api.want(201, "POST", "/v1/agents", json=agent)["agent"]["id"], some)

    def pending():
        sweep()
        return api.want(200, "GET", "/v1/approvals", params={"limit": 1})["total"]

    for agent, some in runs.values():
        api.want(200, "POST", f"/v1/agents/{agent}/trigger", json={"contact_ids": some})
    # A planner that dies is heard of again when its message is visible again, in two minutes: too long for a test.
    until(lambda: pending() > 0, "the first question", seconds=60, every=0.5)
    with Killer(kill, ["agent-runner"], rng, (0.2, 1.0), times=5) as killer:
        until(lambda: pending() >= len(people) // 2, "questions about half of them", seconds=90, every=1)
    until(lambda: pending() == len(people), f"a question about each, after {dict(killer.killed)}", seconds=120, every=1)
    assert killer.killed["agent-runner"]
    with Killer(kill, ["agent-runner"], rng, (0.5, 2.0), times=3):
        decided = decide_all(api, all_approvals(api))

    def over():
        sweep()
        found = [api.want(200, "GET", f"/v1/agents/{agent}/runs")["runs"][0]["status"] for agent, _ in runs.values()]
        counts = api.want(200, "GET", "/communications/outbox")["counts"]
        waiting = counts["pending"] + counts["processing"]
        return set(found) == {"completed"} and not waiting

    until(over, "the end of both runs and of their messages", seconds=120, every=1)
    messages = collections.Counter(message["lead_id"] for message in pages(api, "/communications", "communications"))
    costs = api.want(200, "GET", "/economics/costs", params={"group_by": "agent"})
    groups = {group["key"]: group["categories"] for group in costs["groups"]}
    spent = 0
    for provider, (agent, some) in runs.items():
        run = whole_run(api, agent)
        assert {contact["contact_id"] for contact in run["contacts"]} == set(some)
        check_trace(api, run, check_people(run, decided, messages))
        spent += micros(run["cost"])
        of_agent = groups.get(agent, {"ai_inference": "0", "data_enrichment": "0"})
        assert micros(of_agent["ai_inference"]) + micros(of_agent["data_enrichment"]) == micros(run["cost"])
        assert (micros(run["cost"]) > 0) == (provider == "openai")
    assert micros(costs["categories"]["ai_inference"]) + micros(costs["categories"]["data_enrichment"]) == spent
    assert micros(costs["total"]) == spent + micros(costs["categories"]["channel_costs"])
    # Drafts that a killed runner had asked for and not written down were asked for again; of the others nothing was asked twice.
    assert len(models.asked) >= OPENAI
    agents = {agent["name"]: agent["metrics"] for agent in pages(api, "/agents", "agents")}
    for provider, (_, some) in runs.items():
        approved = sum(decided[lead] == "approve" for lead in some)
        assert (agents[provider]["total_executions"], agents[provider]["success_rate"]) == (approved, 1.0), agents[provider]


def test_fifty_approvals_at_once_do_it_once(tenant, until):
    api = tenant
    lead = api.want(201, "POST", "/leads", json={"email": "ada@example.com"})["id"]
    agent = api.want(201, "POST", "/v1/agents", json={"name": "x", "playbook": {"steps": [
        {"id": "send", "action": "send_message", "requires_approval": True, "params": {"channel": "email", "subject": "s", "body": "b"}}]}})["agent"]["id"]
    api.want(200, "POST", f"/v1/agents/{agent}/trigger", json={"contact_ids": [lead]})
    until(lambda: api.want(200, "GET", "/v1/approvals")["total"] == 1, "a question")
    path = f"{action_path(api.want(200, 'GET', '/v1/approvals')['approvals'][0])}/approve"
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: api.request("POST", path, json={}).status_code, range(50)))
    assert sorted(statuses) == [200] + [409] * 49
    until(lambda: whole_run(api, agent)["status"] == "completed", "the end of the run")
    assert len(api.want(200, "GET", "/communications", params={"lead_id": lead})["communications"]) == 1
