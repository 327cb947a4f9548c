"""Enrichment and scoring on the deployed stack, from a site and an API on loopback."""

import json

HOME = """<html><head><title>Brightledger | Books</title><meta property="og:site_name" content="Brightledger">
<script type="application/ld+json">{"@type": "Organization", "name": "Brightledger", "industry": "Software",
"address": {"addressLocality": "Austin", "addressCountry": "US"}}</script>
<script src="https://js.hs-scripts.com/1.js"></script></head><body><a href="/careers">Careers</a></body></html>"""
CAREERS = """<script type="application/ld+json">{"@type": "JobPosting", "title": "Head of Sales"}</script>"""


def test_a_lead_is_enriched_from_its_companys_site_and_an_api_and_scored(stack, tenant, receiver):
    def respond(delivery):
        if delivery.path.startswith("/v1/"):
            assert delivery.headers["x-key"] == "a-secret-of-the-tests"
            return 200, {"content-type": "application/json"}, json.dumps({"employees": 120}).encode()
        page = {"/": HOME, "/careers": CAREERS}.get(delivery.path)
        return (200, {"content-type": "text/html"}, page.encode()) if page else (404, {}, b"")

    receiver.respond = respond
    site = f"http://127.0.0.1:{receiver.port}"
    described = tenant.want(200, "PUT", "/leads/enrichment-providers/headcounts", json={
        "url": f"{site}/v1/company?domain={{domain}}", "headers": {"x-key": "{secret}"}, "secret": "a-secret-of-the-tests",
        "mapping": {"company.size": "$.employees"}, "cost_per_call": "0.02"})
    assert described["has_secret"] and "a-secret" not in json.dumps(described)

    lead = tenant.want(201, "POST", "/leads", json={
        "email": "ada@brightledger.com", "title": "CTO", "company": {"website": site, "domain": "brightledger.com"}})["id"]
    enriched = tenant.want(200, "POST", f"/leads/{lead}/enrich", json={})
    assert (enriched["company"]["name"], enriched["company"]["size"]) == ("Brightledger", "120"), enriched
    assert [technology["name"] for technology in enriched["company"]["technologies"]] == ["HubSpot"]
    assert enriched["intent_signals"]["hiring_activity"][0]["title"] == "Head of Sales"
    assert (enriched["cost"], enriched["unavailable"]) == ("0.02", [])
    assert {source["provider"] for source in enriched["sources"]} == {"website", "headcounts"}
    asked = len(receiver.deliveries)
    assert tenant.want(200, "POST", f"/leads/{lead}/enrich", json={})["cost"] == "0"
    assert len(receiver.deliveries) == asked, "what is fresh is not asked for again"

    campaign = tenant.want(201, "POST", "/campaigns", json={
        "name": "CTOs", "channels": ["email"], "icp": {"industries": ["software"], "titles": ["CTO"], "company_size": {"min": 100}}})["id"]
    scored = tenant.want(200, "POST", f"/leads/{lead}/score", json={"campaign_id": campaign})
    assert scored["breakdown"]["fit"] == 50 and scored["score"] == sum(e["points"] for e in scored["evidence"])
    kept = tenant.want(200, "GET", f"/leads/{lead}")
    assert (kept["status"], kept["score"], kept["tier"]) == ("scored", scored["score"], scored["tier"])
    assert [found["id"] for found in tenant.want(200, "GET", "/leads", params={"tier": scored["tier"]})["leads"]] == [lead]
    types = [event["type"] for event in tenant.want(200, "GET", "/events", params={"lead_id": lead})["events"]]
    assert types == ["lead.scored", "lead.enriched", "lead.enriched", "lead.created"]
    tenant.want(204, "DELETE", "/leads/enrichment-providers/headcounts")


def test_what_must_not_be_reached_is_not(tenant):
    lead = tenant.want(201, "POST", "/leads", json={
        "email": "eve@brightledger.com", "company": {"website": "http://169.254.169.254/latest/meta-data/"}})["id"]
    enriched = tenant.want(200, "POST", f"/leads/{lead}/enrich", json={"providers": ["website"]})
    assert enriched["sources"] == [] and "refused" in enriched["unavailable"][0]["reason"], enriched
    assert tenant.want(200, "GET", f"/leads/{lead}")["status"] == "new"
