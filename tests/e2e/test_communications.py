"""Messages on the deployed stack: queued, sent once, refused, unsubscribed from, bounced, answered; and the meetings that they lead to."""

import datetime
import hashlib
import hmac
import json
import re
import uuid

import pytest
import requests
import standardwebhooks.webhooks


@pytest.fixture
def identity(tenant, mailbox):
    body = {"kind": "smtp", "from": "anna@sender.example", "name": "Anna Müller", "credentials": mailbox.credentials}
    made = tenant.want(201, "POST", "/communications/identities", json=body)
    assert "credentials" not in made
    tenant.want(200, "POST", f"/communications/identities/{made['id']}/verify")
    return made


@pytest.fixture
def ses_messages(stack):
    """What was handed to SES, as the local stack keeps it."""
    session = requests.Session()
    session.trust_env = False
    return lambda: session.get(f"{stack.endpoint_url}/_ministack/ses/messages", timeout=30).json()["messages"].get("000000000000", [])


def settled(tenant, until, message):
    path = f"/communications/{message['id']}"
    return until(lambda: (found := tenant.want(200, "GET", path))["status"] not in ("pending", "processing") and found,
                 "the end of a message")


def test_the_deployments_own_address_sends_by_ses(tenant, until, ses_messages):
    body = {"channel": "email", "to": f"{uuid.uuid4().hex}@example.com", "subject": "Grüße", "text": "Hello",
            "idempotency_key": "ses-1"}
    queued = tenant.want(202, "POST", "/communications", json=body)
    assert tenant.want(202, "POST", "/communications", json=body)["id"] == queued["id"]
    sent = settled(tenant, until, queued)
    assert sent["status"] == "sent", sent
    assert len([message for message in ses_messages() if message["To"] == [body["to"]]]) == 1
    counts = tenant.want(200, "GET", "/communications/outbox")["counts"]
    assert (counts["sent"], counts["pending"], counts["processing"]) == (1, 0, 0)
    events = until(lambda: tenant.want(200, "GET", "/events?type=communication.sent")["events"], "the event")
    assert [event["subject"]["id"] for event in events] == [queued["id"]]


def test_a_message_arrives_whole_and_its_reader_unsubscribes(tenant, mailbox, identity, until):
    body = {
        "channel": "email",
        "to": "bob@example.com",
        "identity_id": identity["id"],
        "category": "marketing",
        "subject": "Grüße aus Zürich — 你好",
        "html": '<p>Guten Tag, <a href="https://example.com/a?b=1&amp;c=2">hier</a> mehr.</p>',
        "headers": {"X-Campaign": "spring"},
        "track": {"opens": True, "clicks": True},
    }
    queued = tenant.want(202, "POST", "/communications", json=body)
    (envelope,) = until(lambda: mailbox.to("bob@example.com"), "the message")
    message = envelope.message
    assert envelope.defects == []
    assert envelope.mail_from == "anna@sender.example"
    assert message["Subject"] == body["subject"]
    assert str(message["From"]) == "Anna Müller <anna@sender.example>"
    assert message["Message-ID"] == f"<{queued['id']}@sender.example>"
    assert message["X-Campaign"] == "spring"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Unsubscribe"].startswith("<http") and "<mailto:" in message["List-Unsubscribe"]
    assert message.get_content_type() == "multipart/alternative"
    assert "Guten Tag, hier (https://example.com/a?b=1&c=2) mehr." in envelope.text
    assert "/communications/unsubscribe/" in envelope.text
    assert "https://example.com/a" not in envelope.html
    assert settled(tenant, until, queued)["status"] == "sent"

    # A click leads to where the link led, and only there.
    click = re.search(r'https?://[^"]+/communications/click/[^"]+', envelope.html).group()
    followed = requests.get(click, allow_redirects=False, timeout=30)
    assert followed.headers["location"] == "https://example.com/a?b=1&c=2"
    forged = requests.get(click[:-4] + ("AAAA" if not click.endswith("AAAA") else "BBBB"), allow_redirects=False, timeout=30)
    assert forged.status_code == 404 and "location" not in forged.headers

    link = re.search(r"<(http[^>]+)>", message["List-Unsubscribe"]).group(1)
    assert requests.get(link, timeout=30).status_code == 200
    assert tenant.want(200, "GET", "/communications/suppressions")["suppressions"] == []
    assert requests.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=30).status_code == 200
    assert [entry["address"] for entry in tenant.want(200, "GET", "/communications/suppressions")["suppressions"]] == ["bob@example.com"]
    again = tenant.want(202, "POST", "/communications", json=body | {"subject": "Again"})
    assert settled(tenant, until, again)["status"] == "suppressed"
    assert len(mailbox.to("bob@example.com")) == 1


def test_a_refused_recipient_fails_at_once(tenant, mailbox, identity, until):
    mailbox.refuse["gone@example.com"] = "550 5.1.1 no such user"
    body = {"channel": "email", "to": "gone@example.com", "identity_id": identity["id"], "subject": "Hi", "text": "Hi"}
    failed = settled(tenant, until, tenant.want(202, "POST", "/communications", json=body))
    assert failed["status"] == "failed" and len(failed["attempts"]) == 1, failed
    assert tenant.want(200, "GET", "/communications/outbox")["counts"]["failed"] == 1


@pytest.fixture
def lead(tenant):
    return tenant.want(201, "POST", "/leads", json={"email": f"{uuid.uuid4().hex}@example.com", "first_name": "Ada"})


@pytest.fixture
def sent(tenant, until, lead):
    """A message to the lead that SES took."""
    body = {"channel": "email", "lead_id": lead["id"], "subject": "Hello", "text": "How are you?"}
    message = settled(tenant, until, tenant.want(202, "POST", "/communications", json=body))
    assert message["status"] == "sent", message
    return message


def ses_reports(stack, aws, tenant, message, report: dict) -> None:
    """What the event destination of the configuration set publishes: the local stack knows it, but delivers no events."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    mail = {"timestamp": now, "messageId": message["provider_message_id"],
            "tags": {"entity_id": [tenant.entity_id], "communication_id": [message["id"]]}}
    aws("sns").publish(TopicArn=stack.outputs["MailTopicArn"], Message=json.dumps({"mail": mail} | report))


def test_the_greeting_of_ses_is_no_failure(stack, aws, until):
    """The first thing that SES publishes to a topic is a sentence. One that failed would be in flight until it is handed out again."""
    aws("sns").publish(TopicArn=stack.outputs["MailTopicArn"], Message="Successfully validated SNS topic for Amazon SES event publishing.")
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]

    def handled():
        queue = aws("sqs").get_queue_attributes(QueueUrl=stack.outputs["FeedbackQueueUrl"], AttributeNames=names)["Attributes"]
        return all(queue[name] == "0" for name in names)

    until(handled, "the greeting to be handled")


def events_about(tenant, message) -> list[str]:
    events = tenant.want(200, "GET", "/events?type=communication.*")["events"]
    return sorted(event["type"] for event in events if event["subject"]["id"] == message["id"])


def test_a_bounce_that_ses_reports_twice(stack, aws, tenant, until, lead, sent):
    delivered = {"eventType": "Delivery", "delivery": {"recipients": [sent["to"]]}}
    bounced = {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": uuid.uuid4().hex,
               "bouncedRecipients": [{"emailAddress": sent["to"], "status": "5.1.1", "diagnosticCode": "smtp; 550 no such user"}]}}
    for report in (delivered, bounced, bounced, delivered):
        ses_reports(stack, aws, tenant, sent, report)
    path = f"/communications/{sent['id']}"
    found = until(lambda: (message := tenant.want(200, "GET", path))["engagement"]["bounced_at"]
                  and message["engagement"]["delivered_at"] and message, "the reports on the message")
    assert found["status"] == "sent"
    [suppression] = tenant.want(200, "GET", "/communications/suppressions")["suppressions"]
    assert (suppression["address"], suppression["origin"], suppression["communication_id"]) == (sent["to"], "bounce", sent["id"])
    assert tenant.want(200, "GET", f"/leads/{lead['id']}")["status"] == "bounced"
    # A report that comes after the others: what came twice has been looked at by then.
    complaint = {"eventType": "Complaint", "complaint": {"complainedRecipients": [{"emailAddress": sent["to"]}], "feedbackId": uuid.uuid4().hex}}
    ses_reports(stack, aws, tenant, sent, complaint)
    until(lambda: tenant.want(200, "GET", path)["engagement"]["complained_at"], "the complaint")
    assert events_about(tenant, sent) == ["communication.bounced", "communication.complained", "communication.delivered", "communication.sent"]
    assert tenant.want(200, "GET", f"/leads/{lead['id']}")["status"] == "unsubscribed"


def test_a_reply_is_posted_with_a_signature_that_we_did_not_make(connect, tenant, lead, sent):
    made = tenant.want(201, "POST", "/communications/inbound/secret")
    assert made["url"].endswith(f"/communications/inbound/{tenant.entity_id}")
    reply = {"from": f"Ada <{lead['email']}>", "to": "sales@axle.example", "subject": "Re: Hello", "text": "Fine, and you?",
             "message_id": f"<{uuid.uuid4().hex}@example.com>", "in_reply_to": f"<{sent['message_id']}>",
             "received_at": datetime.datetime.now(datetime.timezone.utc).isoformat()}
    body, at, anonymous = json.dumps(reply), datetime.datetime.now(datetime.timezone.utc), connect(None)
    signature = standardwebhooks.webhooks.Webhook(made["secret"]).sign("msg_1", at, body)
    headers = {"content-type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())),
               "webhook-signature": signature}
    for _ in range(2):
        answer = anonymous.want(202, "POST", made["url"], data=body, headers=headers)
        assert answer == {"outcome": "reply", "communication_id": sent["id"]}
    anonymous.want(401, "POST", made["url"], data=body + " ", headers=headers)
    found = tenant.want(200, "GET", f"/communications/{sent['id']}")
    assert found["engagement"]["replies"] == 1 and [reply["text"] for reply in found["replies"]] == ["Fine, and you?"]
    assert tenant.want(200, "GET", f"/leads/{lead['id']}")["status"] == "replied"
    assert events_about(tenant, sent) == ["communication.replied", "communication.sent"]


def test_a_reply_that_ses_stored_in_the_bucket(stack, aws, tenant, until, lead, sent):
    key = f"inbound/{uuid.uuid4().hex}"
    raw = (f"From: Ada <{lead['email']}>\r\nTo: sales@axle.example\r\nSubject: Re: Hello\r\nMessage-ID: <{uuid.uuid4().hex}@example.com>\r\n"
           f"In-Reply-To: <{sent['message_id']}>\r\n\r\nLet us talk.\r\n")
    aws("s3").put_object(Bucket=stack.outputs["BucketName"], Key=key, Body=raw.encode())
    verdicts = {f"{name}Verdict": {"status": "PASS"} for name in ("spam", "virus", "spf", "dkim", "dmarc")}
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    report = {"notificationType": "Received", "mail": {"timestamp": now, "messageId": uuid.uuid4().hex}, "receipt": verdicts | {
        "timestamp": now, "recipients": ["sales@axle.example"],
        "action": {"type": "S3", "bucketName": stack.outputs["BucketName"], "objectKey": key}}}
    aws("sns").publish(TopicArn=stack.outputs["MailTopicArn"], Message=json.dumps(report))
    replies = until(lambda: tenant.want(200, "GET", f"/communications/{sent['id']}")["replies"], "the reply")
    assert [(reply["from"], reply["text"]) for reply in replies] == [(lead["email"], "Let us talk.")]


def test_meetings_move_the_lead_on(connect, tenant, lead):
    other = tenant.want(201, "POST", "/leads", json={"email": f"{uuid.uuid4().hex}@example.com"})
    booked = tenant.want(201, "POST", "/meetings", json={"lead_id": other["id"], "starts_at": "2030-01-08T14:00:00Z", "title": "Demo"})
    assert booked["status"] == "booked"
    secret, anonymous = uuid.uuid4().hex, connect(None)
    url = tenant.want(200, "PUT", "/meetings/hooks/calcom", json={"secret": secret})["url"]
    payload = {"uid": uuid.uuid4().hex, "title": "Demo", "startTime": "2030-01-09T14:00:00Z", "attendees": [{"email": lead["email"], "name": "Ada"}]}

    def report(trigger: str, key: str = secret, status: int = 200):
        body = json.dumps({"triggerEvent": trigger, "payload": payload})
        tag = hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()
        return anonymous.want(status, "POST", url, data=body, headers={"content-type": "application/json", "x-cal-signature-256": tag})

    report("BOOKING_CREATED", key="another", status=401)
    outcomes = [report(trigger)["outcome"] for trigger in ("BOOKING_CREATED", "BOOKING_CREATED", "BOOKING_CANCELLED")]
    assert outcomes == ["booked", "unchanged", "cancelled"]
    assert {tenant.want(200, "GET", f"/leads/{each['id']}")["status"] for each in (lead, other)} == {"meeting"}
    events = tenant.want(200, "GET", "/events?type=meeting.*")["events"]
    assert sorted(event["type"] for event in events) == ["meeting.booked", "meeting.booked", "meeting.cancelled"]


def test_posted_messages_are_verified_by_a_library_that_is_not_ours(tenant, receiver, until):
    tenant.want(202, "POST", "/communications", json={"channel": "webhook", "to": receiver.url, "text": "hi"})
    until(lambda: receiver.deliveries, "the message")
    secret = tenant.want(200, "GET", "/communications/webhook-secret")["secret"]
    assert receiver.deliveries[0].verify(secret)["text"] == "hi"
