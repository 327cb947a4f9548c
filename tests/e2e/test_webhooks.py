"""Delivery to endpoints that fail, hang, leave, or change their secret. Retry waits are a hundredth of production's."""

import collections
import concurrent.futures
import socket
import time

import pytest
import standardwebhooks.webhooks

from leadfiles import pages


@pytest.fixture
def subscribe(tenant):
    """subscribe(receiver, ...) -> a new endpoint there, with its secret."""
    return lambda to, **fields: tenant.want(201, "POST", "/webhooks", json={"url": to if isinstance(to, str) else to.url, **fields})


@pytest.fixture
def lead(tenant):
    """lead() creates one, which is an event; answers the event."""
    made = iter(range(10_000))

    def create():
        created = tenant.want(201, "POST", "/leads", json={"email": f"lead{next(made)}@example.com"})
        [event] = pages(tenant, "/events", "events", lead_id=created["id"])
        return event

    return create


@pytest.fixture
def deliveries(tenant):
    return lambda webhook, **params: pages(tenant, f"/webhooks/{webhook['id']}/deliveries", "deliveries", **params)


def statuses(record) -> list:
    return [attempt["status_code"] for attempt in record["attempts"]]


def test_failures_are_tried_again_with_growing_waits(subscribe, lead, receiver, deliveries, until):
    receiver.answer_with(500, 302, 404)
    webhook = subscribe(receiver)
    event = lead()
    until(lambda: len(receiver.deliveries) == 4, "three retries", seconds=60)
    assert {delivery.headers["webhook-id"] for delivery in receiver.deliveries} == {event["id"]}
    assert all(delivery.verify(webhook["secret"])["id"] == event["id"] for delivery in receiver.deliveries)
    first, second, third, fourth = [delivery.at for delivery in receiver.deliveries]
    assert 2 < third - second < fourth - third, "3 s, then 18 s: a hundredth of 5 and 30 minutes"
    record = until(lambda: [r for r in deliveries(webhook) if r["status"] == "delivered"], "the record")[0]
    assert statuses(record) == [500, 302, 404, 200] and record["next_attempt_at"] is None
    assert record["attempts"][0]["response_excerpt"] == "told to fail"
    assert "redirects are not followed" in record["attempts"][1]["error"]
    stamps = [int(delivery.headers["webhook-timestamp"]) for delivery in receiver.deliveries]
    assert stamps == sorted(stamps) and stamps[-1] - stamps[0] >= 20, "of the attempt, not of the event"


def test_a_receiver_that_is_away_gets_it_later(subscribe, lead, receiver, deliveries, until):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    webhook = subscribe(f"http://127.0.0.1:{port}/hook")
    lead()
    record = until(lambda: [r for r in deliveries(webhook) if len(r["attempts"]) >= 2], "two failed attempts")[0]
    assert record["status"] == "failed" and record["next_attempt_at"]
    assert statuses(record)[0] is None and record["attempts"][0]["error"] and record["attempts"][0]["response_excerpt"] is None


def test_retry_after_is_honoured(subscribe, lead, receiver, until):
    receiver.respond = lambda _: (503, {"retry-after": "4"}, b"") if len(receiver.deliveries) == 1 else (200, {}, b"")
    subscribe(receiver)
    lead()
    until(lambda: len(receiver.deliveries) == 2, "the retry", seconds=30)
    waited = receiver.deliveries[1].at - receiver.deliveries[0].at
    assert 4 <= waited < 12, waited


def test_the_scheduler_sends_what_is_due_after_a_long_wait(tenant, subscribe, lead, receiver, deliveries, until, stack, aws):
    """SQS delays by 15 minutes at most: longer waits are on the due-index only, which the scheduler looks through each minute."""
    receiver.respond = lambda _: (429, {"retry-after": "3600"}, b"")
    webhook = subscribe(receiver)
    event = lead()
    record = until(lambda: [r for r in deliveries(webhook) if r["status"] == "failed"], "the failed attempt")[0]
    in_an_hour = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 3_590))
    assert record["next_attempt_at"] >= in_an_hour
    receiver.respond = None

    past = "2026-01-05T09:30:00.000Z"
    aws("dynamodb").update_item(
        TableName=stack.outputs["TableName"],
        Key={"pk": {"S": f"E#{tenant.entity_id}#DELIVERY#{record['id']}"}, "sk": {"S": "DELIVERY"}},
        UpdateExpression="SET next_attempt_at = :past, gsi3sk = :due", ConditionExpression="attribute_exists(gsi3pk)",
        ExpressionAttributeValues={":past": {"S": past}, ":due": {"S": f"{past}#{record['id']}"}})
    swept = aws("lambda").invoke(FunctionName=stack.local.function_name("scheduler"), Payload=b'{"sweep":"due"}')
    assert "FunctionError" not in swept, swept["Payload"].read()
    until(lambda: len(receiver.deliveries) == 2, "the delivery that was due")
    assert receiver.deliveries[1].verify(webhook["secret"])["id"] == event["id"]
    done = until(lambda: [r for r in deliveries(webhook) if r["status"] == "delivered"], "its record")[0]
    assert statuses(done) == [429, 200] and done["next_attempt_at"] is None


def test_410_disables_the_endpoint_and_others_hear_of_it(tenant, subscribe, lead, receiver, deliveries, until):
    gone = subscribe(receiver.url + "/gone")
    watcher = subscribe(receiver.url + "/watcher")
    receiver.respond = lambda delivery: (410 if delivery.path.endswith("/gone") else 200, {}, b"")
    event = lead()
    told = until(lambda: receiver.of_type("webhook.disabled"), "the event")
    data = told[0].verify(watcher["secret"])["data"]
    # Paths and queries may hold secrets, which are no other endpoint's business.
    assert (data["webhook_id"], data["url"]) == (gone["id"], receiver.url.partition("/hook/")[0]) and "410" in data["reason"]
    assert [delivery.path.rpartition("/")[2] for delivery in told] == ["watcher"], "nobody is told of their own end"
    endpoint = tenant.want(200, "GET", f"/webhooks/{gone['id']}")
    assert endpoint["status"] == "disabled" and "410" in endpoint["disabled_reason"]
    [record] = deliveries(gone)
    assert (record["event_id"], record["status"], statuses(record)) == (event["id"], "dead", [410])
    [disabled] = pages(tenant, "/events", "events", type="webhook.disabled")
    assert disabled["actor"]["kind"] == "system" and disabled["subject"] == {"kind": "webhook", "id": gone["id"]}

    # What happens while it is disabled is not sent, also not later.
    arrived = lambda name: [d.json()["id"] for d in receiver.deliveries if d.path.endswith(name)]  # noqa: E731
    missed = lead()
    until(lambda: missed["id"] in arrived("/watcher"), "the event at the other endpoint")
    receiver.respond = None
    enabled = tenant.want(200, "PATCH", f"/webhooks/{gone['id']}", json={"status": "enabled"})
    assert (enabled["status"], enabled["disabled_reason"]) == ("enabled", None)
    after = lead()
    until(lambda: len(arrived("/gone")) > 1, "a delivery to the endpoint that is enabled again")
    assert arrived("/gone") == [event["id"], after["id"]]


def test_a_disabled_endpoint_gets_nothing(tenant, subscribe, lead, receiver, deliveries, until):
    disabled, other = subscribe(receiver.url + "/disabled"), subscribe(receiver.url + "/other")
    tenant.want(200, "PATCH", f"/webhooks/{disabled['id']}", json={"status": "disabled"})
    deleted = subscribe(receiver.url + "/deleted")
    tenant.want(204, "DELETE", f"/webhooks/{deleted['id']}")
    narrow = subscribe(receiver.url + "/narrow", event_types=["campaign.*", "lead.imported"])
    lead()
    # Its deliveries are made in the same breath as the others', so once those have arrived, none is to come.
    until(lambda: [r for r in deliveries(other) if r["status"] == "delivered"], "the delivery to the other")
    assert [delivery.path.rpartition("/")[2] for delivery in receiver.deliveries] == ["other"]
    assert deliveries(disabled) == deliveries(narrow) == []
    tenant.want(404, "GET", f"/webhooks/{deleted['id']}/deliveries")


def test_both_secrets_sign_during_a_rotation(tenant, subscribe, lead, receiver, until):
    old = subscribe(receiver)["secret"]
    webhook = tenant.want(200, "GET", "/webhooks")["webhooks"][0]
    assert "secret" not in webhook
    path = f"/webhooks/{webhook['id']}"
    assert tenant.want(200, "GET", f"{path}/secret") == {"secret": old}
    new = tenant.want(200, "POST", f"{path}/rotate-secret", json={"overlap_seconds": 600})["secret"]
    assert new != old and tenant.want(200, "GET", f"{path}/secret") == {"secret": new}
    lead()
    delivery = until(lambda: receiver.deliveries, "a delivery in the overlap")[0]
    assert len(delivery.headers["webhook-signature"].split(" ")) == 2
    assert delivery.verify(old) == delivery.verify(new)

    newest = tenant.want(200, "POST", f"{path}/rotate-secret", json={"overlap_seconds": 0})["secret"]
    lead()
    delivery = until(lambda: receiver.deliveries[1:], "a delivery after the overlap")[0]
    delivery.verify(newest)
    for secret in (old, new):
        with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
            delivery.verify(secret)


def test_own_secret_and_idempotent_creation(tenant, lead, receiver, until):
    own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = {"url": receiver.url, "secret": own}
    first = tenant.want(201, "POST", "/webhooks", json=body, headers={"idempotency-key": "hook"})
    again = tenant.request("POST", "/webhooks", json=body, headers={"idempotency-key": "hook"})
    assert first["secret"] == own
    assert again.status_code == 201 and again.headers["idempotent-replayed"] == "true"
    assert again.json() == {**first, "secret": None}, "secrets are not kept for replays"
    lead()
    until(lambda: receiver.deliveries, "a delivery")[0].verify(own)
    assert len(receiver.deliveries) == 1


def test_test_sends(tenant, subscribe, receiver, deliveries):
    webhook = subscribe(receiver, event_types=["campaign.*"])
    path = f"/webhooks/{webhook['id']}/test"
    done = tenant.want(200, "POST", path)
    assert (done["delivered"], done["status_code"], done["response_excerpt"], done["error"]) == (True, 200, "ok", None)
    [delivery] = receiver.deliveries
    assert delivery.verify(webhook["secret"])["type"] == "campaign.created", "the first type that it listens to"
    assert tenant.want(200, "POST", path, json={"event_type": "lead.scored"})["delivered"]
    assert receiver.of_type("lead.scored")[0].verify(webhook["secret"])["data"]["score"] >= 0

    receiver.respond = lambda _: (500, {}, b"x" * 3_000)
    failed = tenant.want(200, "POST", path)
    assert (failed["delivered"], failed["status_code"], failed["response_excerpt"]) == (False, 500, "x" * 1024)
    assert deliveries(webhook) == [], "tests leave no record"
    assert tenant.want(200, "GET", f"/webhooks/{webhook['id']}")["status"] == "enabled"
    faults = tenant.want(422, "POST", path, json={"event_type": "lead.nonsense"})["errors"]
    assert [fault["pointer"] for fault in faults] == ["/event_type"]


def test_replays(tenant, subscribe, lead, receiver, deliveries, until):
    webhook = subscribe(receiver)
    first, second = lead(), lead()
    done = lambda: [r for r in deliveries(webhook) if r["status"] == "delivered"]  # noqa: E731
    until(lambda: len(done()) == 2, "two deliveries")
    record = next(record for record in done() if record["event_id"] == first["id"])
    assert tenant.want(200, "POST", f"/webhooks/deliveries/{record['id']}/replay") == {"replayed": 1}
    until(lambda: len(receiver.deliveries) == 3, "the replay")
    again = receiver.deliveries[2]
    assert again.headers["webhook-id"] == first["id"] and again.verify(webhook["secret"])["id"] == first["id"]
    until(lambda: [r for r in done() if r["id"] == record["id"] and len(r["attempts"]) == 2], "its record")

    path = f"/webhooks/{webhook['id']}/replay"
    assert tenant.want(200, "POST", path, json={"since": first["occurred_at"], "only": "failed"}) == {"replayed": 0}
    until(lambda: len(done()) == 2, "nothing under way")
    assert tenant.want(200, "POST", path, json={"since": first["occurred_at"], "only": "all"}) == {"replayed": 2}
    until(lambda: len(receiver.deliveries) == 5, "both once more")
    counts = collections.Counter(delivery.headers["webhook-id"] for delivery in receiver.deliveries)
    assert counts == {first["id"]: 3, second["id"]: 2}
    tenant.want(422, "POST", path, json={"since": "2100-01-01T00:00:00Z", "only": "all"})
    tenant.want(404, "POST", "/webhooks/deliveries/01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77/replay")


def test_hanging_endpoints_do_not_delay_others(connect, make_key, receiver, until):
    """Three endpoints of one tenant never answer; another tenant's events arrive as ever, while they are being waited for."""
    slow, quick = (connect(made["api_key"], made["entity_id"]) for made in (make_key(), make_key()))
    release = []

    def respond(delivery):
        while "/hangs" in delivery.path and not release:
            time.sleep(0.1)
        return 200, {}, b""

    receiver.respond = respond
    try:
        for n in range(3):
            slow.want(201, "POST", "/webhooks", json={"url": f"{receiver.url}/hangs{n}"})
        quick.want(201, "POST", "/webhooks", json={"url": f"{receiver.url}/quick"})
        slow.want(201, "POST", "/webhooks", json={"url": f"{receiver.url}/neighbour"})
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: slow.want(201, "POST", "/leads", json={"email": f"s{n}@example.com"}), range(20)))
        until(lambda: [d for d in receiver.deliveries if "/hangs" in d.path], "a delivery that hangs")
        started = time.monotonic()
        for n in range(5):
            quick.want(201, "POST", "/leads", json={"email": f"q{n}@example.com"})
        arrived = lambda name: [d for d in list(receiver.deliveries) if d.path.endswith(name)]  # noqa: E731
        until(lambda: len(arrived("/quick")) == 5, "the deliveries to the endpoint that answers", seconds=12)
        assert time.monotonic() - started < 12, "less than one timeout"
        until(lambda: len(arrived("/neighbour")) == 20, "those of the same tenant that do not hang", seconds=20)
    finally:
        release.append(True)


def test_the_rate_limit_of_an_endpoint(subscribe, tenant, receiver, until):
    subscribe(receiver, rate_limit_per_second=2)
    for n in range(8):
        tenant.want(201, "POST", "/leads", json={"email": f"rate{n}@example.com"})
    until(lambda: len(receiver.deliveries) == 8, "all deliveries", seconds=60)
    # Counted by the deliverer's clock when it lets an attempt in; the call itself follows a moment later.
    per_second = collections.Counter(int(delivery.headers["webhook-timestamp"]) for delivery in receiver.deliveries)
    assert max(per_second.values()) <= 3 and len(per_second) >= 3, per_second


@pytest.mark.parametrize("url", [
    "https://10.0.0.1/hook", "https://192.168.1.1/", "https://172.16.0.1/", "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/", "https://0.0.0.0/", "https://224.0.0.1/", "https://[fe80::1]/", "https://[fd00::1]/",
    "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://3232235777/", "https://0x0a000001/", "https://012.0.0.1/",
    "ftp://example.com/", "example.com/hook", "https://user:secret@example.com/", "javascript:alert(1)", "",
])
def test_private_addresses_are_refused(tenant, url):
    """The local stack allows loopback, nothing else that is not public."""
    problem = tenant.want(422, "POST", "/webhooks", json={"url": url})
    assert "/url" in [error["pointer"] for error in problem["errors"]], problem
    assert tenant.want(200, "GET", "/webhooks")["webhooks"] == []


def test_a_change_to_a_private_address_is_refused(tenant, subscribe, receiver):
    webhook = subscribe(receiver)
    for change, pointer in [({"url": "https://10.0.0.1/hook"}, "/url"), ({"event_types": ["nonsense.*"]}, "/event_types/0")]:
        problem = tenant.want(422, "PATCH", f"/webhooks/{webhook['id']}", json=change)
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert tenant.want(200, "GET", f"/webhooks/{webhook['id']}")["url"] == receiver.url


def test_changes_are_in_the_audit_log_without_secrets(tenant, subscribe, receiver):
    webhook = subscribe(receiver.url + "?token=very-secret-token")
    tenant.want(200, "PATCH", f"/webhooks/{webhook['id']}", json={"description": "mine"})
    new = tenant.want(200, "POST", f"/webhooks/{webhook['id']}/rotate-secret")["secret"]
    tenant.want(204, "DELETE", f"/webhooks/{webhook['id']}")
    entries = pages(tenant, "/audit-log", "entries")
    assert [entry["action"] for entry in entries] == ["webhook.deleted", "webhook.secret_rotated", "webhook.updated", "webhook.created"]
    assert {entry["subject_id"] for entry in entries} == {webhook["id"]}
    assert not any(secret in str(entries) for secret in (webhook["secret"], new, "very-secret-token"))
