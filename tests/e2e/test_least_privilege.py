"""Every permission of every function is needed: with any one of them taken away, live, some operation of the function fails.

The other direction, that the functions have all they need, is shown by all other tests (`test_no_function_was_denied_anything`).
"""

import contextlib
import copy
import json
import os
import time
import uuid
import zlib

import pytest
import requests

from axle.stack import ROOT
from conftest import Receiver
from leadfiles import finished, lead_file, pages, refused_rows, start_csv

pytestmark = [pytest.mark.last(order=3),
              pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="finds the functions' processes in /proc")]

# What Lambda's pollers do in the name of a function's role. The emulator does not check these; on AWS no batch would arrive
# without them, and a stream's mapping cannot be created without its on-failure destination.
POLLERS = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "dynamodb:DescribeStream", "dynamodb:GetRecords",
           "dynamodb:GetShardIterator", "dynamodb:ListStreams"}


def as_list(value):
    return value if isinstance(value, list) else [value]


def one_permission(action: str) -> str:
    """On AWS, `SendMessage` allows batches, too; the emulator asks for the batch's own name. So both come and go together."""
    return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action


def permissions(document: dict) -> list[tuple[str, str]]:
    found = []
    for statement in document["Statement"]:
        if statement["Effect"] == "Deny":
            continue
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                by_poller = action in POLLERS or "RelayDlq" in resource or "AggregatorDlq" in resource
                if not by_poller and (one_permission(action), resource) not in found:
                    found.append((one_permission(action), resource))
    return found


def without(document: dict, action: str, resource: str) -> dict:
    """The policy less one action on one resource."""
    rest = []
    for statement in document["Statement"]:
        actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
        taken = [name for name in actions if one_permission(name) == action]
        for names, places in [([name for name in actions if name not in taken], resources),
                              (taken, [place for place in resources if place != resource])]:
            if names and places:
                rest.append({**statement, "Action": names, "Resource": places})
    return {**document, "Statement": rest}


def test_a_policy_less_one_permission():
    denied = {"Effect": "Deny", "Action": "a:A", "Resource": "z"}
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["a:A", "a:B"], "Resource": ["x", "y"]}, denied]}
    assert without(document, "a:A", "x")["Statement"][-1] == denied | {"Action": ["a:A"], "Resource": ["z"]}
    assert permissions(document) == [("a:A", "x"), ("a:A", "y"), ("a:B", "x"), ("a:B", "y")]
    assert permissions(without(document, "a:A", "x")) == [("a:B", "x"), ("a:B", "y"), ("a:A", "y")]


class World:
    """What the functions are exercised with: a tenant, and ways to call workers directly, with messages that nobody else gets."""

    def __init__(self, stack, aws, api, receiver, until):
        self.stack, self.aws, self.api, self.receiver, self.until = stack, aws, api, receiver, until
        self.count = 0

    def email(self) -> str:
        self.count += 1
        return f"lead{self.count}-{uuid.uuid4().hex[:8]}@example.com"

    def invoke(self, function: str, payload):
        """Fails like the caller of the function would see it fail."""
        answer = self.aws("lambda").invoke(FunctionName=self.stack.local.function_name(function), Payload=json.dumps(payload))
        body = json.loads(answer["Payload"].read() or b"null")
        assert "FunctionError" not in answer and not (body or {}).get("batchItemFailures"), body

    def message(self, sample: str, body) -> dict:
        event = json.loads((ROOT / "events" / sample).read_text())
        event["Records"][0] |= {"body": json.dumps(body), "messageId": str(uuid.uuid4())}
        return event

    # -------------------------------------------------------------------- one exercise a function, named like it

    def identity(self):
        api = self.api
        api.want(200, "GET", "/me")
        key = api.want(201, "POST", "/api-keys", json={"name": "k", "scopes": ["leads:read"]})
        assert pages(api, "/api-keys", "api_keys") and api.want(200, "GET", "/audit-log")["entries"]
        api.want(200, "PATCH", f"/api-keys/{key['id']}", json={"name": "other"})
        api.want(204, "DELETE", f"/api-keys/{key['id']}")
        api.want(200, "GET", "/entities")

    def leads(self):
        api = self.api
        lead = api.want(201, "POST", "/leads", json={"email": self.email()})
        api.want(200, "GET", f"/leads/{lead['id']}")
        assert api.want(200, "GET", "/leads")["leads"]
        api.want(200, "PATCH", f"/leads/{lead['id']}", json={"title": "CTO"})
        self.describe_provider()
        [nobody] = api.want(200, "POST", f"/leads/{lead['id']}/enrich", json={"providers": ["own"]})["unavailable"]
        assert "could not connect" in nobody["reason"], "the secret was opened and the call made"
        api.want(204, "DELETE", "/leads/enrichment-providers/own")
        api.want(200, "PUT", "/leads/scoring-profile", json={"icp": {"titles": ["CTO"]}})
        api.want(200, "POST", f"/leads/{lead['id']}/score", json={})
        api.want(204, "DELETE", f"/leads/{lead['id']}")
        start_csv(api, "email\nada@example.com\n")
        assert refused_rows(api, self.refusing)
        self.upload(b"email\nada@example.com\n")

    def describe_provider(self):
        """An enrichment API that nobody answers for, called with a secret."""
        provider = {"url": "http://127.0.0.1:9/{email}", "headers": {"x-key": "{secret}"}, "secret": "some secret", "mapping": {"company.size": "$.n"}}
        self.api.want(200, "PUT", "/leads/enrichment-providers/own", json=provider)

    def upload(self, body: bytes) -> dict:
        """Starts the import of an uploaded file."""
        upload = self.api.want(201, "POST", "/leads/import/uploads")
        with requests.Session() as anonymous:
            anonymous.trust_env = False
            sent = anonymous.put(upload["url"], data=body, headers=upload["headers"], timeout=30)
        assert sent.status_code == 200, sent.text
        return self.api.want(202, "POST", "/leads/import", json={"upload_id": upload["upload_id"]})

    def campaigns(self):
        api = self.api
        campaign = api.want(201, "POST", "/campaigns", json={"name": "x", "channels": ["email"]}, headers={"idempotency-key": uuid.uuid4().hex})
        api.want(200, "GET", f"/campaigns/{campaign['id']}")
        assert api.want(200, "GET", "/campaigns")["campaigns"]
        api.want(200, "PATCH", f"/campaigns/{campaign['id']}", json={"name": "y"})
        # A refused request gives its idempotency key back.
        api.want(422, "POST", "/campaigns", json={"name": ""}, headers={"idempotency-key": uuid.uuid4().hex})
        launched = self.launched()["id"]
        for command in ("pause", "resume", "cancel"):
            api.want(200, "POST", f"/campaigns/{launched}/{command}")
        api.want(201, "POST", f"/campaigns/{launched}/clone")
        api.want(200, "GET", f"/campaigns/{launched}/leads")

    def launched(self) -> dict:
        """A campaign for one lead, with a budget, that was just launched; nobody has done anything for it yet."""
        step = {"step": 1, "channel": "email", "subject": "Hello", "body": "How are you?"}
        campaign = self.api.want(201, "POST", "/campaigns", json={"name": "x", "channels": ["email"], "messaging": {"sequence": [step]}})
        lead = self.api.want(201, "POST", "/leads", json={"email": self.email()})
        self.api.want(200, "POST", f"/campaigns/{campaign['id']}/leads", json={"lead_ids": [lead["id"]]})
        self.until(lambda: self.api.want(200, "GET", f"/campaigns/{campaign['id']}/leads")["leads"], "the lead in the index")
        self.api.want(202, "POST", f"/campaigns/{campaign['id']}/launch", json={"budget_limit": 1, "daily_send_limit": 5})
        return campaign

    def campaign_runner(self):
        """A launch that lets its lead in, the lead looked up, its first message, and a repair of the numbers."""
        api, entity = self.api, self.api.entity_id
        self.describe_provider()
        campaign = self.launched()["id"]
        self.invoke("campaign-runner", self.message("sqs-campaign.json", {"entity_id": entity, "campaign_id": campaign, "task": "enrol"}))
        [lead] = self.until(lambda: api.want(200, "GET", f"/campaigns/{campaign}/leads")["leads"], "the lead's run")
        # A run's trace is its id without the hyphens.
        run = str(uuid.UUID(hex=lead["trace_id"]))
        self.invoke("campaign-runner", self.message("sqs-campaign.json", {"entity_id": entity, "run_id": run}))
        [lead] = api.want(200, "GET", f"/campaigns/{campaign}/leads")["leads"]
        assert lead["state"] == "sending", lead
        assert "could not connect" in lead["notes"][0]["detail"], "the secret was opened and the call made"
        api.want(204, "DELETE", "/leads/enrichment-providers/own")
        # Cancelled, its message is called back and what it took given back.
        api.want(200, "POST", f"/campaigns/{campaign}/cancel")
        self.invoke("campaign-runner", self.message("sqs-campaign.json", {"entity_id": entity, "campaign_id": campaign, "task": "rouse"}))
        self.invoke("campaign-runner", self.message("sqs-campaign.json", {"entity_id": entity, "run_id": run}))
        [lead] = api.want(200, "GET", f"/campaigns/{campaign}/leads")["leads"]
        assert lead["state"] in ("cancelled", "completed"), lead
        answer = self.aws("lambda").invoke(
            FunctionName=self.stack.local.function_name("campaign-runner"),
            Payload=json.dumps({"operator": {"repair": {"entity_id": entity, "campaign_id": campaign}}}))
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer and "error" not in body and "unfinished" not in body, body

    def webhooks(self):
        api = self.api
        webhook = api.want(201, "POST", "/webhooks", json={"url": self.receiver.url, "event_types": ["campaign.*"]})
        path = f"/webhooks/{webhook['id']}"
        assert api.want(200, "GET", f"{path}/secret")["secret"] == webhook["secret"]
        assert api.want(200, "GET", "/webhooks")["webhooks"]
        api.want(200, "PATCH", path, json={"description": "x"})
        assert api.want(200, "GET", f"/webhooks/{self.webhook['id']}/deliveries")["deliveries"]
        api.want(200, "POST", f"{path}/replay", json={"since": "2020-01-01T00:00:00Z", "only": "all"})
        assert api.want(200, "POST", f"{path}/test")["delivered"]
        api.want(204, "DELETE", path)

    def crm(self):
        api, entity = self.api, {"entityId": self.api.entity_id}

        def want(status, method, path, **more):
            return api.want(status, method, f"/api/crm{path}", params=entity | more.pop("params", {}), **more)

        name = uuid.uuid4().hex
        company = want(201, "POST", "/companies", json={"name": name, "domain": f"{name}.example"},
                       headers={"idempotency-key": name})
        want(200, "GET", f"/companies/{company['id']}")
        # A changed domain gives the old one back.
        want(200, "PATCH", f"/companies/{company['id']}", json={"domain": f"{name}2.example"})
        self.until(lambda: want(200, "GET", "/companies", params={"q": name})["total"] == 1, "the company's index entry")
        assert want(200, "GET", "/companies", params={"q": name})["companies"][0]["id"] == company["id"]
        export = want(200, "GET", "/export", params={"type": "contacts", "format": "csv"})
        with requests.Session() as anonymous:
            anonymous.trust_env = False
            assert anonymous.get(export["url"], timeout=30).status_code == 200
        smtp = {"host": "127.0.0.1", "port": 9, "tls": "none"}
        connection = want(201, "POST", "/outbound-email-connections", json={"channel": "smtp", "from": self.email(), "credentials": smtp})
        want(204, "DELETE", f"/outbound-email-connections/{connection['id']}")
        # The person is in stored files, which go with them, but for refused rows, which stay without them.
        contact = want(201, "POST", "/contacts", json={"firstName": "Ada", "email": self.email()})
        self.until(lambda: want(200, "GET", "/contacts", params={"q": contact["email"]})["total"] == 1, "the contact's index entry")
        want(200, "GET", "/export", params={"type": "contacts", "format": "csv"})
        for place in ("uploads/{}/{}.csv", "imports/{}/{}.csv", "imports/{}/{}/errors.csv"):
            self.aws("s3").put_object(Bucket=self.stack.outputs["BucketName"], Key=place.format(api.entity_id, name),
                                      Body=f"email\n{contact['email']}\n".encode())
        assert want(200, "POST", f"/contacts/{contact['id']}/erase")["removed"]["files"] >= 4

    def communications(self):
        api = self.api
        message = api.want(202, "POST", "/communications", json={"channel": "email", "to": self.email(), "subject": "s", "text": "t",
                                                                 "idempotency_key": uuid.uuid4().hex})
        api.want(422, "POST", "/communications", json={"channel": "email", "idempotency_key": uuid.uuid4().hex})
        assert api.want(200, "GET", "/communications")["communications"]
        api.want(200, "GET", "/communications/outbox")
        api.want(200, "POST", f"/communications/{message['id']}/cancel")
        smtp = {"host": "127.0.0.1", "port": 9, "tls": "none"}
        sealed = api.want(201, "POST", "/communications/identities", json={"kind": "smtp", "from": self.email(), "credentials": smtp})
        ses = api.want(201, "POST", "/communications/identities", json={"kind": "ses", "from": self.email()})
        api.want(200, "POST", f"/communications/identities/{ses['id']}/verify")
        for identity in (sealed, ses):
            api.want(204, "DELETE", f"/communications/identities/{identity['id']}")

    def outbox_sender(self):
        """One e-mail that is sent under a daily limit, one SMS, and one webhook that is to be tried again."""
        api = self.api
        smtp = {"host": "127.0.0.1", "port": 9, "tls": "none"}
        identity = api.want(201, "POST", "/communications/identities", json={
            "kind": "smtp", "from": self.email(), "credentials": smtp, "daily_limit": 5})
        self.receiver.answer_with(500)
        wanted = [
            ({"channel": "email", "to": self.email(), "subject": "s", "text": "t", "category": "marketing"}, "sent"),
            ({"channel": "sms", "to": "+14155550123", "text": "t"}, "sent"),
            ({"channel": "email", "to": self.email(), "subject": "s", "text": "t", "identity_id": identity["id"]}, "pending"),
            ({"channel": "webhook", "to": self.receiver.url, "text": "t"}, "pending"),
        ]
        for message, status in wanted:
            queued = api.want(202, "POST", "/communications", json=message)
            self.invoke("outbox-sender", self.message("sqs-outbox.json", {"entity_id": api.entity_id, "communication_id": queued["id"]}))
            found = api.want(200, "GET", f"/communications/{queued['id']}")
            assert found["status"] == status and found["attempts"], found
        api.want(204, "DELETE", f"/communications/identities/{identity['id']}")

    def mail_feedback(self):
        """A bounce, which is recorded with all that follows; and a mail in the bucket from somebody who was written to."""
        bounced, answered = self.sent(), self.sent()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        tags = {"entity_id": [self.api.entity_id], "communication_id": [bounced["id"]]}
        self.invoke("mail-feedback", self.message("sqs-mail-feedback.json", {
            "eventType": "Bounce", "mail": {"timestamp": now, "messageId": uuid.uuid4().hex, "tags": tags},
            "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": bounced["to"]}], "feedbackId": uuid.uuid4().hex}}))
        assert self.api.want(200, "GET", f"/communications/{bounced['id']}")["engagement"]["bounced_at"]
        bucket, key = self.stack.outputs["BucketName"], f"inbound/{uuid.uuid4().hex}"
        raw = f"From: {answered['to']}\r\nTo: sales@axle.example\r\nSubject: Re: s\r\nMessage-ID: <{uuid.uuid4().hex}@example.com>\r\n\r\nYes.\r\n"
        self.aws("s3").put_object(Bucket=bucket, Key=key, Body=raw.encode())
        verdicts = {f"{name}Verdict": {"status": "PASS"} for name in ("spam", "virus", "spf", "dkim", "dmarc")}
        self.invoke("mail-feedback", self.message("sqs-mail-feedback.json", {
            "notificationType": "Received", "mail": {"timestamp": now, "messageId": uuid.uuid4().hex},
            "receipt": verdicts | {"recipients": [f"{self.api.entity_id}@in.axle.example"],
                                   "action": {"type": "S3", "bucketName": bucket, "objectKey": key}}}))
        assert self.api.want(200, "GET", f"/communications/{answered['id']}")["engagement"]["replies"] == 1
        assert self.aws("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] == 0

    def sent(self) -> dict:
        queued = self.api.want(202, "POST", "/communications", json={"channel": "email", "to": self.email(), "subject": "s", "text": "t"})
        self.invoke("outbox-sender", self.message("sqs-outbox.json", {"entity_id": self.api.entity_id, "communication_id": queued["id"]}))
        return self.api.want(200, "GET", f"/communications/{queued['id']}")

    def agents(self):
        api = self.api
        made = api.want(201, "POST", "/v1/agents", json={"name": "x", "playbook_template": "cold_outreach"})["agent"]
        path = f"/v1/agents/{made['id']}"
        api.want(200, "PATCH", path, json={"description": "y"})
        # What an attempt without a permission has left is among them.
        assert api.want(200, "GET", "/v1/agents")["total"] >= 8
        assert len(api.want(200, "GET", "/agents")["agents"]) >= 8
        assert api.want(200, "GET", f"{path}/runs")["total"] == 0
        api.want(200, "GET", "/v1/approvals")
        lead = api.want(201, "POST", "/leads", json={"email": self.email()})["id"]
        sender = next(agent for agent in api.want(200, "GET", "/agents")["agents"] if agent["role"] == "sender")
        told = {"input": {"lead_id": lead, "subject": "s", "body": "t"}}
        assert api.want(200, "POST", f"/agents/{sender['id']}/execute", json=told)["status"] == "completed"
        self.describe_provider()
        enrich = {"id": "enrich", "action": "enrich", "params": {"providers": ["own"]}}
        own = api.want(201, "POST", "/v1/agents", json={"name": "y", "playbook": {"steps": [enrich]}})["agent"]["id"]
        output = api.want(200, "POST", f"/agents/{own}/execute", json={"input": {"lead_id": lead}})["output"]
        assert "could not connect" in output["steps"]["enrich"]["error"], "the secret was opened and the call made"
        api.want(200, "DELETE", f"/v1/agents/{own}")
        api.want(204, "DELETE", "/leads/enrichment-providers/own")
        api.want(200, "DELETE", path)

    def agent_runner(self):
        """A message and a task for a lead, and a change of its status: everything that a step writes."""
        api = self.api
        self.describe_provider()
        steps = [
            {"id": "enrich", "action": "enrich", "params": {"providers": ["own"]}},
            {"id": "score", "action": "score"},
            {"id": "send", "action": "send_message", "params": {"channel": "email", "subject": "s", "body": "t"}},
            {"id": "task", "action": "create_task", "params": {"title": "Call"}},
            {"id": "stage", "action": "update_stage", "params": {"stage": "contacted"}},
        ]
        playbook = {"targeting": {"source": "leads", "limit": 1}, "steps": steps, "limits": {"max_actions": 9}}
        agent = api.want(201, "POST", "/v1/agents", json={"name": "x", "playbook": playbook})["agent"]
        lead = api.want(201, "POST", "/leads", json={"email": self.email()})["id"]
        job = api.want(200, "POST", f"/v1/agents/{agent['id']}/trigger", json={"contact_ids": [lead]})["job_id"]
        self.invoke("agent-runner", self.message("sqs-agents.json", {"entity_id": api.entity_id, "task": {"plan": job}}))
        found = api.want(200, "POST", f"/v1/agents/{agent['id']}/trigger", json={})["job_id"]
        self.invoke("agent-runner", self.message("sqs-agents.json", {"entity_id": api.entity_id, "task": {"plan": found}}))
        assert api.want(200, "GET", f"/v1/agents/jobs/{found}")["job"]["total"] == 1
        [run] = [run for run in api.want(200, "GET", f"/v1/agents/{agent['id']}/runs")["runs"] if run["job_id"] == job]
        # Its people are worked on by messages, whose mapping is paused.
        work = {"work": self.run_contact(run["id"], lead)}
        self.invoke("agent-runner", self.message("sqs-agents.json", {"entity_id": api.entity_id, "task": work}))
        run = api.want(200, "GET", f"/v1/agents/runs/{run['id']}")["run"]
        assert run["status"] == "completed"
        assert "could not connect" in run["contacts"][0]["actions"][0]["error"], "the secret was opened and the call made"
        api.want(204, "DELETE", "/leads/enrichment-providers/own")
        api.want(200, "DELETE", f"/v1/agents/{agent['id']}")
        self.invoke("agent-runner", self.message("sqs-agents.json", {"entity_id": api.entity_id, "task": {"forget": agent["id"]}}))

    def insights(self):
        assert self.api.want(200, "GET", "/events")["events"]
        self.api.want(202, "POST", "/communications", json={"channel": "sms", "to": "+14155550123", "text": "t"})
        [trace, *_] = self.until(lambda: self.api.want(200, "GET", "/traces")["traces"], "the trace")
        assert self.api.want(200, "GET", f"/traces/{trace['trace_id']}")["spans"]
        self.api.want(200, "GET", "/economics/costs", params={"group_by": "campaign"})
        self.promise("least-privilege", "agent_success_rate")
        assert self.api.want(200, "GET", "/slos")["slos"]
        self.api.want(204, "DELETE", "/slos/least-privilege")

    def promise(self, name, objective):
        promised = self.api.request("PUT", f"/slos/{name}", json={"objective": objective, "threshold": 0.5, "window_minutes": 60})
        assert promised.status_code in (200, 201), promised.text

    def event_relay(self):
        event = json.loads((ROOT / "events" / "stream-event.json").read_text())
        job = copy.deepcopy(event["Records"][1])
        job["dynamodb"]["NewImage"] |= {"job": {"S": "deliver"}, "job_body": {"S": json.dumps(
            {"entity_id": str(uuid.uuid4()), "delivery_id": str(uuid.uuid4())})}}
        event["Records"].append(job)
        self.invoke("event-relay", event)

    def import_worker(self):
        campaign = self.campaign["id"]
        rows = f"email,title\n{self.email()},CTO\nada@example.com,{uuid.uuid4().hex}\nnobody(at)example.com,\n"
        inline = self.api.want(202, "POST", "/leads/import", json={"csv": rows, "on_duplicate": "update", "campaign_id": campaign})
        uploaded = self.upload(f"email\n{self.email()}\n".encode())
        # More than fits into the time that the function has (see `short_timeouts`), so that it sends itself a message to go on.
        long = start_csv(self.api, lead_file(unique=1_600, name=f"long{uuid.uuid4().hex[:8]}").text)
        for started in (inline, uploaded, long):
            body = {"entity_id": self.api.entity_id, "import_job_id": started["import_job_id"]}
            self.invoke("import-worker", self.message("import-job.json", body))
        for started in (inline, uploaded):
            assert self.api.want(200, "GET", f"/leads/import/{started['import_job_id']}")["status"] == "completed"
        assert self.api.want(200, "GET", f"/leads/import/{long['import_job_id']}")["status"] == "processing", "it needs more rows"

    def webhook_dispatcher(self):
        event = json.loads((ROOT / "events" / "sqs-dispatch.json").read_text())
        envelope = json.loads(event["Records"][0]["body"])
        envelope["detail"] |= {"id": str(uuid.uuid4()), "entity_id": self.api.entity_id, "occurred_at": "2100-01-01T00:00:00Z"}
        self.invoke("webhook-dispatcher", self.message("sqs-dispatch.json", envelope))

    def webhook_deliverer(self):
        """One attempt that succeeds, and one that is to be tried again."""
        for status in (200, 500):
            self.receiver.answer_with(status)
            body = {"entity_id": self.api.entity_id, "delivery_id": self.pending_delivery()["id"]}
            self.invoke("webhook-deliverer", self.message("sqs-deliver.json", body))

    def pending_delivery(self) -> dict:
        lead = self.api.want(201, "POST", "/leads", json={"email": self.email()})
        [event] = self.api.want(200, "GET", "/events", params={"lead_id": lead["id"]})["events"]
        path = f"/webhooks/{self.webhook['id']}/deliveries"
        return self.until(lambda: [record for record in self.api.want(200, "GET", path)["deliveries"] if record["event_id"] == event["id"]],
                          "the delivery")[0]

    def crm_aggregator(self):
        """Something new from the stream, and a repair of what there is."""
        event = json.loads((ROOT / "events" / "stream-crm.json").read_text())
        event["Records"][0]["dynamodb"]["NewImage"] |= {
            "id": {"S": str(uuid.uuid4())}, "entity_id": {"S": self.api.entity_id}}
        self.invoke("crm-aggregator", event)
        self.api.want(201, "POST", f"/api/crm/companies?entityId={self.api.entity_id}", json={"name": "x"})
        answer = self.aws("lambda").invoke(
            FunctionName=self.stack.local.function_name("crm-aggregator"),
            Payload=json.dumps({"operator": {"repair": {"entity_id": self.api.entity_id}}}))
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer and "error" not in body and "unfinished" not in body, body
        self.search_of_many()

    def search_of_many(self):
        """A tenant with segments, empty ones as nobody has that many records here: a deletion becomes a patch, and a repair folds it in."""
        entity, company = str(uuid.uuid4()), str(uuid.uuid4())
        at, position = "2026-01-05T09:30:00.000Z", f"2026-01-05T09:30:00.000Z#{company}"
        packed = zlib.compressobj(wbits=-15)
        state = {"pk": f"E#{entity}#CRMSEARCH#companies", "sk": "CRMSEARCH", "type": "crm_search", "patched_to": "3", "asked_at": at}
        covers = {"pk": f"E#{entity}#CRMSEGMENTS#companies", "sk": "0", "type": "crm_segment", "from": "0", "to": "3", "rows": 0}
        rows = {"pk": f"E#{entity}#CRMROWS#companies#0", "sk": "CRMROWS", "type": "crm_rows", "from": "0",
                "packed": packed.compress(bytes([1, 0, 0])) + packed.flush()}
        for item in (state, covers, rows):
            item |= {"entity_id": entity, "kind": "companies", "version": 1}
            kinds = {str: "S", bytes: "B", int: "N"}
            typed = {name: {kinds[type(value)]: str(value) if isinstance(value, int) else value} for name, value in item.items()}
            self.aws("dynamodb").put_item(TableName=self.stack.outputs["TableName"], Item=typed)
        gone = {"pk": f"E#{entity}#COMPANY#{company}", "sk": "COMPANY", "type": "company", "entity_id": entity, "id": company, "status": "active",
                "q": "x", "created_at": at, "updated_at": at}
        image = {name: {"S": value} for name, value in gone.items()} | {"version": {"N": "1"}, "profile": {"M": {"name": {"S": "x"}}}}
        self.invoke("crm-aggregator", {"Records": [{"eventName": "REMOVE", "dynamodb": {"OldImage": image}}]})
        patch = {"TableName": self.stack.outputs["TableName"], "ConsistentRead": True,
                 "Key": {"pk": {"S": f"E#{entity}#CRMPATCHES#companies"}, "sk": {"S": position}}}
        assert "Item" in self.aws("dynamodb").get_item(**patch)
        answer = self.aws("lambda").invoke(FunctionName=self.stack.local.function_name("crm-aggregator"),
                                           Payload=json.dumps({"operator": {"reindex": {"entity_id": entity}}}))
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer and body == {"records": 0, "segments": 1}, body
        assert "Item" not in self.aws("dynamodb").get_item(**patch)

    def scheduler(self):
        before = self.reminders()
        lead = self.api.want(201, "POST", f"/api/crm/leads?entityId={self.api.entity_id}", json={"title": "x"})
        self.api.want(201, "POST", f"/api/crm/leads/{lead['id']}/activities?entityId={self.api.entity_id}",
                      json={"type": "task", "subject": "Call", "dueAt": "2026-01-05T09:30:00Z"})
        objectives = ["outbox_latency_p95_seconds", "webhook_success_rate"]
        for objective in objectives:
            self.promise(objective.replace("_", "-"), objective)
        self.invoke("scheduler", {"sweep": "due"})
        assert self.reminders() > before
        assert all(slo["evaluated_at"] for slo in self.api.want(200, "GET", "/slos")["slos"])
        for objective in objectives:
            self.api.want(204, "DELETE", f"/slos/{objective.replace('_', '-')}")

    def reminders(self) -> int:
        return len(pages(self.api, "/events", "events", type="reminder.triggered"))

    def make_something_due(self):
        """A delivery, a person of an agent's run and a lead of a campaign, long overdue. They stay so: nobody takes their messages."""
        api, entity = self.api, self.api.entity_id
        self.put_on_due_index("DELIVERY", self.pending_delivery()["id"], "next_attempt_at")
        lead = api.want(201, "POST", "/leads", json={"email": self.email()})["id"]
        playbook = {"steps": [{"id": "told", "action": "notify", "params": {"message": "Hi"}}]}
        agent = api.want(201, "POST", "/v1/agents", json={"name": "due", "playbook": playbook})["agent"]["id"]
        job = api.want(200, "POST", f"/v1/agents/{agent}/trigger", json={"contact_ids": [lead]})["job_id"]
        self.invoke("agent-runner", self.message("sqs-agents.json", {"entity_id": entity, "task": {"plan": job}}))
        [run] = api.want(200, "GET", f"/v1/agents/{agent}/runs")["runs"]
        self.put_on_due_index("RUNCONTACT", self.run_contact(run["id"], lead), "due_at")
        campaign = self.launched()["id"]
        self.invoke("campaign-runner", self.message("sqs-campaign.json", {"entity_id": entity, "campaign_id": campaign, "task": "enrol"}))
        [lead] = self.until(lambda: api.want(200, "GET", f"/campaigns/{campaign}/leads")["leads"], "the lead's run")
        self.put_on_due_index("RUN", str(uuid.UUID(hex=lead["trace_id"])), "due_at")

    def run_contact(self, run: str, person: str) -> str:
        """The id of a person in an agent's run, made as the runner does."""
        return str(uuid.uuid5(uuid.UUID(int=0x5d0e31a794c24b1f8e6603fbd9127a40), f"{run}/{person}"))

    def put_on_due_index(self, kind: str, id: str, attribute: str):
        past = "2026-01-05T09:30:00.000Z"
        self.aws("dynamodb").update_item(
            TableName=self.stack.outputs["TableName"],
            Key={"pk": {"S": f"E#{self.api.entity_id}#{kind}#{id}"}, "sk": {"S": kind}},
            UpdateExpression="SET #at = :past, gsi3pk = :shard, gsi3sk = :due", ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeNames={"#at": attribute},
            ExpressionAttributeValues={":past": {"S": past}, ":shard": {"S": f"DUE#{uuid.UUID(id).int % 4}"}, ":due": {"S": f"{past}#{id}"}})


def mappings_of(aws, stack, crates):
    names = {stack.local.function_name(crate) for crate in crates}
    found = aws("lambda").list_event_source_mappings()["EventSourceMappings"]
    return [mapping["UUID"] for mapping in found if mapping["FunctionArn"].rpartition(":")[2] in names]


@contextlib.contextmanager
def paused(aws, uuids):
    """Nobody takes from the queues: messages go where the test sends them."""
    for mapping in uuids:
        aws("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        yield
    finally:
        for mapping in uuids:
            aws("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)


@contextlib.contextmanager
def short_timeouts(aws, stack, crates, seconds):
    """The relay gives up on what it cannot send when its time is over; an import is continued by a message."""
    names = [stack.local.function_name(crate) for crate in crates]
    before = {name: aws("lambda").get_function_configuration(FunctionName=name)["Timeout"] for name in names}
    try:
        for name in names:
            aws("lambda").update_function_configuration(FunctionName=name, Timeout=seconds)
        yield
    finally:
        for name, timeout in before.items():
            aws("lambda").update_function_configuration(FunctionName=name, Timeout=timeout)


@pytest.fixture(scope="module")
def world(stack, aws, connect, make_key, until):
    made, receiver = make_key(), Receiver()
    world = World(stack, aws, connect(made["api_key"], made["entity_id"]), receiver, until)
    world.refusing = finished(world.api, until, start_csv(world.api, "email\nada@example.com\nnobody(at)example.com\n"))
    world.campaign = world.api.want(201, "POST", "/campaigns", json={"name": "x", "channels": ["email"]})
    queues = mappings_of(aws, stack, ["import-worker", "webhook-deliverer", "outbox-sender", "mail-feedback", "agent-runner", "campaign-runner"])
    assert len(queues) == 6
    with paused(aws, queues), short_timeouts(aws, stack, ["event-relay", "import-worker"], 3):
        world.webhook = world.api.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["lead.created"]})
        world.make_something_due()
        yield world
    receiver.close()


# What AWS checks and the local stack does not.
ONLY_ON_AWS = {"ses:SendRawEmail"}
FUNCTIONS = ["identity", "leads", "campaigns", "communications", "agents", "webhooks", "crm", "insights", "event-relay", "crm-aggregator",
             "import-worker", "webhook-dispatcher", "webhook-deliverer", "outbox-sender", "mail-feedback", "agent-runner", "campaign-runner",
             "scheduler"]


def test_every_function_with_a_policy_is_looked_at(stack, aws):
    prefix, found = f"{stack.name}-", set()
    for page in aws("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            role = function["Role"].rpartition("/")[2]
            if function["FunctionName"].startswith(prefix) and aws("iam").list_role_policies(RoleName=role)["PolicyNames"]:
                found.add(function["FunctionName"].removeprefix(prefix))
    assert found == set(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_permission_is_needed(world, aws, stack, kill_function, function_logs, function):
    iam = aws("iam")
    role = aws("lambda").get_function_configuration(FunctionName=stack.local.function_name(function))["Role"].rpartition("/")[2]
    exercise = getattr(world, function.replace("-", "_"))
    exercise()
    superfluous = []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for action, resource in permissions(document):
            if action in ONLY_ON_AWS:
                continue
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(without(document, action, resource)))
            kill_function(function)  # with what it has cached
            since = time.time()
            try:
                noticed = not succeeds(exercise) or was_denied(function_logs(function, since=since - 1), action)
            finally:
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
            if not noticed:
                superfluous.append(f"{action} on {resource}")
    kill_function(function)
    # The local stack may hand the first call to the process that was just killed.
    assert any(succeeds(exercise) for _ in range(3)), "it works with all its permissions"
    assert not superfluous


def succeeds(exercise) -> bool:
    try:
        exercise()
    except (AssertionError, pytest.fail.Exception):
        return False
    return True


def was_denied(lines, action) -> bool:
    """Some failures hold nothing up, and so are only logged."""
    return any("AccessDenied" in line and action.partition(":")[2] in line for line in lines)
