"""Deals on their way, on the deployed stack: what follows from a win, and a dashboard that follows the table's stream."""

import json
import time

import pytest

from leadfiles import pages


@pytest.fixture
def crm(tenant):
    def call(status, method, path, **options):
        params = {"entityId": tenant.entity_id} | options.pop("params", {})
        return tenant.want(status, method, f"/api/crm{path}", params=params, **options)
    return call


def test_a_win_from_the_first_call_to_the_dashboard(tenant, crm, receiver, until):
    tenant.want(201, "POST", "/webhooks", json={"url": receiver.url, "event_types": ["lead.won", "lead.stage_changed"]})
    company = crm(201, "POST", "/companies", json={"name": "Example Ltd"})["id"]
    lead = crm(201, "POST", "/leads", json={"title": "Fifty seats", "companyId": company, "valueMinor": 5000, "currency": "EUR"})["id"]
    other = crm(201, "POST", "/leads", json={"title": "Ten seats", "companyId": company, "valueMinor": 1000})["id"]
    crm(201, "POST", f"/leads/{lead}/activities", json={"type": "call", "subject": "First call"})
    crm(200, "PATCH", f"/leads/{lead}/stage", json={"stage": "won"})
    crm(200, "PATCH", f"/leads/{other}/stage", json={"stage": "lost", "lostReason": "price"})
    assert crm(200, "GET", f"/companies/{company}")["status"] == "active"
    assert crm(200, "GET", "/tasks", params={"status": "open"})["total"] == 2
    kinds = [entry["kind"] for entry in crm(200, "GET", f"/leads/{lead}/timeline")["entries"]]
    assert sorted(kinds) == ["activity", "stage", "task"]
    until(lambda: receiver.of_type("lead.won"), "the webhook")

    def counted():
        dashboard = crm(200, "GET", "/dashboard")
        return dashboard["leads"]["lostThisMonth"]["count"] and dashboard["tasks"]["open"] == 2 and dashboard

    dashboard = until(counted, "the dashboard to follow")
    assert dashboard["leads"]["wonThisMonth"] == {"count": 1, "valueMinor": 5000}
    assert (dashboard["leads"]["winRate"], dashboard["companies"]["byStatus"]["active"]) == (0.5, 1)
    assert dashboard["activities"]["byType"]["call"] == 1


def test_a_deleted_lead_counts_no_more_and_a_repair_finds_nothing_wrong(stack, aws, tenant, crm, until):
    leads = [crm(201, "POST", "/leads", json={"title": "x", "valueMinor": 10})["id"] for _ in range(5)]
    crm(204, "DELETE", f"/leads/{leads[0]}")
    until(lambda: crm(200, "GET", "/dashboard")["leads"]["openValueMinor"] == 40, "the dashboard to follow")
    answer = aws("lambda").invoke(FunctionName=stack.local.function_name("crm-aggregator"),
                                  Payload=json.dumps({"operator": {"repair": {"entity_id": tenant.entity_id}}}))
    assert json.loads(answer["Payload"].read()) == {"records": 0, "sums": 0}


def test_a_tenant_with_few_records_gets_nothing_to_search_through(stack, aws, tenant, crm):
    crm(201, "POST", "/companies", json={"name": "Straße"})
    answer = aws("lambda").invoke(FunctionName=stack.local.function_name("crm-aggregator"),
                                  Payload=json.dumps({"operator": {"reindex": {"entity_id": tenant.entity_id}}}))
    assert json.loads(answer["Payload"].read()) == {"records": 0, "segments": 0}
    assert crm(200, "GET", "/companies?q=STRASSE")["total"] == 1


def test_a_reminder_comes_within_a_minute_of_its_time(tenant, crm, until):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    crm(201, "POST", "/activities", json={"type": "task", "subject": "Call back", "dueAt": soon})
    [event] = until(lambda: pages(tenant, "/events", "events", type="reminder.triggered"), "the reminder", seconds=75)
    assert event["data"]["title"] == "Call back"
