"""A campaign from its draft to its end on the deployed stack, with waits of seconds; everything that counts it has to agree."""

import collections
import datetime
import json
import re
import threading
import time
import uuid
from decimal import Decimal

import pytest
import requests
import standardwebhooks.webhooks

from leadfiles import pages, run_csv

LEADS = 200
# How many of them do what, as soon as they have the first message.
OPENING, CLICKING, INTERESTED, DECLINING, UNSUBSCRIBING, BOUNCING, MEETING = 6, 4, 2, 2, 4, 4, 2
BROWSER = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
HOME = b"""<html><head><title>Brightledger | Books</title><meta property="og:site_name" content="Brightledger">
<script src="https://js.hs-scripts.com/1.js"></script></head><body>We keep books.</body></html>"""


@pytest.fixture
def site(receiver):
    """The company that everybody works for, the API that knows its size, and an endpoint for webhooks."""
    def respond(delivery):
        if delivery.path.startswith("/v1/"):
            return 200, {"content-type": "application/json"}, b'{"employees": 120}'
        if delivery.path.startswith("/hook/"):
            return 200, {}, b"ok"
        return (200, {"content-type": "text/html"}, HOME) if delivery.path == "/" else (404, {}, b"")

    receiver.respond = respond
    return f"http://127.0.0.1:{receiver.port}"


def members(tenant, campaign):
    return pages(tenant, f"/campaigns/{campaign}/leads", "leads", limit=100)


def draft(tenant, until, csv, **more):
    """A campaign with the leads of a file attached to it."""
    campaign = tenant.want(201, "POST", "/campaigns", json={"name": "North", "channels": ["email"]} | more)["id"]
    created = run_csv(tenant, until, csv, campaign_id=campaign)["created"]
    until(lambda: len(members(tenant, campaign)) == created, "the leads in the index")
    return campaign


def captured(stack, domain: str) -> dict[str, list[dict]]:
    """What SES was handed for the addresses of a domain, by address, as the local stack keeps it."""
    with requests.Session() as session:
        session.trust_env = False
        kept = session.get(f"{stack.endpoint_url}/_ministack/ses/messages", timeout=60).json()["messages"].get("000000000000", [])
    found = collections.defaultdict(list)
    for message in kept:
        for to in message["To"]:
            if to.endswith(f"@{domain}"):
                found[to].append(message)
    return found


def costs_of(tenant, campaign) -> dict:
    costs = tenant.want(200, "GET", "/economics/costs", params={"group_by": "campaign"})
    assert sum(Decimal(group["total"]) for group in costs["groups"]) == Decimal(costs["total"])
    [group] = [group for group in costs["groups"] if group["key"] == campaign]
    return group


class People:
    """Recipients, who do what people do with mail, by the real endpoints."""

    def __init__(self, stack, aws, tenant, connect, campaign):
        self.stack, self.aws, self.tenant, self.campaign, self.anonymous = stack, aws, tenant, campaign, connect(None)
        self.inbound = tenant.want(201, "POST", "/communications/inbound/secret")

    def link(self, mail, kind: str) -> str:
        return re.search(rf'https?://[^"\s<>]+/communications/{kind}/[^"\s<>]+', mail["BodyHtml"]).group()

    def get(self, url: str, **options):
        return requests.get(url, headers=BROWSER, timeout=30, allow_redirects=False, **options)

    def opens(self, mail, _):
        assert self.get(self.link(mail, "open")).status_code == 200

    def clicks(self, mail, _):
        assert self.get(self.link(mail, "click")).headers["location"] == "https://a.example/x"

    def unsubscribes(self, mail, _):
        link = re.search(r"https?://\S+/communications/unsubscribe/[^\s<>\"]+", mail["BodyText"]).group()
        assert requests.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=30).status_code == 200

    def replies(self, text: str):
        def reply(_, message):
            at = datetime.datetime.now(datetime.timezone.utc)
            body = json.dumps({"from": message["to"], "to": "sales@axle.example", "subject": "Re: Hello", "text": text,
                               "message_id": f"<{uuid.uuid4().hex}@example.com>", "in_reply_to": f"<{message['message_id']}>",
                               "received_at": at.isoformat()})
            signature = standardwebhooks.webhooks.Webhook(self.inbound["secret"]).sign("msg_1", at, body)
            headers = {"content-type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())),
                       "webhook-signature": signature}
            assert self.anonymous.want(202, "POST", self.inbound["url"], data=body, headers=headers)["outcome"] == "reply"
        return reply

    def bounces(self, _, message):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        mail = {"timestamp": now, "messageId": message["provider_message_id"],
                "tags": {"entity_id": [self.tenant.entity_id], "communication_id": [message["id"]]}}
        bounce = {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": uuid.uuid4().hex,
                  "bouncedRecipients": [{"emailAddress": message["to"], "status": "5.1.1", "diagnosticCode": "smtp; 550 no such user"}]}
        for _ in range(2):  # SNS promises at least once
            self.aws("sns").publish(TopicArn=self.stack.outputs["MailTopicArn"],
                                    Message=json.dumps({"mail": mail, "eventType": "Bounce", "bounce": bounce}))

    def meets(self, _, message):
        self.tenant.want(201, "POST", "/meetings", json={
            "lead_id": message["lead_id"], "starts_at": "2030-01-08T14:00:00Z", "campaign_id": self.campaign})


def test_two_hundred_leads_and_everything_agrees(stack, aws, tenant, connect, receiver, site, until, sweep):
    domain = f"{uuid.uuid4().hex[:10]}.example"
    tenant.want(200, "PUT", "/leads/enrichment-providers/headcounts", json={
        "url": f"{site}/v1/company?email={{email}}", "mapping": {"company.size": "$.employees"}, "cost_per_call": "0.001"})
    tenant.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["contact.unsubscribed"]})
    tenant.want(201, "POST", "/communications/suppressions", json={"address": f"never@{domain}"})
    first = {"step": 1, "channel": "email", "subject": "Hello {{ lead.first_name | default('there') }}",
             "body": "See https://a.example/x or https://a.example/y",
             "variants": [{"name": "A", "weight": 1, "subject": "Hello"}, {"name": "B", "weight": 1, "subject": "Good day"}]}
    second = {"step": 2, "channel": "email", "delay_hours": 35 / 3600, "body": "Did you see it?"}
    rows = [f"p{n}@{domain},P{n},CTO,{site}/" for n in range(LEADS)] + [f"never@{domain},N,CTO,", f"other@{domain},O,Cook,"]
    campaign = draft(tenant, until, "email,first_name,title,website\n" + "\n".join(rows) + "\n",
                     icp={"titles": ["CTO"]}, messaging={"sequence": [first, second]})

    dry = tenant.want(200, "POST", f"/campaigns/{campaign}/launch", json={"dry_run": True})
    assert (dry["targets"]["matched"], dry["targets"]["eligible"]) == (LEADS + 2, LEADS)
    assert {one["reason"]: one["count"] for one in dry["targets"]["excluded"]} == {"outside_icp": 1, "suppressed": 1}
    # A message each for two steps, and a call for each lead.
    assert dry["cost_estimate"]["breakdown"] == {"ai_inference": "0", "data_enrichment": "0.2", "channel_costs": "0.04"}
    tenant.want(202, "POST", f"/campaigns/{campaign}/launch", json={"budget_limit": 10})

    def read():
        return tenant.want(200, "GET", f"/campaigns/{campaign}")

    def swept():
        sweep()
        return read()

    people = People(stack, aws, tenant, connect, campaign)
    at_once = ([people.unsubscribes] * UNSUBSCRIBING + [people.bounces] * BOUNCING + [people.meets] * MEETING
               + [people.replies("Sounds great, tell me more. Can we schedule a call?")] * INTERESTED
               + [people.replies("No thanks, we already have a vendor and no budget.")] * DECLINING)
    by_hand = [people.opens] * OPENING + [people.clicks] * CLICKING
    wanted = len(at_once) + len(by_hand)
    waiting = until(lambda: len(some := [m for m in members(tenant, campaign) if m["state"] == "waiting" and m["messages"]]) >= wanted
                    and some, "the first messages", seconds=60, every=0.5)[:wanted]
    sent_by = time.monotonic()
    messages = [tenant.want(200, "GET", f"/communications/{member['messages'][0]['communication_id']}") for member in waiting]
    mails = captured(stack, domain)
    for act, message in zip(at_once, messages):
        act(mails[message["to"]][0], message)
    # What is opened within ten seconds of its sending was opened by a machine.
    time.sleep(max(0.0, sent_by + 11 - time.monotonic()))
    for act, message in zip(by_hand, messages[len(at_once):]):
        act(mails[message["to"]][0], message)
    done = until(lambda: (c := swept())["status"] == "completed" and c, "the campaign's end", seconds=150, every=1)

    # The members, the mail that went out, the outbox, the events and the metrics agree.
    found = {member["lead_id"]: member for member in members(tenant, campaign)}
    mails, sent = captured(stack, domain), sum(len(member["messages"]) for member in found.values())
    assert {len(mails[f"p{n}@{domain}"]) for n in range(LEADS)} <= {1, 2} and len(mails) == LEADS
    assert sent == sum(len(all_of_one) for all_of_one in mails.values())
    assert sent == 2 * LEADS - len(at_once), "nobody who stopped it got the second message, everybody else did"
    assert tenant.want(200, "GET", "/communications/outbox")["counts"]["sent"] == sent
    reasons = collections.Counter(found[message["lead_id"]]["reason"] for message in messages[:len(at_once)])
    assert reasons == {"unsubscribe": UNSUBSCRIBING, "bounce": BOUNCING, "meeting": MEETING, "reply": INTERESTED + DECLINING}
    assert collections.Counter(member["state"] for member in found.values()) == {
        "stopped": len(at_once), "completed": LEADS - len(at_once)}
    events = pages(tenant, "/events", "events", campaign_id=campaign, limit=100)
    subjects = collections.defaultdict(set)
    for event in events:
        subjects[event["type"]].add(event["subject"]["id"])
    told = {kind: len(ids) for kind, ids in subjects.items()}
    expected = {"communication.sent": sent, "contact.unsubscribed": UNSUBSCRIBING, "communication.bounced": BOUNCING,
                "communication.replied": INTERESTED + DECLINING, "meeting.booked": MEETING, "communication.opened": OPENING,
                "communication.clicked": CLICKING, "lead.enriched": LEADS, "lead.scored": LEADS,
                "campaign.launched": 1, "campaign.completed": 1}
    assert {kind: told.get(kind) for kind in expected} == expected
    counted = {"leads_targeted": LEADS, "emails_sent": sent, "opens": OPENING, "machine_opens": 0, "clicks": CLICKING,
               "replies": INTERESTED + DECLINING, "meetings_booked": MEETING, "bounces": BOUNCING, "unsubscribes": UNSUBSCRIBING}
    metrics = until(lambda: (m := read()["metrics"]) and {name: m[name] for name in counted} == counted and m, "the metrics")
    assert sum(variant["emails_sent"] for variant in metrics["by_variant"]) == LEADS
    assert metrics["open_rate"] == OPENING / sent
    [completed] = [event for event in events if event["type"] == "campaign.completed"]
    assert completed["data"] == {"leads": LEADS, "sent": sent, "campaign_id": campaign}

    # So do the costs: what the campaign spent, what the API was asked, what was sent.
    calls = sum(delivery.path.startswith("/v1/") for delivery in list(receiver.deliveries))
    spend, costs = done["spend"], costs_of(tenant, campaign)
    assert calls == LEADS, "each lead was looked up once"
    assert (Decimal(spend["by_category"]["data_enrichment"]), Decimal(spend["by_category"]["channel_costs"])) == (
        Decimal(calls) / 1_000, Decimal(sent) / 10_000)
    assert Decimal(costs["total"]) == Decimal(spend["current"]) == Decimal(calls) / 1_000 + Decimal(sent) / 10_000
    for name in ("data_enrichment", "channel_costs", "ai_inference"):
        assert Decimal(costs["categories"].get(name, "0")) == Decimal(spend["by_category"][name]), name

    explain(tenant, until, found[messages[0]["lead_id"]], found[messages[-1]["lead_id"]])
    promoted(tenant, messages, at_once, people)


def explain(tenant, until, unsubscribed, opened):
    """The trace of a lead says all that happened to it, and why it ended."""
    def spans(member):
        trace = tenant.want(200, "GET", f"/traces/{member['trace_id']}")
        assert (trace["status"], trace["lead_id"]) == ("ok", member["lead_id"]), trace
        return trace["spans"]

    def names(found):
        return collections.Counter(span["name"] for span in found if span["name"] != "message.wait")

    def delivered():
        found = spans(unsubscribed)
        return "webhook.deliver" in {span["name"] for span in found} and found

    found = until(delivered, "the delivery in the trace")
    steps = ["agent.sequence", "lead.enrich", "lead.score", "message.queue", "message.send"]
    assert names(found) == collections.Counter([*steps, "webhook.deliver"])
    [root] = [span for span in found if span["name"] == "agent.sequence"]
    assert (root["attributes"]["axle.outcome"], root["attributes"]["axle.reason"]) == ("stopped", "unsubscribe")
    [enriched] = [span for span in found if span["name"] == "lead.enrich"]
    assert (enriched["parent_id"], enriched["attributes"]["axle.cost"]) == (root["span_id"], "0.001")
    assert names(spans(opened)) == collections.Counter([*steps, *steps[3:]])
    # One in the outbox for each message, and one for the second step.
    assert sum(span["name"] == "message.wait" for span in spans(opened)) >= 3
    assert any("axle.clicked_at" in span["attributes"] for span in spans(opened))
    listed = tenant.want(200, "GET", "/traces", params={"lead_id": opened["lead_id"]})["traces"]
    assert [trace["trace_id"] for trace in listed] == [opened["trace_id"]]


def promoted(tenant, messages, at_once, people):
    """Who is interested or meets us is in the CRM, once."""
    deals = tenant.want(200, "GET", f"/api/crm/leads?entityId={tenant.entity_id}&pageSize=100")["leads"]
    of = {deal["prospectId"]: deal["stage"] for deal in deals}
    assert len(deals) == len(of) == INTERESTED + MEETING
    met = [message["lead_id"] for act, message in zip(at_once, messages) if act == people.meets]
    assert {of[lead] for lead in met} == {"qualified"}
    assert sorted(of.values()) == ["contacted"] * INTERESTED + ["qualified"] * MEETING
    lead = tenant.want(200, "GET", f"/leads/{met[0]}")
    assert lead["crm_lead_id"] in {deal["id"] for deal in deals} and lead["contact_id"]


def test_a_budget_for_fifty_stops_at_fifty_though_its_workers_are_killed(stack, aws, tenant, kill_function, until, sweep):
    """Whoever is killed wherever: no message is lost, none goes out twice, and not one too many."""
    domain = f"{uuid.uuid4().hex[:10]}.example"
    step = {"step": 1, "channel": "email", "subject": "Hello", "body": "How are you?"}
    rows = "\n".join(f"b{n}@{domain}" for n in range(60))
    campaign = draft(tenant, until, f"email\n{rows}\n", messaging={"sequence": [step]})

    def read():
        return tenant.want(200, "GET", f"/campaigns/{campaign}")

    def swept():
        sweep()
        return read()

    url = stack.outputs["CampaignQueueUrl"]
    before = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    # Above the function's timeout, as in every deployment: two workers never have the same message.
    aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "21"})
    kills, over = [], threading.Event()

    def killing():
        while len(kills) < 4 and not over.wait(0.4 + 0.3 * len(kills)):
            if kill_function("campaign-runner"):
                kills.append(time.time())

    killer = threading.Thread(target=killing, daemon=True)
    try:
        # An e-mail costs 0.0001: this is enough for 50, and a half.
        tenant.want(202, "POST", f"/campaigns/{campaign}/launch", json={"budget_limit": "0.00505"})
        killer.start()
        until(lambda: swept()["pause_reason"] == "budget", "the pause", seconds=120, every=1)
        until(lambda: swept()["metrics"]["emails_sent"] == 50, "the messages", seconds=60, every=1)
    finally:
        over.set()
        killer.join()
        aws("sqs").set_queue_attributes(QueueUrl=url, Attributes=before)
    assert kills, "it was over before anything could be killed"
    mails = captured(stack, domain)
    assert {len(all_of_one) for all_of_one in mails.values()} == {1} and len(mails) == 50
    assert (read()["spend"]["current"], costs_of(tenant, campaign)["total"]) == ("0.005", "0.005")
    assert len(pages(tenant, "/events", "events", type="budget.exhausted", campaign_id=campaign)) == 1
    # More money is not there: resumed, it pauses again without a message.
    tenant.want(200, "POST", f"/campaigns/{campaign}/resume")
    until(lambda: read()["pause_reason"] == "budget", "the second pause", seconds=30)
    assert (len(captured(stack, domain)), read()["spend"]["current"]) == (50, "0.005")
    tenant.want(200, "POST", f"/campaigns/{campaign}/cancel")
