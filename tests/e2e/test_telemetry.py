"""What the deployed functions write: metrics that CloudWatch can read, and one trace from the request to the webhook."""

import json
import time

import pytest

from leadfiles import finished, lead_file, pages

# Of the embedded metric format's specification; Axle uses two.
UNITS = {"Count", "Milliseconds"}


def lines(messages) -> list[dict]:
    """The JSON lines among what a function logged."""
    found = []
    for message in messages:
        if message.startswith("{"):
            found.append(json.loads(message))
    return found


def metrics(line: dict) -> dict:
    """(namespace, name, dimensions) -> values, after checking what the specification demands."""
    found = {}
    meta = line["_aws"]
    assert set(meta) == {"Timestamp", "CloudWatchMetrics"}, meta
    assert isinstance(meta["Timestamp"], int) and abs(meta["Timestamp"] / 1000 - time.time()) < 3600, "milliseconds since 1970"
    for directive in meta["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"} and directive["Namespace"] == "Axle", directive
        for names in directive["Dimensions"]:
            assert len(names) <= 30 and all(isinstance(line[name], str) and 1 <= len(line[name]) <= 1024 for name in names), line
            for metric in directive["Metrics"]:
                values = line[metric["Name"]]
                values = values if isinstance(values, list) else [values]
                assert set(metric) == {"Name", "Unit"} and metric["Unit"] in UNITS, metric
                assert 1 <= len(values) <= 100 and all(isinstance(value, (int, float)) for value in values), line
                found["Axle", metric["Name"], tuple((name, line[name]) for name in names)] = values
    return found


@pytest.fixture
def logged(function_logs, until):
    """logged(function, since, wanted) -> the JSON lines for which wanted(line), once there are any."""
    def find(function, since, wanted, what):
        return until(lambda: [line for line in lines(function_logs(function, since=since - 1)) if wanted(line)], what)
    return find


def test_requests_are_metrics_of_their_function(stack, tenant, logged):
    since = time.time()
    tenant.want(422, "POST", "/leads", json={"email": "nobody"}, headers={"x-request-id": "telemetry-refused"})
    tenant.want(201, "POST", "/leads", json={"email": "metrics@example.com"}, headers={"x-request-id": "telemetry-made"})
    by_function = (("Stack", stack.name), ("Function", "leads"))
    for request, status, counted in (("telemetry-refused", 422, {"Requests", "Duration", "ClientErrors"}),
                                     ("telemetry-made", 201, {"Requests", "Duration"})):
        [line] = logged("leads", since, lambda line: line.get("request_id") == request, "the request's line")
        found = metrics(line)
        assert {name for _, name, _ in found} == counted
        assert found["Axle", "Requests", by_function] == [1]
        assert 0 < found["Axle", "Duration", by_function][0] < 30_000
        assert (line["status"], line["route"], line["method"], line["entity_id"]) == (status, "/leads", "POST", tenant.entity_id)
        assert "metrics@example.com" not in json.dumps(line)


def test_a_throttled_request_is_a_metric_of_its_class(stack, connect, make_key, logged):
    made = make_key(limits={"queries": 1})
    api, since = connect(made["api_key"]), time.time()
    api.want(200, "GET", "/events")
    api.want(429, "GET", "/events", headers={"x-request-id": "telemetry-throttled"})
    [line] = logged("insights", since, lambda line: line.get("request_id") == "telemetry-throttled", "the request's line")
    found = metrics(line)
    assert found["Axle", "Throttles", (("Stack", stack.name), ("RateClass", "queries"))] == [1]
    assert "ClientErrors" not in {name for _, name, _ in found}


def test_every_function_writes_metrics_that_cloudwatch_can_read(stack, function_logs, tenant, receiver, until):
    """Of one import and its webhook, and a receiver that fails once."""
    since = time.time()
    receiver.answer_with(500)
    webhook = tenant.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["lead.imported"]})
    finished(tenant, until, tenant.want(202, "POST", "/leads/import", json={"csv": lead_file(unique=7).text}))
    until(lambda: [d for d in tenant.want(200, "GET", f"/webhooks/{webhook['id']}/deliveries")["deliveries"] if d["status"] == "delivered"],
          "the delivery")

    def values(function, name):
        found = [metrics(line) for line in lines(function_logs(function, since=since - 1)) if "_aws" in line]
        return [value for line in found for (_, metric, _), values in line.items() if metric == name for value in values]

    assert until(lambda: sum(values("import-worker", "RowsCreated")) >= 7, "the rows")
    until(lambda: sum(values("webhook-deliverer", "WebhookDelivered")) >= 1, "the delivery")
    failures = values("webhook-deliverer", "WebhookFailed")
    assert {0, 1} <= set(failures), "a value for each attempt, failed or not"
    for worker in ("import-worker", "webhook-dispatcher", "webhook-deliverer"):
        ages = values(worker, "QueueAge")
        assert ages and all(0 <= age < 600_000 for age in ages), worker
    ages = values("event-relay", "StreamAge")
    assert ages and all(0 <= age < 600_000 for age in ages)


def test_one_trace_from_a_request_to_the_receiver_in_every_log(tenant, receiver, until, function_logs):
    trace, since = "5cd1e0b8a6f94d7c9e3a2b1c0d4f6e87", time.time()
    tenant.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["lead.created", "lead.imported"]})
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    lead = tenant.want(201, "POST", "/leads", json={"email": "traced@example.com"}, headers=headers)
    [event] = pages(tenant, "/events", "events", lead_id=lead["id"])
    assert event["trace_id"] == trace
    [delivery] = until(lambda: receiver.of_type("lead.created"), "the webhook")
    version, told, span, flags = delivery.headers["traceparent"].split("-")
    assert (version, told, flags) == ("00", trace, "01") and span != "00f067aa0ba902b7", "a step of its own in the same trace"

    started = tenant.want(202, "POST", "/leads/import", json={"csv": lead_file(unique=3).text}, headers=headers)
    finished(tenant, until, started)
    [delivery] = until(lambda: receiver.of_type("lead.imported"), "the import's webhook")
    assert delivery.headers["traceparent"].split("-")[1] == trace
    for function in ("leads", "import-worker", "webhook-dispatcher", "webhook-deliverer"):
        until(lambda: [line for line in lines(function_logs(function, since=since - 1)) if line.get("trace_id") == trace],
              f"the trace in the log of {function}")


def test_a_request_without_a_trace_gets_one(tenant):
    lead = tenant.want(201, "POST", "/leads", json={"email": "untraced@example.com"}, headers={"traceparent": "nonsense"})
    [event] = pages(tenant, "/events", "events", lead_id=lead["id"])
    assert len(event["trace_id"]) == 32 and set(event["trace_id"]) != {"0"}
