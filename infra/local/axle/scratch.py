"""A stack for one test run: own port, own state, gone afterwards whatever happens."""

import contextlib
import os
import shutil

from . import build, deploy, server, tenant
from .say import note
from .stack import LOCAL, Stack


@contextlib.contextmanager
def scratch_stack(name: str, keep_logs=lambda: False):
    """Builds, starts, deploys and seeds; yields the stack and what its stack.json says.

    Its MiniStack ends with this process even if that is killed. `keep_logs()` is asked at the end whether the logs
    are worth keeping.
    """
    remove_leftovers()
    state_dir = LOCAL / f"test-{os.getpid()}"
    stack = Stack(name, server.free_port(), state_dir, state_dir / "stack.json")
    build.build()
    process = None
    keep = True
    try:
        process = server.start(stack, with_parent=True)
        deploy.deploy(stack)
        yield stack, tenant.ensure_demo(stack, process.pid)
        keep = keep_logs()
    finally:
        server.stop(stack)
        if process is not None:
            process.stdin.close()
            process.wait()
        if keep:
            note(f"Logs of the test stack: {state_dir}")
        else:
            shutil.rmtree(state_dir, ignore_errors=True)


def remove_leftovers() -> None:
    """Logs that earlier failed runs kept: only the latest are of interest."""
    for path in LOCAL.glob("test-*"):
        if not is_alive(path.name.removeprefix("test-")):
            shutil.rmtree(path, ignore_errors=True)


def is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass
    return True
