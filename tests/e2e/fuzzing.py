"""What schemathesis is told of this API beyond its OpenAPI document; loaded by it as SCHEMATHESIS_HOOKS.

AXLE_FUZZ_KEY_ID is the id of the key that it calls with, AXLE_FUZZ_ENTITY_ID its tenant, AXLE_FUZZ_RECEIVER a webhook receiver
on loopback.
"""

import ast
import os
import re
import threading
import uuid

import schemathesis

# The parser of Python 3.11 counts its depth across threads (CPython's gh-106905), and Hypothesis parses in each of the fuzzer's: one at
# a time, then.
parse, one_at_a_time = ast.parse, threading.RLock()


def parse_alone(*args, **kwargs):
    with one_at_a_time:
        return parse(*args, **kwargs)


ast.parse = parse_alone

OWN_KEY = os.environ.get("AXLE_FUZZ_KEY_ID")
OWN_ENTITY = os.environ.get("AXLE_FUZZ_ENTITY_ID")
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
    elif headers is not None and re.fullmatch(r"[!-~]{1,255}", str(headers.get("Idempotency-Key", "")).strip()):
        # White space around a value is no part of it (RFC 9110, 5.5): within it is what is wrong.
        headers["Idempotency-Key"] = "two words"
    for name, value in (case.path_parameters if isinstance(case.path_parameters, dict) else {}).items():
        # Not the branch that we sit on; and nothing that the gateway cuts the path at or answers itself.
        if value == OWN_KEY or re.search(r"[\x00-\x20\x7f-\xa0/?#%]", str(value)):
            case.path_parameters[name] = "7Gk2mQ9xTb4L"
    if is_positive(case):
        if case.path.startswith("/api/crm"):
            # In the query or in the body: that it stands in one of them is nothing that a schema can say.
            case.query = {**(case.query or {}), "entityId": OWN_ENTITY}
        if isinstance(case.body, dict) and "entityId" in case.body:
            case.body["entityId"] = OWN_ENTITY
        if case.meta.phase.name.name == "STATEFUL":
            make_usable(case)
    # Nobody else's server is called: what would be a public host becomes our receiver.
    if isinstance(case.body, dict):
        if re.match(r"https?://[^/@\s]+", str(case.body.get("url") or "")):
            case.body["url"] = RECEIVER
            if is_positive(case) and case.path.startswith("/webhooks"):
                # Of a type that does not happen: each of many endpoints hearing of each of many events keeps the stack busy for long.
                case.body["event_types"] = ["compliance.alert"]
        if re.match(r"https?://", str(case.body.get("to") or "")):
            case.body["to"] = RECEIVER
        if isinstance(case.body.get("credentials"), dict) and "host" in case.body["credentials"]:
            case.body["credentials"]["host"] = "127.0.0.1"
    # In the query these are for `text/csv` only, which the document can say in words but not in its schema.
    if case.path == "/leads/import" and case.media_type != "text/csv" and is_positive(case):
        case.query = {}


def make_usable(case):
    """What later steps build on should be made, not refused for what no schema can say; the other phases try that."""
    someone = {"email": f"{uuid.uuid4().hex}@example.com"}
    if case.path == "/leads/import":
        case.query = {}
        csv = f"email,first_name\n{someone['email']},Ada\n"
        case.body = {"application/json": {"csv": csv}, "text/csv": csv}.get(case.media_type, {"file": csv})
    elif case.path.startswith("/leads") and isinstance(case.body, dict):
        for name in ("phone", "linkedin_url", "timezone", "company", "custom"):
            case.body.pop(name, None)
        case.body.update(someone)
    elif case.path.endswith("/members") and isinstance(case.body, dict):
        case.body["phone"] = f"+1415555{uuid.uuid4().int % 10_000:04}"


def is_positive(case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


# Faults in data that its schema allows, because a schema cannot say it (well).
BEYOND_SCHEMAS = [
    r"must lie in the future",
    r"must be an amount with at most six decimal places",
    r"must be before `until`, and not in the future",
    r"no (sending identity|campaign|connection) has this id|the lead has no contact to write to|the connection is of the channel",
    r"no upload has this id|has a number beyond 1e125",
    r"no (lead|contact|contact or lead|company|company membership|list|marketing list|project) has this id|cannot be cleared",
    r"cannot go with csv|is required, or else upload_id",
    r"a lead needs an e-mail address, a LinkedIn URL or a phone",
    r"is not a valid phone number|is not a valid e-mail address|is not a LinkedIn profile URL|is not an IANA time zone",
    r"is not a valid absolute URL|is not an http or https URL|is not a domain",
    r"must be `contact` or an IANA time zone|is not a language tag|must not contain line breaks",
    r"a signing secret (begins with|is whsec_|holds)",
    r"is neither an agent's id nor a role|names an agent twice",
    r"is not a JSON Schema|as a whole must have at most \d+ levels|must be builtin-1 or absent|is required for the provider|must be from 0 to 1 for",
    r"the URL (is longer|must (begin with|not contain|use port))|the host (name )?is (local|not a public)",  # of a step that calls one
    r"is neither a stage of deals nor a status of leads|is the name of a built-in agent|must be at most 1000000",
    # One part of a body against another.
    r"is required, or else (body|from_step)|cannot go with (instructions|body)|is required for (e-mail|the runtime http)|is not a part of an SMS",
    r"is not the id of an earlier draft_message step|is the id of an earlier step|is for (leads|contacts) only|the agent's playbook has no targeting",
    r"must be \d+: steps are numbered from 1 in order|is not one of the campaign's channels|is the name of an earlier variant",
    r"must be from 0 to 1: it is a share|from and to must be \d+ days at most",
    r"needs a subject; later ones|is missing; leave out the subject too|is missing, and the step has none to fall back to",
    r"min must not be greater than max|must be later than (from|starts_at)|must not be earlier than from",
    r"mapping (sends|names) (the )?column",
    r"must be a JSON object",  # a part of a form
    r"the header cannot be read",
    r"(together|as a whole)? ?must have at most \d+ bytes",
    r"a field's name must have 1 to 100 bytes",
    r"(not a CSV|no rows|is empty|no column)",
    r"line \d+",  # of a template
    # Messages: who it is to, and what goes with which channel.
    r"is needed, or one of lead_id and contact_id|(is|are) for e-mail only|people have no URL|has no address for this channel",
    r"is required for (e-mail|SMS)|is required, or (html|subject or html)|is not a part of an SMS|must be at most \d+ days ahead",
    r"must be one e-mail address|must name messages, such as|is neither an e-mail address nor a phone number",
    r"must not contain line breaks or control characters|text, html and headers together",
    r"must not be less than start|must be (absent: ses|\{(client_id|host))|is not the same as the header Idempotency-Key",
    # The CRM: one field against another, and against what the tenant has.
    r"is before startedAt|a contact needs a name, an e-mail address or a phone|belongs to the type task only|must be from 1970 to 9999",
    r"must name what can be chosen|are for the types select and multiselect|names an option twice",
    r"in the stage lost|belongs to (the stage )?lost only|is required for lost",
    r"must be a date(,| or)",
    r"is not an ISO 4217 currency code|must name a record|is the winner|is named twice|no record has this id|was merged into",
    # An enrichment API's description.
    r"is not a placeholder|must not have placeholders in its host|is not a header|goes with a POST only|must have at most 20 entries",
    r"names a provider twice|no provider has this name",
]

# Public, and good for nobody without the signature of another system, which is looked at first.
SIGNED = {"/communications/inbound/{entity_id}", "/meetings/hooks/{provider}/{entity_id}"}
GOOD = {200, 201, 202, 204, 303}
# Not the data's fault: unknown ids, limits of the credential, states, versions; methods are another check's business.
CIRCUMSTANCES = {403, 404, 405, 409, 412, 429}


def faults_of(response) -> list[dict]:
    """The faults that a refusal lists, in the form of its surface."""
    body = response.json()
    error = body.get("error")
    return body.get("errors") or body.get("details") or (error.get("details") if isinstance(error, dict) else None) or []


@schemathesis.check
def valid_data_is_accepted(ctx, response, case):
    """`positive_data_acceptance`, but for refusals that say what is wrong with the data and are beyond any schema."""
    if not is_positive(case) or response.status_code in GOOD | CIRCUMSTANCES:
        return
    if response.status_code == 401 and case.path in SIGNED:
        return
    if response.status_code == 400:
        assert re.search("cursor|ownerUserId", response.text), response.text
        return
    faults = faults_of(response) if response.status_code == 422 else []
    # What a tenant's own fields require, and the other half of an object that a patch begins.
    required = lambda fault: fault["detail"] == "is required" and (case.method == "PATCH" or fault["pointer"].startswith("/custom/"))
    # What an agent asks of its input is in its own schema.
    of_an_agent = lambda fault: fault["pointer"].startswith("/input") and re.search("agents/[^/]+/(execute|trigger)", case.formatted_path)
    unexpected = [fault for fault in faults
                  if not required(fault) and not of_an_agent(fault) and not any(re.search(rule, fault["detail"]) for rule in BEYOND_SCHEMAS)]
    assert faults and not unexpected, f"{response.status_code}: valid by its schema, but refused: {unexpected or response.text}"


@schemathesis.check
def refusals_say_where_in_the_callers_words(ctx, response, case):
    """Every 422 lists its faults, each with a pointer into the body or the name of a query parameter."""
    if response.status_code != 422:
        return
    faults = faults_of(response)
    assert faults, "a 422 without faults"
    for fault in faults:
        assert re.fullmatch(r"(/.*)?|\?.*", fault["pointer"], re.DOTALL) and fault["detail"], fault
        assert not re.search(r"missing field|unknown (field|variant)|invalid (type|value|length)|expected (u|i|f|a |struct)", fault["detail"]), fault
