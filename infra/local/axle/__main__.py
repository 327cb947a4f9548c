"""The commands behind the Makefile: `python -m axle up|down|logs|key|build|costs|test`."""

import argparse
import json
import os
import signal
import sys

import botocore.exceptions
import requests

from . import build, check, costs, logs, tenant, up
from .say import StackError, line
from .stack import local_stack


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="axle")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="create or update the local stack")
    start.add_argument("--no-demo", action="store_true", help="skip the demonstration")
    commands.add_parser("down", help="stop it")
    follow = commands.add_parser("logs", help="follow the functions' logs")
    follow.add_argument("--function", default=os.environ.get("FUNCTION"), help="of this function only, such as leads")
    key = commands.add_parser("key", help="create an API key; options default to the variables of the same name")
    key.add_argument("--name", default=os.environ.get("NAME") or "key")
    key.add_argument("--scopes", default=os.environ.get("SCOPES") or "*", help="separated by commas")
    key.add_argument("--plan", default=os.environ.get("PLAN") or "self_service")
    key.add_argument("--limits", default=os.environ.get("LIMITS") or "{}", help="JSON object")
    key.add_argument("--entity", default=os.environ.get("ENTITY"), help="an entity's id, or new; default: the demo tenant")
    binaries = commands.add_parser("build", help="release binaries for AWS")
    binaries.add_argument("--arch", default=os.environ.get("ARCH") or "arm64", choices=["arm64", "x86_64"])
    binaries.add_argument("--bench", action="store_true", help="for this machine, to be measured, into target/bench")
    prices = commands.add_parser("costs", help="what a million calls of each operation cost")
    prices.add_argument("--write", action="store_true", default=bool(os.environ.get("WRITE")), help="into README.md")
    commands.add_parser("test", help="everything that has to pass")
    return parser.parse_args()


def create_key(options: argparse.Namespace) -> None:
    stack = running_stack()
    facts = up.require_running(stack)
    try:
        limits = json.loads(options.limits)
    except json.JSONDecodeError as error:
        raise StackError(f"LIMITS is not JSON ({error}): write LIMITS='{{\"leads\": 100}}'.") from error
    scopes = [scope.strip() for scope in options.scopes.split(",") if scope.strip()]
    created = tenant.create_key(stack, entity=options.entity or facts["entity_id"], name=options.name, scopes=scopes,
                                plan=options.plan, limits=limits)
    line(json.dumps({name: created.get(name) for name in ("api_key", "key_id", "entity_id")}))


def running_stack():
    """The stack of `make up` on the port it really has, whatever AXLE_PORT says by now."""
    known = local_stack().read_json() or {}
    port = known.get("endpoint_url", "").rpartition(":")[2]
    return local_stack(int(port) if port.isdigit() else None)


def run(options: argparse.Namespace) -> int:
    if options.command == "up":
        up.up(local_stack(), demonstrate=not options.no_demo)
    elif options.command == "down":
        up.down(running_stack())
    elif options.command == "logs":
        stack = running_stack()
        up.require_running(stack)
        logs.follow(stack, options.function)
    elif options.command == "key":
        create_key(options)
    elif options.command == "build":
        build.build_for_bench() if options.bench else build.build_for_aws(options.arch)
    elif options.command == "costs":
        costs.write_readme() if options.write else line(costs.Costs().text())
    elif options.command == "test":
        return check.run()
    return 0


def main() -> int:
    # So that `with` blocks and `finally` clauses run: a terminated command cleans up like an interrupted one.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        return run(arguments())
    except StackError as error:
        print(f"axle: {error}", file=sys.stderr)
        return 1
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, requests.RequestException) as error:
        print(f"axle: The stack does not answer as it should ({error}): see .local/up/ministack.log, or try 'make down' and 'make up'.",
              file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
