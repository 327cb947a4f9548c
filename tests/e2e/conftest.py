"""Fixtures of the end-to-end tests: the real template and the real binaries on a MiniStack, IAM enforced.

The stack is started once a session on a free port and always torn down. While developing, reuse a running one
(`make up`, then): AXLE_STACK_JSON=.local/stack.json .local/venv/bin/python -m pytest tests/e2e -k ...
Its tenants are separate, so tests on a reused stack see only what they made.

    stack           what runs: .base_url .endpoint_url .name .pid .port .state_dir .api_key .entity_id (the demo tenant's), .outputs
                    (TableName, BucketName, BusName, ImportQueueUrl, DeliverQueueUrl, DispatchQueueUrl, ...)
    base_url, endpoint_url
    make_key        make_key(scopes=[...], plan="enterprise", limits={...}, entity=<id>|"new", name=...)
                    -> {"api_key", "key_id", "entity_id"}; the operator's direct call. Default: a key with every scope for a new tenant
    connect         connect(api_key) -> Api; connect(None) sends no credential
    api             an Api as the demo tenant, which all tests of the session share
    tenant          an Api as a tenant of its own, made for this test (api.entity_id, api.api_key)
    aws             aws("sqs") -> boto3 client with root credentials
    receiver        an HTTP server on loopback that records what it gets: see Receiver
    models          the server that the stack takes for OpenAI's: see modelserver.ModelServer
    sweep           sweep() does now what the schedule does each minute
    mailbox         an SMTP server on loopback that takes every message: see smtpserver.Mailbox
    until           until(lambda: ..., "what is awaited", seconds=30) -> the first truthy answer; fails the test after that
    secrets_seen    every secret that the API answered with so far, collected by Api
    function_logs   function_logs("leads", since=...) -> list of lines (they appear when an invocation ends)
    function_pids, kill_function    processes of a function that are alive, by crate name; kill -9 of them, answering how many

Api is a requests.Session on the base URL: api.get("/leads", params={...}), api.post("/leads", json={...}), and
api.want(201, "POST", "/leads", json={...}), which checks the status, shows the answer if it is another, and gives the JSON.
"""

import dataclasses
import http.server
import json
import os
import pathlib
import re
import signal
import sys
import threading
import time
import uuid

import pytest
import requests
import standardwebhooks.webhooks

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra" / "local"))

from axle import deploy, logs, processes, server as servers, tenant as tenants  # noqa: E402
from axle.scratch import scratch_stack  # noqa: E402
from axle.stack import Stack  # noqa: E402
from modelserver import ModelServer  # noqa: E402
from smtpserver import Mailbox  # noqa: E402


# Every secret that the API handed out in this session: none of them may turn up in a log.
SECRETS: set[str] = set()


def remember_secrets(answer: requests.Response) -> None:
    if "json" in answer.headers.get("content-type", ""):
        SECRETS.update(re.findall(r'"(?:api_key|secret)":\s*"([^"]{12,})"', answer.text))


class Api(requests.Session):
    """The HTTP API with one credential."""

    def __init__(self, base_url: str, api_key: str | None, entity_id: str | None = None):
        super().__init__()
        self.trust_env = False
        self.base_url, self.api_key, self.entity_id = base_url, api_key, entity_id
        if api_key:
            self.headers["authorization"] = f"Bearer {api_key}"

    def request(self, method, url, **options):
        options.setdefault("timeout", 60)
        options.setdefault("allow_redirects", False)
        answer = super().request(method, self.base_url + url if url.startswith("/") else url, **options)
        remember_secrets(answer)
        return answer

    def want(self, status: int, method: str, path: str, **options):
        answer = self.request(method, path, **options)
        assert answer.status_code == status, (
            f"{method} {path}: {answer.status_code} instead of {status}: {answer.text[:2000]}")
        # The local gateway calls an empty body JSON, too.
        if answer.content and "json" in answer.headers.get("content-type", ""):
            return answer.json()
        return answer.text


@dataclasses.dataclass
class Delivery:
    """One request that the receiver got. Header names are lower case."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)

    def verify(self, secret: str):
        """The event, once a verifier that is not ours has accepted signature and timestamp; raises otherwise."""
        return standardwebhooks.webhooks.Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """An HTTP server on loopback. Answers 200 until told otherwise:

    receiver.url                     its address, path included: a test's own
    receiver.answer_with(500, 503)   statuses of the next requests, in turn; after them 200 again
    receiver.respond = lambda delivery: (status, headers, body)     full control; may sleep to be slow
    receiver.deliveries              everything so far; receiver.of_type("lead.imported") by the body's type
    receiver.deliveries[0].verify(secret)   -> the event, its signature checked by the standardwebhooks package
    """

    def __init__(self):
        self.deliveries: list[Delivery] = []
        self.respond = None
        self._statuses: list[int] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, extra, answer = receiver._take(Delivery(time.time(), self.command, self.path, headers, body))
                try:
                    self.send_response(status)
                    for name, value in {"content-length": str(len(answer)), **extra}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    self.close_connection = True  # a client that gave up: the test's business, not an error here

            do_GET = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128  # workers come many at a time

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook/{uuid.uuid4().hex[:8]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def _take(self, delivery: Delivery):
        with self._lock:
            self.deliveries.append(delivery)
            status = self._statuses.pop(0) if self._statuses else 200
        if self.respond:
            return self.respond(delivery)
        return status, {"content-type": "text/plain"}, b"ok" if status == 200 else b"told to fail"

    def answer_with(self, *statuses: int) -> None:
        with self._lock:
            self._statuses = list(statuses)

    def of_type(self, event_type: str) -> list[Delivery]:
        return [delivery for delivery in list(self.deliveries) if delivery.json().get("type") == event_type]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclasses.dataclass(frozen=True)
class RunningStack:
    local: Stack
    api_key: str
    entity_id: str
    pid: int
    outputs: dict[str, str]

    base_url = property(lambda self: self.local.base_url)
    endpoint_url = property(lambda self: self.local.endpoint_url)
    name = property(lambda self: self.local.name)
    port = property(lambda self: self.local.port)
    state_dir = property(lambda self: self.local.state_dir)


def pytest_configure(config):
    config.addinivalue_line("markers", "last(order=2): runs after all other tests, and after those marked with a lower order")


def pytest_collection_modifyitems(items):
    def place(item):
        mark = item.get_closest_marker("last")
        return mark.kwargs.get("order", 2) if mark else 0

    items.sort(key=place)


@pytest.fixture(scope="session")
def stack(request):
    reused = os.environ.get("AXLE_STACK_JSON")
    if reused:
        path = pathlib.Path(reused).resolve()
        facts = json.loads(path.read_text())
        port = int(facts["endpoint_url"].rpartition(":")[2])
        state_dir = path.parent / "up" if (path.parent / "up").is_dir() else path.parent
        yield running(Stack(facts["stack_name"], port, state_dir, path), facts)
        return
    # Before the deployment: its address is a parameter of the stack.
    os.environ.setdefault("AXLE_OPENAI_URL", f"http://127.0.0.1:{servers.free_port()}/v1")
    with scratch_stack("axle-test", keep_logs=lambda: request.session.testsfailed > 0) as (local, facts):
        yield running(local, facts)


def running(local: Stack, facts: dict) -> RunningStack:
    return RunningStack(local, facts["api_key"], facts["entity_id"], facts["pid"], deploy.outputs(local))


@pytest.fixture(scope="session")
def base_url(stack):
    return stack.base_url


@pytest.fixture(scope="session")
def endpoint_url(stack):
    return stack.endpoint_url


@pytest.fixture(scope="session")
def aws(stack):
    clients = {}

    def client(service: str):
        if service not in clients:
            clients[service] = stack.local.client(service)
        return clients[service]

    return client


@pytest.fixture(scope="session")
def make_key(stack):
    def make(scopes=("*",), plan="enterprise", limits=None, entity="new", name=None, expires_at=None):
        # A test's own tenant is not what the rate limits are tried on, unless the test says so.
        wanted = tenants.DEMO_LIMITS if limits is None and plan == "enterprise" else limits
        made = tenants.create_key(stack.local, entity=entity, name=name or "e2e", scopes=list(scopes), plan=plan,
                                  limits=wanted, expires_at=expires_at)
        SECRETS.add(made["api_key"])
        return made

    return make


@pytest.fixture(scope="session")
def secrets_seen():
    return SECRETS


@pytest.fixture(scope="session")
def connect(stack):
    return lambda api_key, entity_id=None: Api(stack.base_url, api_key, entity_id)


@pytest.fixture(scope="session")
def api(stack):
    return Api(stack.base_url, stack.api_key, stack.entity_id)


@pytest.fixture
def tenant(connect, make_key):
    made = make_key()
    return connect(made["api_key"], made["entity_id"])


@pytest.fixture
def models(stack):
    url = deploy.parameters(stack.local)["OpenAiUrl"]
    port = int(url.split(":")[2].partition("/")[0])
    try:
        server = ModelServer(port)
    except OSError:
        pytest.skip(f"something else listens on {url}, which the reused stack takes for OpenAI's")
    yield server
    server.close()


@pytest.fixture
def sweep(stack, aws):
    """What the schedule does each minute, now: what is due goes on, and whoever was held by a killed worker once the claim has run out."""
    def now():
        answer = aws("lambda").invoke(FunctionName=stack.local.function_name("scheduler"), Payload=json.dumps({"sweep": "due"}))
        assert "FunctionError" not in answer, answer["Payload"].read()
    return now


@pytest.fixture
def mailbox():
    with Mailbox() as server:
        yield server


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.close()


@pytest.fixture(scope="session")
def until():
    def poll(check, what: str, seconds: float = 30, every: float = 0.1):
        deadline = time.monotonic() + seconds
        while True:
            found = check()
            if found:
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {seconds:g} s; last seen: {found!r}")
            time.sleep(every)

    return poll


@pytest.fixture(scope="session")
def function_logs(stack, aws):
    def read(function: str = "", since: float = 0) -> list[str]:
        prefix = f"/aws/lambda/{stack.local.function_name(function)}"
        return [event["message"] for _, event in logs.read(aws("logs"), prefix, int(since * 1000))]

    return read


@pytest.fixture(scope="session")
def function_pids(stack):
    return lambda function: processes.of_function(stack.local, function)


@pytest.fixture(scope="session")
def kill_function(function_pids):
    def kill(function: str) -> int:
        killed = 0
        for pid in function_pids(function):
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        return killed

    return kill
