"""`make up` and `make down`: the whole stack, created or updated in place."""

import contextlib
import fcntl
import os
import subprocess
import sys

from . import build, deploy, server, tenant
from .say import StackError, line, note, step
from .stack import LOCAL, ROOT, Stack


def up(stack: Stack, demonstrate: bool = True) -> None:
    with only_one():
        pid = server.ensure(stack)
        build.build()
        deploy.deploy(stack)
        facts = tenant.ensure_demo(stack, pid)
        if demonstrate:
            with step("Trying it out: infra/local/demo.py"):
                demo = subprocess.run([sys.executable, str(ROOT / "infra/local/demo.py"), str(stack.json_path)],
                                      stdin=subprocess.DEVNULL)
            if demo.returncode != 0:
                raise StackError("The stack is up, but its demonstration failed: see above, and 'make logs'.")
    line(f"""
Axle is up.
  base URL   {facts['base_url']}
  API key    {facts['api_key']}
  facts      {os.path.relpath(stack.json_path)} (the above, and more, as JSON)

Next, for example:
  curl -s '{facts['base_url']}/leads?limit=3' -H 'authorization: Bearer {facts['api_key']}'

'make logs' follows the functions, 'make key NAME=mine SCOPES=leads:read' makes a key, 'make down' stops everything.""")


def down(stack: Stack) -> None:
    with only_one():
        stopped = server.stop(stack)
        stack.json_path.unlink(missing_ok=True)
    note("==> The stack is down" if stopped else "==> The stack was not running")


def require_running(stack: Stack) -> dict:
    facts = stack.read_json()
    if server.running_pid(stack) is None or not facts:
        raise StackError("The stack is not running: start it with 'make up'.")
    return facts


@contextlib.contextmanager
def only_one():
    """Two of these at a time would undo each other's work: the second waits."""
    LOCAL.mkdir(parents=True, exist_ok=True)
    with open(LOCAL / "up.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("==> Waiting for another 'make up' or 'make down' to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
