"""The CRM's calls as its reference writes them, on the deployed stack."""

import uuid

import pytest
import requests


@pytest.fixture(scope="module")
def crm(connect, make_key):
    """`crm(status, method, path, **more)` under /api/crm, with the entity in the query."""
    made = make_key()
    api = connect(made["api_key"], made["entity_id"])

    def want(status, method, path, params=None, **more):
        return api.want(status, method, f"/api/crm{path}", params={"entityId": made["entity_id"]} | (params or {}), **more)

    want.api, want.entity_id = api, made["entity_id"]
    return want


def test_every_call_names_its_entity(crm):
    assert "entityId" in crm.api.want(400, "GET", "/api/crm/companies")["error"]
    assert crm.api.want(403, "GET", "/api/crm/companies", params={"entityId": str(uuid.uuid4())})["error"]
    assert crm.api.want(201, "POST", "/api/crm/companies", json={"entityId": crm.entity_id, "name": "Named in the body"})["id"]
    assert crm.api.want(400, "GET", "/api/crm/companies/nonsense", params={"entityId": crm.entity_id})["error"]


def test_companies_contacts_and_lists(crm, until):
    name = uuid.uuid4().hex
    company = crm(201, "POST", "/companies", json={"name": f"\u00dcnl\u00fc {name}", "domain": f"https://www.{name}.example/x"})
    assert company["domain"] == f"{name}.example"
    refused = crm(409, "POST", "/companies", json={"name": "again", "domain": f"{name}.example"})
    assert company["id"] in refused["error"]
    assert crm(200, "PATCH", f"/companies/{company['id']}", json={"status": "active"})["status"] == "active"
    found = until(lambda: crm(200, "GET", "/companies", {"q": f"\u00fcNL\u00dc {name[:8]}", "status": "active"})["companies"], "the company")
    assert [entry["id"] for entry in found] == [company["id"]]

    contact = crm(201, "POST", "/contacts", json={"firstName": "Ada", "email": f"ada@{name}.example", "companyId": company["id"]})
    places = crm(200, "GET", f"/contacts/{contact['id']}/company-memberships")["memberships"]
    assert [(place["companyId"], place["isPrimary"]) for place in places] == [(company["id"], True)]
    members = until(lambda: crm(200, "GET", f"/companies/{company['id']}/contacts")["contacts"], "the contact")
    assert members[0]["membership"]["companyId"] == company["id"]
    refused = crm.api.delete(f"/api/crm/contacts/{contact['id']}", params={"entityId": crm.entity_id})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, PATCH") and "erase" in refused.json()["error"]

    listed = crm(201, "POST", "/marketing-lists", json={"name": "Fair"})
    added = crm(200, "POST", "/prospecting/add-to-marketing-list", json={"listId": listed["id"], "companyIds": [company["id"]]})
    assert added == {"added": 1, "alreadyPresent": 0, "notFound": []}
    assert crm(200, "POST", "/prospecting/add-to-marketing-list", json={"listId": listed["id"]})["added"] == 0


def test_merge_and_export(crm, until):
    batch = crm(200, "POST", "/companies/batch", json={"records": [{"name": "=Winner"}, {"name": "Loser"}, {"nmae": "x"}]})["results"]
    assert [result["status"] for result in batch] == [201, 201, 422]
    winner, loser = batch[0]["id"], batch[1]["id"]
    assert crm(200, "POST", "/companies/merge", json={"winnerId": winner, "loserIds": [loser]})["id"] == winner
    assert crm(200, "GET", f"/companies/{loser}")["mergedInto"] == winner

    def exported():
        file = crm(200, "GET", "/export", {"type": "companies", "format": "csv"})
        with requests.Session() as anonymous:
            anonymous.trust_env = False
            answer = anonymous.get(file["url"], timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.text if winner in answer.text else None

    rows = until(exported, "the winner in an export").splitlines()
    assert rows[0].startswith("id,name,domain,") and not any(loser in row for row in rows)
    assert any(row.startswith(f"{winner},'=Winner,") for row in rows)


def test_an_email_to_a_lead_stands_in_its_timeline(crm, mailbox, until):
    contact = crm(201, "POST", "/contacts", json={"firstName": "Ada", "email": f"{uuid.uuid4().hex}@example.com"})
    lead = crm(201, "POST", "/leads", json={"title": "Fifty seats", "contactId": contact["id"]})
    connection = crm(201, "POST", "/outbound-email-connections", json={"channel": "smtp", "from": "me@example.com",
                                                                          "credentials": mailbox.credentials})
    assert "credentials" not in crm(200, "GET", "/outbound-email-connections")["connections"][0]
    mail = {"leadId": lead["id"], "connectionId": connection["id"], "channel": "smtp", "subject": "Our offer", "htmlBody": "<p>Dear Ada</p>"}
    assert crm(202, "POST", "/outbound-email", json=mail)["status"] == "pending"
    assert crm(422, "POST", "/outbound-email", json=mail | {"channel": "gmail"})["details"][0]["pointer"] == "/channel"

    def told():
        entries = crm(200, "GET", f"/leads/{lead['id']}/timeline")["entries"]
        return [entry["data"]["change"] for entry in entries if entry["kind"] == "email"]

    until(lambda: told() == ["sent", "queued"], "the e-mail in the timeline")
    assert mailbox.to(contact["email"])


def test_an_erased_person_is_nowhere(crm, until):
    name = f"Quux{uuid.uuid4().hex[:12]}"
    person = {"firstName": "Ada", "lastName": name, "email": f"ada@{name.lower()}.example", "phone": "+44 20 7946 0123"}
    contact = crm(201, "POST", "/contacts", json=person)
    lead = crm(201, "POST", "/leads", json={"title": f"Seats for {name}", "contactId": contact["id"]})
    crm(201, "POST", "/activities", json={"type": "call", "subject": f"{name} called", "contactId": contact["id"]})
    until(lambda: crm(200, "GET", "/leads", {"contactId": contact["id"]})["total"] == 1, "the lead's index entry")
    until(lambda: crm(200, "GET", "/activities", {"contactId": contact["id"]})["total"] == 1, "the activity's index entry")

    def erased():
        answer = crm.api.post(f"/api/crm/contacts/{contact['id']}/erase", params={"entityId": crm.entity_id})
        assert answer.status_code in (200, 202), answer.text
        return answer.json() if answer.status_code == 200 else None

    receipt = until(erased, "the erasure")
    assert receipt["status"] == "completed" and len(receipt["signature"]) == 64 and receipt["removed"]["activities"] == 1
    crm(404, "GET", f"/contacts/{contact['id']}")
    shown = crm(200, "GET", f"/leads/{lead['id']}")
    assert (shown["title"], shown["contactId"]) == ("Seats for [erased]", None)
    assert crm(200, "POST", f"/contacts/{contact['id']}/erase") == receipt
