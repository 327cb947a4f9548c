"""The OpenAPI document is what the deployed API does: schemathesis tries both against each other (see fuzzing.py).

To look into a failure, run what it prints under "Reproduce with". The fuzzer is given a time, of which every operation gets its
share, and tries the same cases in the same order each time; AXLE_FUZZ_SECONDS=600 tries more, AXLE_FUZZ_SEED=7 tries others.
"""

import os
import pathlib
import re
import subprocess

from axle.stack import VENV
from conftest import Receiver
from leadfiles import pages

SECONDS = int(os.environ.get("AXLE_FUZZ_SECONDS", 150))
HERE = pathlib.Path(__file__).parent
CONFIG = """
[checks.positive_data_acceptance]
enabled = false  # fuzzing.valid_data_is_accepted knows which refusals are beyond any schema

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, "5xx"]

# As many cases as the POST has, and the same schema but for what is required.
[[operations]]
include-name = "PATCH /campaigns/{id}"
phases.coverage.enabled = false

[[operations]]
include-name = "PATCH /v1/agents/{id}"
phases.coverage.enabled = false
"""


def test_the_document_and_its_page_are_public(connect, api):
    anonymous = connect(None)
    document = anonymous.get("/openapi.json")
    assert document.status_code == 200 and document.headers["content-type"] == "application/json"
    assert document.json()["openapi"].startswith("3.1")
    page = anonymous.get("/docs")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "POST" in page.text or "post" in page.text
    for path in document.json()["paths"]:
        assert path in page.text, f"{path} is not on the page"
    assert "<script" not in page.text and "src=" not in page.text, "readable without JavaScript and other hosts"


def test_schemathesis(stack, connect, make_key, tmp_path):
    key, receiver = make_key(), Receiver()
    config = tmp_path / "schemathesis.toml"
    # The key goes by the environment, so that it is in no process list and no report.
    config.write_text('headers = { Authorization = "Bearer ${AXLE_FUZZ_KEY}" }\n' + CONFIG)
    environment = os.environ | {"PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "fuzzing", "AXLE_FUZZ_KEY": key["api_key"],
                                "AXLE_FUZZ_KEY_ID": key["key_id"], "AXLE_FUZZ_ENTITY_ID": key["entity_id"],
                                "AXLE_FUZZ_RECEIVER": receiver.url, "NO_PROXY": "127.0.0.1"}
    seed = os.environ.get("AXLE_FUZZ_SEED")
    command = [str(VENV / "bin" / "schemathesis"), "--config-file", str(config), "run", f"{stack.base_url}/openapi.json",
               "--url", stack.base_url, "--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(SECONDS),
               "--max-examples", "10", "--workers", "2", *(["--seed", seed] if seed else ["--generation-deterministic"]),
               "--continue-on-failure", "--suppress-health-check", "all", "--no-color"]
    try:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS + 60,
                              stdin=subprocess.DEVNULL)
    finally:
        receiver.close()
        tenant = connect(key["api_key"])
        for webhook in pages(tenant, "/webhooks", "webhooks"):
            tenant.delete(f"/webhooks/{webhook['id']}")
    said = done.stdout[done.stdout.find("= FAILURES ="):] if "= FAILURES =" in done.stdout else done.stdout + done.stderr
    assert done.returncode == 0, said
    selected, tested = re.search(r"Selected: (\d+)/\d+\s+Tested: (\d+)", done.stdout).groups()
    assert selected == tested, f"operations that were not tried in {SECONDS} s: {done.stdout}"
    assert int(re.search(r"(\d+) generated", done.stdout).group(1)) > 100, done.stdout
