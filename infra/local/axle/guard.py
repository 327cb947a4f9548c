"""Runs MiniStack in this process and keeps its promises: `python -m axle.guard STATE_DIR [--with-parent]`.

A lock on STATE_DIR/lock is held for as long as it runs, so "is it running?" needs no trust in a process id. With
`--with-parent` everything ends when standard input closes, so a test run that is killed, however hard, leaves nothing.
"""

import fcntl
import os
import pathlib
import signal
import sys
import threading


def end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    state_dir = pathlib.Path(sys.argv[1])
    lock = open(state_dir / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (state_dir / "pid").write_text(str(os.getpid()))
    if "--with-parent" in sys.argv[2:]:
        threading.Thread(target=end_with_parent, daemon=True).start()

    sys.argv = ["ministack"]
    from ministack.app import main as serve

    serve()


if __name__ == "__main__":
    main()
