"""Messages on the deployed stack: queued, sent once, refused, unsubscribed from."""

import re
import uuid

import pytest
import requests


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
