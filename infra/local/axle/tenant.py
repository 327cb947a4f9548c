"""Tenants and API keys, created as an operator does it: by invoking the identity function directly."""

import json

import requests

from .say import StackError, step
from .stack import Stack

# High enough that nobody who tries things out meets a limit.
DEMO_LIMITS = {name: 1_000_000_000 for name in ("campaigns", "leads", "agents", "queries", "plan")}


def create_key(stack: Stack, *, entity: str, name: str, scopes: list[str], plan: str, limits: dict | None = None,
               entity_name: str | None = None, expires_at: str | None = None) -> dict:
    """`entity` is an entity's id, or "new". Answers `{"api_key", "key_id", "entity_id"}`."""
    wish = {"entity_id": entity, "name": name, "scopes": scopes, "plan": plan, "limits": limits or {}, "expires_at": expires_at}
    if entity == "new":
        wish["entity_name"] = entity_name or name
    answer = invoke(stack, {"operator": {"create_key": wish}})
    if not isinstance(answer, dict) or "api_key" not in answer:
        error = answer.get("error", answer) if isinstance(answer, dict) else answer
        raise StackError(f"The identity function created no key: {error}")
    return answer


def invoke(stack: Stack, payload: dict):
    client = stack.client("lambda", read_timeout=60, retries={"max_attempts": 0})
    answer = client.invoke(FunctionName=stack.function_name("identity"), Payload=json.dumps(payload))
    body = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        message = body.get("errorMessage", body) if isinstance(body, dict) else body
        raise StackError(f"The identity function failed: {message} (see 'make logs').")
    return body


def ensure_demo(stack: Stack, pid: int) -> dict:
    """The demo tenant and its key, in stack.json: kept for as long as the same MiniStack runs and the key is good."""
    known = stack.read_json()
    if known and known.get("pid") == pid and known.get("base_url") == stack.base_url and is_accepted(stack, known["api_key"]):
        return known
    with step("Creating the demo tenant"):
        created = create_key(stack, entity="new", entity_name="Demo", name="demo", scopes=["*"], plan="enterprise",
                             limits=DEMO_LIMITS)
    stack.write_json(created["api_key"], created["entity_id"], pid)
    return stack.read_json()


def is_accepted(stack: Stack, api_key: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{stack.base_url}/me", headers={"authorization": f"Bearer {api_key}"}, timeout=30)
    return answer.status_code != 401
