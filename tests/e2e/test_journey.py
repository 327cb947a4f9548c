"""The main job: leads come in from a file, events tell of it, and signed webhooks carry them out."""

import base64
import json

import pytest
import standardwebhooks.webhooks

from leadfiles import finished, lead_file, outcome, pages, subset

CSV = 'E-mail;Vorname;Nachname;Firma\r\nada@example.com;Ada;Lovelace;"Analytical; Engines"\r\ngrace@example.com;Grace;Hopper;Navy\r\n' \
      "ADA@example.com;Ada;King;\r\nnobody(at)example.com;No;Body;\r\n"


def as_body(api):
    return api.want(202, "POST", "/leads/import", data=CSV.encode(), headers={"content-type": "text/csv; charset=utf-8"})


def as_form(api):
    return api.want(202, "POST", "/leads/import", files={"file": ("leads.csv", CSV.encode(), "text/csv"), "dedupe": (None, "true")})


def as_json(api):
    return api.want(202, "POST", "/leads/import", json={"csv": CSV, "dedupe": True, "on_duplicate": "skip"})


@pytest.mark.parametrize("send", [as_body, as_form, as_json])
def test_import_events_and_signed_webhook(tenant, receiver, until, send):
    webhook = tenant.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["lead.*"]})
    assert webhook["status"] == "enabled" and webhook["secret"].startswith("whsec_")

    started = send(tenant)
    assert started["status"] == "queued"
    assert subset(started, {"row_count": 4}) == {"row_count": 4}
    assert (started["valid_row_count"], started["duplicate_count"], started["invalid_row_count"]) == (3, 1, 1)
    assert started["errors"] == [{"row": 5, "column": "E-mail", "message": "is not a valid e-mail address"}]
    job = finished(tenant, until, started)
    wanted = outcome(created=2, skipped=1, failed=1)
    assert subset(job, wanted) == wanted

    leads = {lead["email"]: lead for lead in pages(tenant, "/leads", "leads")}
    assert set(leads) == {"ada@example.com", "grace@example.com"}
    ada = leads["ada@example.com"]
    assert (ada["first_name"], ada["last_name"], ada["company"]["name"], ada["status"]) == ("Ada", "Lovelace", "Analytical; Engines", "new")
    assert tenant.want(200, "GET", f"/leads/{ada['id']}") == ada

    [event] = pages(tenant, "/events", "events", type="lead.*")
    assert event["type"] == "lead.imported" and event["entity_id"] == tenant.entity_id
    counts = {"import_job_id": job["import_job_id"], "row_count": 4, "created": 2, "updated": 0, "skipped": 1, "failed": 1}
    assert event["data"] == counts

    [delivery] = until(lambda: receiver.of_type("lead.imported"), "the webhook")
    told = delivery.verify(webhook["secret"])
    assert told == {"id": event["id"], "type": "lead.imported", "timestamp": event["occurred_at"], "entity_id": tenant.entity_id,
                    "data": counts}
    assert delivery.headers["webhook-id"] == event["id"]
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["user-agent"].startswith("axle-webhooks/")

    def recorded():
        [record] = tenant.want(200, "GET", f"/webhooks/{webhook['id']}/deliveries")["deliveries"]
        return record["status"] != "pending" and record

    record = until(recorded, "the record of the delivery")
    assert (record["event_id"], record["event_type"], record["status"], record["next_attempt_at"]) == (
        event["id"], "lead.imported", "delivered", None)
    [attempt] = record["attempts"]
    assert (attempt["status_code"], attempt["error"], attempt["response_excerpt"]) == (200, None, "ok")
    assert attempt["duration_ms"] < 10_000 and attempt["at"] >= event["occurred_at"]


def test_the_verifier_refuses_what_was_tampered_with(tenant, receiver, until):
    """Signatures prove something only if others do not verify."""
    webhook = tenant.want(201, "POST", "/webhooks", json={"url": receiver.url})
    tenant.want(201, "POST", "/leads", json={"email": "ada@example.com"})
    delivery = until(lambda: receiver.of_type("lead.created"), "the webhook")[0]
    assert delivery.verify(webhook["secret"])["data"]["email"] == "ada@example.com"

    other = "whsec_" + base64.b64encode(b"another secret of 32 bytes' size").decode()
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        delivery.verify(other)
    delivery.body = delivery.body.replace(b"ada@", b"eve@")
    assert json.loads(delivery.body)["data"]["email"] == "eve@example.com"
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        delivery.verify(webhook["secret"])


def test_one_trace_goes_from_the_request_to_the_webhook(tenant, receiver, until):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    tenant.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["lead.imported"]})
    file = lead_file(unique=3)
    started = tenant.want(202, "POST", "/leads/import", data=file.text.encode(),
                          headers={"content-type": "text/csv", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    finished(tenant, until, started)
    [delivery] = until(lambda: receiver.of_type("lead.imported"), "the webhook")
    assert delivery.headers["traceparent"].split("-")[1] == trace
    [event] = pages(tenant, "/events", "events", type="lead.imported")
    assert event["trace_id"] == trace


def test_leads_of_an_import_belong_to_its_campaign(tenant, until):
    campaign = tenant.want(201, "POST", "/campaigns", json={"name": "Spring", "channels": ["email"]})
    tenant.want(201, "POST", "/leads", json={"email": "person0@example.com"})
    tenant.want(201, "POST", "/leads", json={"email": "elsewhere@example.com"})
    file = lead_file(unique=5)
    job = finished(tenant, until, tenant.want(202, "POST", "/leads/import", json={"csv": file.text, "campaign_id": campaign["id"]}))
    assert subset(job, outcome(created=4, skipped=1)) == outcome(created=4, skipped=1)
    members = pages(tenant, "/leads", "leads", campaign_id=campaign["id"])
    assert {lead["email"] for lead in members} == file.emails, "the lead that was there already is attached, too"
    [event] = pages(tenant, "/events", "events", campaign_id=campaign["id"], type="lead.imported")
    assert event["data"]["created"] == 4


def test_repeating_a_request_under_its_key_imports_once(tenant, until):
    file = lead_file(unique=10)
    headers = {"content-type": "text/csv", "idempotency-key": "journey-1"}
    first = tenant.request("POST", "/leads/import", data=file.text.encode(), headers=headers)
    again = tenant.request("POST", "/leads/import", data=file.text.encode(), headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
    assert again.headers["idempotent-replayed"] == "true" and "idempotent-replayed" not in first.headers
    other = tenant.request("POST", "/leads/import", data=b"email\nx@example.com\n", headers=headers)
    assert other.status_code == 422
    finished(tenant, until, first.json())
    assert len(pages(tenant, "/events", "events", type="lead.imported")) == 1
    assert len(pages(tenant, "/leads", "leads")) == 10
