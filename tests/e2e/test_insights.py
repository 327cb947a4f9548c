"""Costs, traces and service levels on the deployed stack."""

import csv
import io
import json
import uuid
from decimal import Decimal

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_message_is_explained_and_paid_for(tenant, until):
    lead = tenant.want(201, "POST", "/leads", json={"email": f"{uuid.uuid4().hex}@example.com"})
    campaign = tenant.want(201, "POST", "/campaigns", json={"name": "Spring", "channels": ["email"]})
    body = {"channel": "email", "lead_id": lead["id"], "campaign_id": campaign["id"], "category": "transactional", "subject": "Hello",
            "text": "Hi"}
    queued = tenant.want(202, "POST", "/communications", json=body, headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    def explained():
        trace = tenant.want(200, "GET", f"/traces/{TRACE}")
        return trace if trace["status"] != "running" else None

    trace = until(explained, "the end of the trace")
    assert (trace["status"], trace["lead_id"], trace["campaign_id"]) == ("ok", lead["id"], campaign["id"]), trace
    spans = {span["name"]: span for span in trace["spans"]}
    assert set(spans) == {"message.queue", "message.wait", "message.send"}
    assert spans["message.send"]["parent_id"] == spans["message.queue"]["span_id"]
    assert spans["message.send"]["attributes"]["axle.communication.id"] == queued["id"]
    for query in ({"campaign_id": campaign["id"]}, {"lead_id": lead["id"]}, {"status": "ok"}):
        listed = tenant.want(200, "GET", "/traces", params=query)["traces"]
        assert [found["trace_id"] for found in listed] == [TRACE], query

    sent = tenant.want(200, "GET", "/communications/outbox")["counts"]["sent"]
    for group_by in ("day", "campaign", "agent"):
        costs = tenant.want(200, "GET", "/economics/costs", params={"group_by": group_by})
        assert (costs["sent"], costs["total"], costs["cost_per_sent"]) == (sent, "0.0001", "0.0001"), costs
        assert sum(Decimal(group["total"]) for group in costs["groups"]) == Decimal(costs["total"])
    answer = tenant.request("GET", "/economics/costs", params={"group_by": "campaign", "format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["key"], row["label"], row["total"]) == (campaign["id"], "Spring", "0.0001")


def test_a_breach_is_told_of_once(tenant, stack, aws, until):
    promise = {"objective": "outbox_latency_p95_seconds", "threshold": 0, "window_minutes": 60}
    tenant.want(201, "PUT", "/slos/at-once", json=promise)
    tenant.want(202, "POST", "/communications", json={"channel": "sms", "to": "+14155550123", "text": "t"})
    until(lambda: tenant.want(200, "GET", "/communications/outbox")["counts"]["sent"] == 1, "the message to go out")
    # It may have been judged before the message went out: set again, it is due at once.
    tenant.want(200, "PUT", "/slos/at-once", json=promise)

    def sweep():
        answer = aws("lambda").invoke(FunctionName=stack.local.function_name("scheduler"), Payload=json.dumps({"sweep": "due"}))
        assert "FunctionError" not in answer
        [slo] = tenant.want(200, "GET", "/slos")["slos"]
        return slo if slo["state"] == "breached" else None

    slo = until(sweep, "the breach")
    assert slo["value"] >= 1 and slo["breached_since"], slo
    tenant.want(200, "PUT", "/slos/at-once", json=promise)
    sweep()
    events = tenant.want(200, "GET", "/events", params={"type": "slo.*"})["events"]
    assert [(event["type"], event["data"]["name"]) for event in events] == [("slo.violated", "at-once")]
    tenant.want(204, "DELETE", "/slos/at-once")
