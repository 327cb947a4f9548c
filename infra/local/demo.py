"""The main job, on a running stack: import leads, see the events, receive a signed webhook, run a campaign.

`python infra/local/demo.py [.local/stack.json]`; prints what it asks in curl's words and what came back. Leaves the imported
leads (run again, they count as duplicates) and the campaign, and removes its webhook.
"""

import http.server
import json
import pathlib
import sys
import threading
import time
import uuid

import requests
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "events" / "samples" / "leads.csv"
WAIT_SECONDS = 90
CAMPAIGN_LEADS = 20


class DemoError(Exception):
    """What went otherwise than it should, in one sentence."""


class Api:
    def __init__(self, base_url: str, api_key: str):
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False  # loopback: the user's proxies play no part
        self.session.headers["authorization"] = f"Bearer {api_key}"

    def call(self, status: int, method: str, path: str, shown: str = "", **options):
        show_curl(path, f"-X {method} {shown}" if method != "GET" else shown)
        answer = self.session.request(method, self.base_url + path, timeout=60, **options)
        if answer.status_code != status:
            raise DemoError(f"{method} {path} answered {answer.status_code} instead of {status}: {answer.text[:500]}")
        return answer.json() if answer.content else None


class Inbox(http.server.ThreadingHTTPServer):
    """A webhook endpoint on loopback that keeps what it gets."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), InboxHandler)
        self.received: list[tuple[dict, bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/axle"


class InboxHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def wait_for(what: str, check):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.2)
    raise DemoError(f"{what}: not within {WAIT_SECONDS} s.")


def show_curl(path: str, options: str = "") -> None:
    print(f'  $ curl "$BASE{path}" {options}'.rstrip(), flush=True)


def show(answer: dict, *names: str) -> None:
    print("    " + json.dumps({name: answer.get(name) for name in names}, ensure_ascii=False), flush=True)


def import_leads(api: Api) -> None:
    started = api.call(202, "POST", "/leads/import", f"-H 'content-type: text/csv' --data-binary @{SAMPLE.relative_to(ROOT)}",
                       data=SAMPLE.read_bytes(), headers={"content-type": "text/csv"})
    show(started, "status", "row_count", "valid_row_count", "duplicate_count", "invalid_row_count")
    path = f"/leads/import/{started['import_job_id']}"

    def finished():
        answer = api.session.get(api.base_url + path, timeout=60).json()
        return answer if answer.get("status") in ("completed", "failed") else None

    show_curl(path)
    job = wait_for("The import did not finish", finished)
    show(job, "status", "created", "updated", "skipped", "failed")
    if job["status"] != "completed":
        raise DemoError("The import failed: 'make logs FUNCTION=import-worker' says why.")


def verified_delivery(inbox: Inbox, secret: str) -> dict:
    """The delivery that tells of this import, once a verifier that is not ours has accepted its signature."""
    verifier = Webhook(secret)

    def arrived():
        for headers, body in list(inbox.received):
            try:
                event = verifier.verify(body, headers)
            except WebhookVerificationError as error:
                raise DemoError(f"A delivery arrived whose signature does not verify ({error}).") from error
            if event["type"] == "lead.imported":
                return event
        return None

    return wait_for("No webhook of the import arrived", arrived)


def run_campaign(api: Api) -> None:
    """Twenty leads through two steps with a wait of seconds, within a budget; and what one of them went through."""
    run = uuid.uuid4().hex[:8]
    first = {"step": 1, "channel": "email", "subject": "A question", "body": "Hello {{ lead.first_name | default('there') }}, how do you find leads?"}
    second = {"step": 2, "channel": "email", "delay_hours": 0.001, "body": "Did you see my question?"}
    spec = {"name": f"Demonstration {run}", "channels": ["email"], "messaging": {"sequence": [first, second]}}
    campaign = api.call(201, "POST", "/campaigns", f"-d '{json.dumps(spec)}'", json=spec)["id"]
    rows = "".join(f"demo-{run}-{n}@example.com,Person {n}\n" for n in range(CAMPAIGN_LEADS))
    api.call(202, "POST", f"/leads/import?campaign_id={campaign}", "-H 'content-type: text/csv' --data-binary @leads.csv",
             data=f"email,first_name\n{rows}", headers={"content-type": "text/csv"})

    def attached():
        answer = api.session.get(f"{api.base_url}/campaigns/{campaign}/leads?limit=100", timeout=60).json()
        return answer["leads"] if len(answer["leads"]) == CAMPAIGN_LEADS else None

    wait_for("The campaign's leads were not imported", attached)
    path = f"/campaigns/{campaign}/launch"
    dry = api.call(200, "POST", path, "-d '{\"dry_run\": true}'", json={"dry_run": True})
    show(dry["targets"], "matched", "eligible", "excluded")
    show(dry["cost_estimate"], "total", "breakdown")
    api.call(202, "POST", path, "-d '{\"budget_limit\": 1}'", json={"budget_limit": 1})

    def sent():
        answer = api.session.get(f"{api.base_url}/campaigns/{campaign}", timeout=60).json()
        return answer if answer["metrics"]["emails_sent"] == 2 * CAMPAIGN_LEADS else None

    show_curl(f"/campaigns/{campaign}")
    # It is completed a minute after its launch, once its leads have been looked for again.
    done = wait_for("The campaign's messages were not sent", sent)
    show(done["metrics"], "leads_targeted", "emails_sent", "replies", "bounces")
    show(done["spend"], "current", "budget", "by_category")
    trace = api.call(200, "GET", f"/traces/{attached()[0]['trace_id']}")
    print("    " + " > ".join(span["name"] for span in trace["spans"]), flush=True)


def demonstrate(facts: dict) -> None:
    api = Api(facts["base_url"], facts["api_key"])
    print(f"  BASE='{api.base_url}'; every request with -H 'authorization: Bearer <the key below>'")
    inbox = Inbox()
    wanted = {"url": inbox.url, "event_types": ["lead.*"], "description": "demonstration"}
    webhook = api.call(201, "POST", "/webhooks", f"-d '{json.dumps(wanted)}'", json=wanted)
    try:
        import_leads(api)
        leads = api.call(200, "GET", "/leads?limit=3")["leads"]
        for lead in leads:
            show(lead, "email", "first_name", "last_name", "status")
        events = api.call(200, "GET", "/events?type=lead.*&limit=5")["events"]
        for event in events:
            show(event, "type", "occurred_at", "data" if event["type"] == "lead.imported" else "lead_id")
        event = verified_delivery(inbox, webhook["secret"])
        print(f"  a signed webhook arrived and verifies: {event['type']}, webhook-id {event['id']}")
        run_campaign(api)
    finally:
        api.session.delete(f"{api.base_url}/webhooks/{webhook['id']}", timeout=60)
        inbox.shutdown()


def main() -> int:
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".local" / "stack.json"
    try:
        demonstrate(json.loads(path.read_text()))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except (OSError, requests.RequestException, KeyError, ValueError) as error:
        print(f"demo: The API did not answer as expected ({type(error).__name__}: {error}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
