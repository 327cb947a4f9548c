"""Functions that die in the middle of their work: nothing is lost, nothing is done twice."""

import collections
import concurrent.futures
import contextlib
import json
import os
import random
import threading
import time

import pytest
import requests

from leadfiles import finished, lead_file, pages, start_csv, subset

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the functions' processes in /proc")


@pytest.fixture
def rng():
    seed = random.randrange(2**32)
    print(f"random seed: {seed}")  # shown when the test fails
    return random.Random(seed)


@pytest.fixture
def hands_out_again_after(stack, aws):
    """hands_out_again_after("ImportQueueUrl", 10): shortens a queue's visibility timeout for a `with` block. It stays above its
    worker's timeout, as in every deployment: two workers never have the same message."""

    @contextlib.contextmanager
    def shortened(output: str, seconds: int):
        url = stack.outputs[output]
        before = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})
        try:
            yield
        finally:
            aws("sqs").set_queue_attributes(QueueUrl=url, Attributes=before)

    return shortened


@pytest.fixture(autouse=True)
def no_dead_letters(stack, aws):
    """Whatever dies, what it was at is done by somebody before the queue gives up."""
    def count():
        urls = aws("sqs").list_queues(QueueNamePrefix=f"{stack.name}-").get("QueueUrls", [])
        return {url: int(aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"])
                for url in urls if "Dlq" in url}

    before = count()
    assert len(before) == 10
    yield
    assert count() == before


def test_import_worker_killed_at_any_moment(tenant, receiver, until, kill_function, hands_out_again_after, rng):
    file = lead_file(unique=3_600, duplicates=300, refused=100, quoted=20)
    tenant.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["lead.imported"]})
    with hands_out_again_after("ImportQueueUrl", 10):
        started = start_csv(tenant, file.text)
        path = f"/leads/import/{started['import_job_id']}"
        kills, progress = 0, -1
        while kills < 3:
            job = tenant.want(200, "GET", path)
            if job["status"] == "completed":
                break
            if job["processed"] > progress and job["status"] == "processing":
                progress = job["processed"]
                time.sleep(rng.uniform(0, 1.2))  # anywhere between two of its writes
                kills += kill_function("import-worker") > 0
            time.sleep(0.05)
        assert kills > 0, "the import was over before anything could be killed: it needs more rows"
        job = finished(tenant, until, started, seconds=90)
    assert subset(job, file.outcome) == file.outcome, f"after {kills} kills"
    [event] = pages(tenant, "/events", "events", type="lead.imported")
    assert (event["data"]["created"], event["data"]["skipped"], event["data"]["failed"]) == (3_600, 300, 100)
    until(lambda: receiver.deliveries, "the webhook of the import")
    # Had a worker finished it twice, the second event would have come by now: both are read from the same stream, in order.
    tenant.want(201, "POST", "/webhooks", json={"url": receiver.url + "/marker", "event_types": ["lead.created"]})
    tenant.want(201, "POST", "/leads", json={"email": "marker@example.com"})
    until(lambda: receiver.of_type("lead.created"), "a webhook that comes after")
    assert [delivery.headers["webhook-id"] for delivery in receiver.of_type("lead.imported")] == [event["id"]]


def test_an_import_whose_message_comes_twice(tenant, until, stack, aws):
    """SQS promises at least once: so two workers at one import now and then."""
    file = lead_file(unique=1_500, duplicates=200, refused=50, name="twice")
    started = start_csv(tenant, file.text)
    body = json.dumps({"entity_id": tenant.entity_id, "import_job_id": started["import_job_id"]})
    for _ in range(2):
        aws("sqs").send_message(QueueUrl=stack.outputs["ImportQueueUrl"], MessageBody=body)
    job = finished(tenant, until, started)
    assert subset(job, file.outcome) == file.outcome
    aws("sqs").send_message(QueueUrl=stack.outputs["ImportQueueUrl"], MessageBody=body)
    assert len(pages(tenant, "/events", "events", type="lead.imported")) == 1


class Killer(threading.Thread):
    """Kills functions at random moments until it is stopped, or each `times` times."""

    def __init__(self, kill, functions, rng, pause, times=None):
        super().__init__(daemon=True)
        self.kill, self.rng, self.pause, self.over = kill, rng, pause, threading.Event()
        self.left = {function: times for function in functions}
        self.killed = collections.Counter()

    def run(self):
        while self.left and not self.over.wait(self.rng.uniform(*self.pause)):
            function = self.rng.choice(sorted(self.left))
            if self.kill(function):
                self.killed[function] += 1
                if self.killed[function] == self.left[function]:
                    del self.left[function]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def create_leads(api, count: int, first: int = 0) -> set[str]:
    return {api.want(201, "POST", "/leads", json={"email": f"lead{n}@example.com"})["id"] for n in range(first, first + count)}


def every_event_came(api, receiver, until, webhook, seconds=60) -> list[dict]:
    """Waits until the endpoint has each of the tenant's events; answers the events."""
    events = {event["id"]: event for event in pages(api, "/events", "events")}
    until(lambda: set(events) <= {delivery.headers["webhook-id"] for delivery in list(receiver.deliveries)},
          "every event at the endpoint", seconds=seconds)

    def settled():
        records = pages(api, f"/webhooks/{webhook['id']}/deliveries", "deliveries")
        return all(record["status"] == "delivered" for record in records) and records

    records = until(settled, "the end of every delivery", seconds=seconds)
    assert collections.Counter(record["event_id"] for record in records) == collections.Counter(events.keys())
    for delivery in receiver.deliveries:
        event = delivery.verify(webhook["secret"])
        assert event["id"] == delivery.headers["webhook-id"] and event["data"] == events[event["id"]]["data"]
    return list(events.values())


def test_event_relay_killed_again_and_again(tenant, receiver, until, kill_function, rng):
    webhook = tenant.want(201, "POST", "/webhooks", json={"url": receiver.url})
    file = lead_file(unique=1_000, name="imported")
    with Killer(kill_function, ["event-relay"], rng, pause=(0.02, 0.4)) as killer:
        started = start_csv(tenant, file.text)
        leads = create_leads(tenant, 60)
        job = finished(tenant, until, started, seconds=90)
        # A machine that is quick is through before it was killed often enough.
        while killer.killed["event-relay"] < 5:
            assert len(leads) < 1_000, killer.killed
            leads |= create_leads(tenant, 5, first=len(leads))
    assert subset(job, file.outcome) == file.outcome
    events = every_event_came(tenant, receiver, until, webhook)
    kinds = collections.Counter(event["type"] for event in events)
    assert kinds == {"lead.created": len(leads), "lead.imported": 1}
    assert {event["lead_id"] for event in events if event["type"] == "lead.created"} == leads
    # The relay may publish an event twice; the deliveries that it leads to are the same, so no receiver is told twice.
    ids = collections.Counter(delivery.headers["webhook-id"] for delivery in receiver.deliveries)
    assert max(ids.values()) == 1, ids.most_common(3)


def test_dispatcher_and_deliverer_killed(tenant, receiver, until, kill_function, hands_out_again_after, rng):
    webhook = tenant.want(201, "POST", "/webhooks", json={"url": receiver.url})
    receiver.respond = lambda delivery: (time.sleep(0.15), (200, {}, b"ok"))[1]  # so that a kill finds it at work
    with hands_out_again_after("DispatchQueueUrl", 11), hands_out_again_after("DeliverQueueUrl", 21):
        with Killer(kill_function, ["webhook-dispatcher", "webhook-deliverer"], rng, pause=(0.1, 0.6), times=3) as killer:
            create_leads(tenant, 40)
            until(lambda: not killer.left or len(receiver.deliveries) >= 40, "the killing", seconds=30)
        assert killer.killed["webhook-deliverer"] and killer.killed["webhook-dispatcher"]
        events = every_event_came(tenant, receiver, until, webhook, seconds=120)
    assert len(events) == 40
    # At least once: an attempt whose worker died before it was recorded is made again, under the same id.
    ids = collections.Counter(delivery.headers["webhook-id"] for delivery in receiver.deliveries)
    assert set(ids) == {event["id"] for event in events}


MESSAGES = 2_000


def captured(stack, domain: str) -> collections.Counter:
    """How often SES was handed a message to each address of a domain, as the local stack keeps it."""
    with requests.Session() as session:
        session.trust_env = False
        kept = session.get(f"{stack.endpoint_url}/_ministack/ses/messages", timeout=60).json()["messages"].get("000000000000", [])
    return collections.Counter(to for message in kept for to in message["To"] if to.endswith(f"@{domain}"))


def queue_messages(connect, tenant, domain: str) -> None:
    """Many at once, by many callers."""
    def some(first: int) -> None:
        api = connect(tenant.api_key)
        for n in range(first, MESSAGES, 32):
            api.want(202, "POST", "/communications", json={"channel": "email", "to": f"m{n}@{domain}", "subject": "Hello", "text": "Hi"})

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(some, range(32)))


def test_outbox_sender_killed_while_it_sends_two_thousand(stack, connect, tenant, until, kill_function, hands_out_again_after, rng):
    """Each message goes out once, or is shown as failed with its outcome unknown, when its sender died while SES had it."""
    domain = f"d{rng.randrange(2**40):x}.example"

    def counts() -> dict:
        found = tenant.want(200, "GET", "/communications/outbox")["counts"]
        assert all(count >= 0 for count in found.values()), found
        return found

    with hands_out_again_after("OutboxQueueUrl", 21):
        with Killer(kill_function, ["outbox-sender"], rng, pause=(0.3, 1.5), times=8) as killer:
            queue_messages(connect, tenant, domain)
            assert sum(counts().values()) == MESSAGES
            until(lambda: not killer.left or counts()["pending"] == 0, "the killing", seconds=40, every=0.5)

        def over() -> bool:
            found = counts()
            assert sum(found.values()) == MESSAGES, found
            return found["pending"] == found["processing"] == 0

        until(over, "the end of every message", seconds=80, every=0.5)
    assert killer.killed["outbox-sender"] >= 3, "it was over too soon: it needs more messages"
    found = counts()
    messages = pages(tenant, "/communications", "communications")
    by_status = {status: {message["to"] for message in messages if message["status"] == status} for status in ("sent", "failed")}
    assert {status: len(addresses) for status, addresses in by_status.items()} == {"sent": found["sent"], "failed": found["failed"]}
    assert found["sent"] + found["failed"] == MESSAGES
    assert all(message["outcome_unknown"] for message in messages if message["status"] == "failed")
    handed_over = captured(stack, domain)
    assert set(handed_over.values()) == {1}, handed_over.most_common(3)
    assert by_status["sent"] <= set(handed_over) <= by_status["sent"] | by_status["failed"]
