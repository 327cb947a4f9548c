"""Following the functions' logs, as `sam logs --tail` does on AWS."""

import collections
import time

from .say import line, note
from .stack import Stack

# Lines appear when an invocation ends, stamped with when that was: none comes later than this.
LATE_SECONDS = 30


def follow(stack: Stack, function: str | None = None, minutes: float = 10) -> None:
    """Prints what all functions (or one) logged in the last minutes and from now on, until interrupted."""
    client = stack.client("logs")
    prefix = f"/aws/lambda/{stack.function_name(function or '')}"
    since = time.time() - minutes * 60
    shown: collections.Counter = collections.Counter()
    note(f"==> Logs of {prefix}*, the last {minutes:g} minutes and on; Ctrl-C ends this")
    while True:
        asked = time.time()
        # Events carry no id here, and equal lines may be logged in one millisecond: so they are counted.
        found: collections.Counter = collections.Counter()
        for group, event in read(client, prefix, int(since * 1000)):
            key = (group, event["timestamp"], event["message"])
            found[key] += 1
            if found[key] > shown[key]:
                at = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
                line(f"{at} {group.removeprefix('/aws/lambda/')}  {event['message'].rstrip()}")
        shown = found
        since = max(since, asked - LATE_SECONDS)
        time.sleep(1)


def read(client, prefix: str, since_ms: int):
    """(group, event) of every group with that prefix from a time on, oldest first."""
    events = []
    for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for found in client.get_paginator("filter_log_events").paginate(logGroupName=name, startTime=since_ms):
                events += [(name, event) for event in found["events"]]
    return sorted(events, key=lambda pair: pair[1]["timestamp"])
