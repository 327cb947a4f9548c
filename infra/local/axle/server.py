"""Starting and stopping the MiniStack process of a stack."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from .say import StackError, note, step
from .stack import Stack

START_SECONDS = 60
STOP_SECONDS = 10


def running_pid(stack: Stack) -> int | None:
    """The process id of the stack's MiniStack while it runs: the one that holds the lock."""
    try:
        with open(stack.state_dir / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        try:
            return int((stack.state_dir / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None  # between taking the lock and writing the id: not up yet


def port_is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    # Where a wildcard listener does not stand in the way of a bind (macOS), it still answers.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(stack: Stack) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{stack.endpoint_url}/_ministack/health", timeout=2) as answer:
            return bool(json.load(answer))
    except (OSError, ValueError):
        return False


def start(stack: Stack, with_parent: bool = False) -> subprocess.Popen:
    """Starts MiniStack, with an empty state, and waits until it answers."""
    if port_is_taken(stack.port):
        raise StackError(
            f"Port {stack.port} is taken by another program: stop that, or choose another port with AXLE_PORT=<port>.")
    shutil.rmtree(stack.state_dir, ignore_errors=True)
    (stack.state_dir / "tmp").mkdir(parents=True)
    with step(f"Starting MiniStack on 127.0.0.1:{stack.port}"), open(stack.log_path, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "axle.guard", str(stack.state_dir), *(["--with-parent"] if with_parent else [])],
            cwd=stack.state_dir,
            env=stack.server_environment() | {"PYTHONPATH": os.path.dirname(os.path.dirname(__file__))},
            stdin=subprocess.PIPE if with_parent else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; and one group, functions included, to end later
        )
        deadline = time.monotonic() + START_SECONDS
        while not is_healthy(stack):
            if process.poll() is not None or time.monotonic() > deadline:
                stop(stack)
                raise StackError(f"MiniStack did not start; its last words are in {stack.log_path}.")
            time.sleep(0.1)
    return process


def stop(stack: Stack) -> bool:
    """Ends MiniStack and every function process; false when it was not running."""
    pid = running_pid(stack)
    if pid is None:
        return False
    signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running_pid(stack) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    signal_group(pid, signal.SIGKILL)
    shutil.rmtree(stack.state_dir / "tmp", ignore_errors=True)
    return True


def signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def ensure(stack: Stack) -> int:
    """The process id of the stack's MiniStack, started if need be."""
    pid = running_pid(stack)
    if pid is None:
        return start(stack).pid
    known = stack.read_json() or {}
    if known.get("endpoint_url", stack.endpoint_url) != stack.endpoint_url:
        raise StackError(
            f"The stack already runs at {known['endpoint_url']}: run 'make down' first to move it to port {stack.port}.")
    if is_healthy(stack):
        note(f"==> MiniStack runs on 127.0.0.1:{stack.port} (process {pid})")
        return pid
    note("==> MiniStack no longer answers; starting it anew")
    stop(stack)
    return start(stack).pid
