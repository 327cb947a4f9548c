"""What the commands print: steps with their durations, and failures as one sentence."""

import contextlib
import sys
import time


class StackError(Exception):
    """A failure that its message explains in one sentence, saying what the user can do."""


def line(text: str) -> None:
    print(text, flush=True)


def note(text: str) -> None:
    """Progress, on standard error: `make key` and others keep standard output for their answer."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title: str):
    """Announces a piece of work, and says how long it took once it has succeeded."""
    note(f"==> {title}")
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    if seconds >= 0.5:
        note(f"    done in {seconds:.1f} s")
