"""What schemathesis is told of this API beyond its OpenAPI document; loaded by it as SCHEMATHESIS_HOOKS.

AXLE_FUZZ_KEY_ID is the id of the key that it calls with, AXLE_FUZZ_RECEIVER a webhook receiver on loopback.
"""

import os
import re
import uuid

import schemathesis

OWN_KEY = os.environ.get("AXLE_FUZZ_KEY_ID")
RECEIVER = os.environ.get("AXLE_FUZZ_RECEIVER")


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each request is a new one: the same key with another body is refused, as it should be.
    headers = case.headers
    if headers is not None and re.fullmatch(r"[!-~]{1,255}", str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = uuid.uuid4().hex
    # The branch that we sit on.
    if isinstance(case.path_parameters, dict) and case.path_parameters.get("id") == OWN_KEY:
        case.path_parameters["id"] = "7Gk2mQ9xTb4L"
    # Nobody else's server is called: what would be a public host becomes our receiver.
    if isinstance(case.body, dict) and re.match(r"https?://[^/@\s]+", str(case.body.get("url") or "")):
        case.body["url"] = RECEIVER


# Faults in data that its schema allows, because a schema cannot say it.
BEYOND_SCHEMAS = [
    r"must lie in the future",
    r"no sending identity has this id",
    r"no campaign has this id",
]

GOOD = {200, 201, 202, 204, 303}
# Not the data's fault: unknown ids, limits of the credential, states, versions.
CIRCUMSTANCES = {403, 404, 409, 412, 429}


@schemathesis.check
def valid_data_is_accepted_or_the_refusal_is_beyond_schemas(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code in GOOD | CIRCUMSTANCES:
        return
    faults = response.json().get("errors", []) if response.status_code == 422 else []
    unexpected = [fault for fault in faults if not any(re.search(rule, fault["detail"]) for rule in BEYOND_SCHEMAS)]
    assert faults and not unexpected, f"{response.status_code}: valid by its schema, but refused: {unexpected or response.text}"


@schemathesis.check
def refusals_say_where(ctx, response, case):
    """Every 422 lists its faults, each with a pointer into the body or the name of a query parameter."""
    if response.status_code != 422:
        return
    faults = response.json()["errors"]
    assert faults, "a 422 without faults"
    assert all(re.fullmatch(r"(/.*)?|\?.*", fault["pointer"], re.DOTALL) and fault["detail"] for fault in faults), faults
