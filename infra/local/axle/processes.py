"""Finding the processes that MiniStack runs a function in (for tests that kill them)."""

import pathlib

from .stack import Stack


def of_function(stack: Stack, crate: str) -> list[int]:
    """Process ids, told by the environment that the runtime gives a function. Linux only: elsewhere there is no /proc."""
    wanted = {f"AWS_LAMBDA_FUNCTION_NAME={stack.function_name(crate)}".encode(), f"AWS_ENDPOINT_URL={stack.endpoint_url}".encode()}
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = set(path.read_bytes().split(b"\0"))
        except OSError:
            continue  # gone, or not ours
        if wanted <= environment:
            found.append(int(path.parent.name))
    return found
