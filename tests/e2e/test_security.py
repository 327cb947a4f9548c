"""What nobody may do or see, tried on the deployed stack with IAM enforced."""

import re
import time

import pytest

from leadfiles import finished, lead_file, pages, refused_rows, start_csv

# A stack that is reused may have been another's before.
STARTED = time.time()
SOME_ID = "01939b1e-0d4c-7cc1-8a6f-2f5d0b1c9a77"
# Public by contract.
PUBLIC = {("GET", "/openapi.json"), ("GET", "/docs")}


@pytest.fixture(scope="module")
def operations(api):
    document = api.want(200, "GET", "/openapi.json")
    found = [(method.upper(), path, operation) for path, item in document["paths"].items() for method, operation in item.items()
             if method in ("get", "put", "post", "patch", "delete")]
    assert len(found) >= 30
    return found


def address(path: str) -> str:
    path = path.replace("{provider}", "calcom")
    return re.sub(r"\{[^}]+\}", "7Gk2mQ9xTb4L" if path.startswith("/api-keys") else SOME_ID, path)


# -------------------------------------------------------------------- credentials

@pytest.fixture(scope="module")
def revoked(connect, make_key, until):
    """A key that every HTTP function has seen work, deleted; when that was. Functions may trust what they have seen for 60 s,
    so the test of it is the module's last and the others run meanwhile."""
    owner = make_key()
    doomed = make_key(entity=owner["entity_id"])
    admin, user = connect(owner["api_key"]), connect(doomed["api_key"])
    for path in ("/me", "/leads", "/campaigns", "/webhooks", "/events"):
        user.want(200, "GET", path)
    admin.want(204, "DELETE", f"/api-keys/{doomed['key_id']}")
    return user, time.monotonic()


@pytest.fixture(autouse=True)
def start_waiting(revoked):
    pass


def test_every_operation_asks_for_a_credential(connect, operations):
    anonymous, stranger = connect(None), connect("ak_nonsense")
    public = set()
    for method, path, operation in operations:
        if operation["security"] == [{}]:
            # A link's signed ticket is its credential, and a made-up one does nothing. Pages that only ask, and the pixel, are the
            # same for all, so that nobody can try tickets out.
            if "{ticket}" in path:
                status = anonymous.request(method, address(path), allow_redirects=False).status_code
                assert status == 404 or method == "GET" and status == 200, f"{method} {path}: {status}"
            elif "{entity_id}" in path:
                # Another system's signature is its credential; nobody learns whether there is such a tenant.
                anonymous.want(401, method, address(path), json={})
            else:
                public.add((method, path))
                anonymous.want(200, method, path)
            continue
        for caller in (anonymous, stranger):
            answer = caller.request(method, address(path), json={} if method in ("POST", "PATCH", "PUT") else None)
            assert answer.status_code == 401, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            if path.startswith(("/api/crm", "/v1")):
                assert answer.headers["content-type"] == "application/json" and answer.json()["error"]
            else:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == 401 and answer.headers["x-request-id"] == answer.json()["request_id"]
    assert public == PUBLIC


def test_every_deployed_path_is_documented_or_404(connect, operations):
    """No operation hides behind the gateway's greedy routes."""
    documented = {path for _, path, _ in operations}
    anonymous = connect(None)
    for path in ("/leads/import/x/y", "/campaigns/x/y/z", "/webhooks/x/y/z", "/events/x", "/docs/x", "/nothing", "/", "/api-keys/x/y/z"):
        assert path not in documented
        assert anonymous.get(path).status_code in (401, 404), path


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "ak_x", "Bearer null", "Bearer ak_" + "0" * 12 + "_" + "0" * 38])
def test_other_credentials_are_401(connect, authorization):
    answer = connect(None).get("/me", headers={"authorization": authorization})
    assert answer.status_code == 401, answer.text


def test_a_credential_in_the_query_is_none(connect, api):
    assert connect(None).get("/me", params={"api_key": api.api_key, "access_token": api.api_key}).status_code == 401


def test_a_scope_is_needed_and_named(connect, make_key):
    reader = connect(make_key(scopes=["leads:read"])["api_key"])
    reader.want(200, "GET", "/leads")
    for method, path, scope in [("POST", "/leads", "leads:write"), ("GET", "/campaigns", "campaigns:read"), ("GET", "/webhooks", "webhooks:read"),
                                ("GET", "/events", "events:read"), ("GET", "/api-keys", "keys:read"), ("POST", "/api-keys", "keys:write")]:
        problem = reader.want(403, method, path, json={} if method == "POST" else None)
        assert scope in problem["detail"], problem


def test_an_expired_key_is_401(connect, make_key, until):
    in_three_seconds = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    user = connect(make_key(expires_at=in_three_seconds)["api_key"])
    user.want(200, "GET", "/me")
    until(lambda: user.get("/me").status_code == 401, "the key's end, though it is cached", seconds=10)


def test_a_rotated_key_keeps_its_id_and_loses_its_old_secret(connect, make_key, until):
    owner = make_key()
    admin, old = connect(owner["api_key"]), make_key(entity=owner["entity_id"])
    rotated = admin.want(200, "POST", f"/api-keys/{old['key_id']}/rotate")
    assert rotated["id"] == old["key_id"] and rotated["api_key"] != old["api_key"]
    connect(rotated["api_key"]).want(200, "GET", "/me")
    assert connect(old["api_key"]).get("/me").status_code == 401, "nobody had seen the old secret"


# -------------------------------------------------------------------- tenants

@pytest.fixture(scope="module")
def owned(connect, make_key, until):
    """A tenant with one of everything; the addresses of its things by path pattern."""
    made = make_key()
    api = connect(made["api_key"], made["entity_id"])
    lead = api.want(201, "POST", "/leads", json={"email": "ada@example.com"})
    campaign = api.want(201, "POST", "/campaigns", json={"name": "Mine", "channels": ["email"]})
    webhook = api.want(201, "POST", "/webhooks", json={"url": "http://127.0.0.1:9/hook"})
    key = api.want(201, "POST", "/api-keys", json={"name": "mine", "scopes": ["leads:read"]})
    job = finished(api, until, start_csv(api, lead_file(unique=3, refused=3).text))
    crm = {"entityId": made["entity_id"]}
    company = api.want(201, "POST", "/api/crm/companies", json=crm | {"name": "Mine"})
    contact = api.want(201, "POST", "/api/crm/contacts", json=crm | {"firstName": "Ada", "companyId": company["id"]})
    deal = api.want(201, "POST", "/api/crm/leads", json=crm | {"title": "Mine", "companyId": company["id"]})
    message = api.want(202, "POST", "/communications", json={"channel": "sms", "to": "+14155550123", "text": "Hi",
                                                             "send_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))})
    sender = api.want(201, "POST", "/communications/identities", json={"kind": "ses", "from": "mine@example.com"})
    agent = api.want(201, "POST", "/v1/agents", json={"name": "Mine", "playbook": {"steps": [{"id": "told", "action": "notify", "params": {"message": "Hi"}}]}})
    work = api.want(200, "POST", f"/v1/agents/{agent['agent']['id']}/trigger", json={"contact_ids": [lead["id"]]})["job_id"]
    runs = lambda: api.want(200, "GET", f"/v1/agents/{agent['agent']['id']}/runs", params={"status": "completed"})["runs"]
    [run] = until(runs, "the run of an agent")
    api.want(201, "PUT", "/slos/mine", json={"objective": "agent_success_rate", "threshold": 0.9, "window_minutes": 60})
    [delivery] = until(lambda: pages(api, f"/webhooks/{webhook['id']}/deliveries", "deliveries"), "a delivery")[:1]
    ids = {"/leads/import/": job["import_job_id"], "/leads/": lead["id"], "/campaigns/": campaign["id"],
           "/webhooks/deliveries/": delivery["id"], "/webhooks/": webhook["id"], "/api-keys/": key["id"], "/entities/": made["entity_id"],
           "/v1/agents/runs/": run["id"], "/v1/agents/jobs/": work, "/v1/agents/": agent["agent"]["id"], "/agents/": agent["agent"]["id"],
           "/traces/": run["trace_id"], "/slos/": "mine", "/communications/identities/": sender["id"], "/communications/suppressions/": "ada@example.com", "/communications/": message["id"],
           "/api/crm/companies/": company["id"], "/api/crm/contacts/": contact["id"], "/api/crm/leads/": deal["id"]}
    return api, ids, job


def test_another_tenant_sees_nothing(owned, tenant, operations):
    owner, ids, _ = owned
    # A PUT under a name makes a thing of the caller's own.
    for method, path, operation in operations:
        if path.startswith("/api/crm"):
            # Changes are tried on the embedded table; here, that the deployed functions look only into their caller's partition.
            prefix = next((prefix for prefix in ids if path.startswith(prefix)), None)
            if method == "GET" and prefix and "{" in path:
                answer = tenant.get(re.sub(r"\{[^}]+\}", ids[prefix], path), params={"entityId": tenant.entity_id})
                assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        elif "{" in path and not re.search(r"\{(ticket|entity_id|provider)\}", path) and (method, path[-7:]) != ("PUT", "/{name}"):
            prefix = next(prefix for prefix in ids if path.startswith(prefix))
            own = re.sub(r"\{[^}]+\}", ids[prefix], path)
            body = {"since": "2020-01-01T00:00:00Z", "only": "all"} if path.endswith("}/replay") and "deliveries" not in path else {}
            if path == "/campaigns/{id}/leads":
                body = {"lead_ids": [ids["/leads/"]]}
            if path.endswith("/execute"):
                body = {"input": {}}
            if path.endswith("/members"):
                body = {"phone": "+14155550123", "role": "member"}
            answer = tenant.request(method, own, json=body if method in ("POST", "PATCH", "PUT") else None)
            assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
    for path, plural in [("/leads", "leads"), ("/campaigns", "campaigns"), ("/webhooks", "webhooks"), ("/events", "events")]:
        assert tenant.want(200, "GET", path)[plural] == [], path
        assert owner.want(200, "GET", path)[plural] != [], path
    [own_key] = tenant.want(200, "GET", "/api-keys")["api_keys"]
    assert own_key["id"] in tenant.api_key
    assert tenant.want(200, "GET", "/me")["entity"]["id"] == tenant.entity_id
    assert not set(ids.values()) & {entry["subject_id"] for entry in tenant.want(200, "GET", "/audit-log")["entries"]}


def test_another_tenants_ids_in_bodies_and_cursors(owned, tenant):
    owner, ids, _ = owned
    problem = tenant.want(422, "POST", "/leads/import", json={"csv": "email\na@example.com\n", "campaign_id": ids["/campaigns/"]})
    assert [error["pointer"] for error in problem["errors"]] == ["/campaign_id"]
    cursor = owner.want(200, "GET", "/leads", params={"limit": 1})["next_cursor"]
    assert tenant.get("/leads", params={"limit": 1, "cursor": cursor}).status_code == 400
    assert owner.get("/events", params={"limit": 1, "cursor": cursor}).status_code == 400


def test_tenants_can_have_the_same_people(owned, tenant, until):
    owner, ids, _ = owned
    mine = tenant.want(201, "POST", "/leads", json={"email": "ada@example.com"})
    assert mine["id"] != ids["/leads/"]
    assert finished(tenant, until, start_csv(tenant, lead_file(unique=3).text))["created"] == 3


def test_idempotency_keys_are_a_tenants_own(owned, tenant):
    headers = {"idempotency-key": "same-key"}
    one = owned[0].want(201, "POST", "/leads", json={"email": "one@example.com"}, headers=headers)
    other = tenant.request("POST", "/leads", json={"email": "one@example.com"}, headers=headers)
    assert other.status_code == 201 and "idempotent-replayed" not in other.headers and other.json()["id"] != one["id"]


# -------------------------------------------------------------------- after everything else

def test_a_revoked_key_dies_within_60_s(revoked, until):
    user, since = revoked
    paths = ["/me", "/leads", "/campaigns", "/webhooks", "/events"]
    left = max(60 - (time.monotonic() - since), 0)
    until(lambda: all(user.get(path).status_code == 401 for path in paths), "401 from every function", seconds=left + 2, every=0.5)


@pytest.mark.last(order=1)
def test_no_function_was_denied_anything(function_logs):
    """Whatever the tests before this had the functions do, their policies allow. Denials that a test provoked come later."""
    denied = {line.strip() for line in function_logs(since=STARTED) if re.search(r"AccessDenied|not authorized to perform", line)}
    assert not denied, "\n".join(sorted(denied)[:10])


@pytest.mark.last
def test_signing_secrets_are_in_no_log_and_no_answer(function_logs, secrets_seen, owned):
    """The secrets' own values are looked for by `test_no_secret_is_in_any_log`; this looks for anything of their form."""
    logged = "\n".join(function_logs())
    assert "START RequestId" in logged
    assert not re.findall(r"whsec_[A-Za-z0-9+/=]{8,}|ak_[0-9A-Za-z]{12}_[0-9A-Za-z]{8,}", logged)
    assert any(secret.startswith("whsec_") for secret in secrets_seen) and any(secret.startswith("ak_") for secret in secrets_seen)
    owner = owned[0]
    for path in ("/webhooks", "/api-keys", "/audit-log", "/events", "/me"):
        assert not re.search(r"whsec_|ak_[0-9A-Za-z]{12}_", owner.get(path).text), path


@pytest.mark.last
def test_no_personal_data_is_in_any_log(function_logs, owned):
    """Addresses, names and cells of files: requests are logged by their route and status only."""
    assert refused_rows(owned[0], owned[2])
    logged = "\n".join(function_logs())
    found = set(re.findall(r"[\w.+-]+(?:@|%40)example\.com", logged))
    assert not found, sorted(found)[:5]
