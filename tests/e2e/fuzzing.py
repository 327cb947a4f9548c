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
    phase = case.meta.phase.data if case.meta else None
    if getattr(phase, "parameter", None) == "Authorization":
        return  # headers that a hook has touched get the credential put back in
    # Each request is a new one: the same key with another body is refused, as it should be.
    headers = case.headers
    if headers is not None and re.fullmatch(r"[!-~]{1,255}", str(headers.get("Idempotency-Key", ""))):
        headers["Idempotency-Key"] = uuid.uuid4().hex
    if isinstance(case.path_parameters, dict) and "id" in case.path_parameters:
        own = case.path_parameters["id"]
        # Not the branch that we sit on; and nothing that the gateway cuts the path at or answers itself.
        if own == OWN_KEY or re.search(r"[\x00-\x20\x7f-\xa0/?#%]", str(own)):
            case.path_parameters["id"] = "7Gk2mQ9xTb4L"
    # Nobody else's server is called: what would be a public host becomes our receiver.
    if isinstance(case.body, dict) and re.match(r"https?://[^/@\s]+", str(case.body.get("url") or "")):
        case.body["url"] = RECEIVER
        if is_positive(case):
            # Of a type that does not happen: each of many endpoints hearing of each of many events keeps the stack busy for long.
            case.body["event_types"] = ["compliance.alert"]
    # In the query these are for `text/csv` only, which the document can say in words but not in its schema.
    if case.path == "/leads/import" and case.media_type != "text/csv" and is_positive(case):
        case.query = {}


def is_positive(case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


# Faults in data that its schema allows, because a schema cannot say it (well).
BEYOND_SCHEMAS = [
    r"must lie in the future",
    r"must be before `until`, and not in the future",
    r"no (sending identity|campaign) has this id",
    r"no upload has this id",
    r"cannot go with csv|is required, or else upload_id",
    r"a lead needs an e-mail address, a LinkedIn URL or a phone",
    r"is not a valid phone number|is not a valid e-mail address|is not a LinkedIn profile URL|is not an IANA time zone",
    r"is not a valid absolute URL|is not an http or https URL|is not a domain",
    r"a field's name must have 1 to 100 bytes",
    r"(not a CSV|no rows|is empty|no column)",
    r"line \d+",  # of a template
]

GOOD = {200, 201, 202, 204, 303}
# Not the data's fault: unknown ids, limits of the credential, states, versions; methods are another check's business.
CIRCUMSTANCES = {403, 404, 405, 409, 412, 429}


@schemathesis.check
def valid_data_is_accepted(ctx, response, case):
    """`positive_data_acceptance`, but for refusals that say what is wrong with the data and are beyond any schema."""
    if not is_positive(case) or response.status_code in GOOD | CIRCUMSTANCES:
        return
    problem = response.json()
    if response.status_code == 400:
        assert "cursor" in problem["detail"], response.text
        return
    faults = problem.get("errors", []) if response.status_code == 422 else []
    unexpected = [fault for fault in faults if not any(re.search(rule, fault["detail"]) for rule in BEYOND_SCHEMAS)]
    assert faults and not unexpected, f"{response.status_code}: valid by its schema, but refused: {unexpected or response.text}"


@schemathesis.check
def refusals_say_where_in_the_callers_words(ctx, response, case):
    """Every 422 lists its faults, each with a pointer into the body or the name of a query parameter."""
    if response.status_code != 422:
        return
    faults = response.json()["errors"]
    assert faults, "a 422 without faults"
    for fault in faults:
        assert re.fullmatch(r"(/.*)?|\?.*", fault["pointer"], re.DOTALL) and fault["detail"], fault
        assert not re.search(r"missing field|unknown (field|variant)|invalid (type|value|length)|expected (u|i|f|a |struct)", fault["detail"]), fault
