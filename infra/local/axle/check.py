"""`make test`: everything that has to pass, in the order in which failures are cheapest to find."""

import os
import shutil
import signal
import subprocess
import sys
import time

from . import build
from .say import StackError, note
from .stack import MONITORING, REGION, ROOT, TEMPLATE, VENV

CLEANUP_SECONDS = 20


def cargo_tests() -> list[str]:
    if subprocess.run(["cargo", "nextest", "--version"], capture_output=True, cwd=ROOT).returncode == 0:
        return ["cargo", "nextest", "run", "--workspace"]
    return ["cargo", "test", "--workspace"]


def steps() -> list[tuple[str, object]]:
    sam = str(VENV / "bin" / "sam")
    planned = [
        ("formatting", ["cargo", "fmt", "--all", "--check"]),
        ("lints", ["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ("unit and integration tests", cargo_tests()),
        *[(f"template {path.name}", [sam, "validate", "--lint", "--template", str(path), "--region", REGION])
          for path in (TEMPLATE, MONITORING)],
        ("functions", build.build),
        ("end-to-end tests", [sys.executable, "-m", "pytest", "tests/e2e", "-ra", "--durations=10"]),
    ]
    if shutil.which("cargo-deny"):
        planned.insert(3, ("licences and sources", ["cargo", "deny", "check", "licenses", "bans", "sources"]))
    return planned


def run() -> int:
    """Runs the steps until one fails; prints how long each took either way. Answers the exit status."""
    took: list[tuple[str, float, str]] = []
    status = 0
    for name, work in steps():
        note(f"\n==> {name}")
        started = time.monotonic()
        status = run_step(work)
        took.append((name, time.monotonic() - started, "ok" if status == 0 else "FAILED"))
        if status:
            break
    note("")
    for name, seconds, outcome in took:
        note(f"{seconds:8.1f} s  {outcome:6}  {name}")
    return status


def run_step(work) -> int:
    if callable(work):
        try:
            work()
        except StackError as error:
            note(f"axle: {error}")
            return 1
        return 0
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0"}
    process = subprocess.Popen(work, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except BaseException as reason:
        # Ctrl-C reached the step as well; a termination of ours did not. An end-to-end run then stops its stack.
        if not isinstance(reason, KeyboardInterrupt):
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=CLEANUP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        raise
