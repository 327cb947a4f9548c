"""`make costs`: what a million calls of each operation cost, from budgets, measurements and list prices.

Capacity units are the budgets that tests hold every operation to (tests/budgets.json); function time is what `make bench` measured
(infra/bench.json, dated); list prices and what nobody can measure here are in infra/prices.json. Operations are those of the OpenAPI
document, memory is the template's.
"""

import dataclasses
import datetime
import json
import re

import yaml

from .say import StackError
from .stack import ROOT, TEMPLATE

BUDGETS = ROOT / "tests" / "budgets.json"
PRICES = ROOT / "infra" / "prices.json"
MEASURED = ROOT / "infra" / "bench.json"
OPENAPI = ROOT / "functions" / "docs" / "openapi.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- costs: written by `make costs WRITE=1` -->", "<!-- /costs -->"
# Lambda's own.
DEFAULT_MEMORY_MB = 128
# What a budget counts beside the table, and its price.
OTHER = {"sqs": "sqs_request", "eventbridge": "eventbridge_event", "s3_put": "s3_put", "s3_get": "s3_get", "ses": "ses_message"}


class Template(yaml.SafeLoader):
    """CloudFormation's YAML: a short-form function becomes what it is applied to."""


def plain(loader, _tag, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node)


Template.add_multi_constructor("!", plain)


@dataclasses.dataclass(frozen=True)
class Function:
    name: str
    memory_gb: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the price list: for a million."""

    name: str
    text: str
    milliseconds: float
    estimated: bool
    read: float
    write: float
    gateway: float
    compute: float
    table: float
    other: float
    logs: float

    @property
    def total(self) -> float:
        return self.gateway + self.compute + self.table + self.other + self.logs


def load(path):
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise StackError(f"{path.relative_to(ROOT)} is missing.") from error


class Costs:
    def __init__(self, budgets=None, prices=None, measured=None, document=None, template=None):
        self.budgets = budgets or load(BUDGETS)
        self.prices = prices or load(PRICES)
        self.measured = measured or load(MEASURED)
        self.document = document or load(OPENAPI)
        self.resources = (template or yaml.load(TEMPLATE.read_text(), Template))
        self.functions = self.deployed()
        self.routes = self.routed()

    def deployed(self) -> dict[str, Function]:
        """By logical id."""
        default = self.resources.get("Globals", {}).get("Function", {}).get("MemorySize", DEFAULT_MEMORY_MB)
        found = {}
        for logical, resource in self.resources["Resources"].items():
            if resource["Type"] == "AWS::Serverless::Function":
                properties = resource["Properties"]
                name = properties["FunctionName"].removeprefix("${AWS::StackName}-")
                found[logical] = Function(name, properties.get("MemorySize", default) / 1024)
        return found

    def routed(self) -> list[tuple[str, Function]]:
        """Path prefixes of the gateway, the longest first."""
        found = []
        for resource in self.resources["Resources"].values():
            if resource["Type"] == "AWS::ApiGatewayV2::Route":
                properties = resource["Properties"]
                integration = re.search(r"\$\{(\w+)\}", properties["Target"])[1]
                uri = self.resources["Resources"][integration]["Properties"]["IntegrationUri"]
                path = properties["RouteKey"].split(" ", 1)[1].removesuffix("/{proxy+}")
                found.append((path, self.functions[uri.removesuffix(".Arn")]))
        return sorted(found, key=lambda route: -len(route[0]))

    def function_of(self, path: str) -> Function:
        for prefix, function in self.routes:
            if path == prefix or path.startswith(prefix + "/"):
                return function
        raise StackError(f"{path} has no route in the template.")

    # ---------------------------------------------------------------- function time

    def times(self) -> dict[str, float]:
        """Median milliseconds by `METHOD /path`."""
        return {re.split(r"[?,]", row["event"])[0].strip(): row["median_ms"] for row in self.measured["requests"]}

    def request_ms(self, method: str, path: str) -> tuple[float, bool]:
        """As measured; of an operation that is not, that of one like it: the slowest that reads, or writes."""
        times = self.times()
        if f"{method} {path}" in times:
            return times[f"{method} {path}"], False
        reading = method == "GET"
        alike = [time for event, time in times.items() if event.startswith("GET " if reading else "POST ") and "import" not in event]
        if not alike:
            raise StackError("infra/bench.json has no requests: run make bench BENCH='requests --json infra/bench.json'.")
        return max(alike), True

    def step_ms(self, function: str) -> tuple[float, bool]:
        """For one of what the worker was measured with: `import-worker, 20 rows`."""
        assumed = self.prices["assumed"]["function_ms"]
        for row in self.measured["requests"]:
            batch = re.fullmatch(rf"{re.escape(function)}, (\d+) .*", row["event"])
            if batch:
                return row["median_ms"] / int(batch[1]), False
        if function not in assumed:
            raise StackError(f"infra/prices.json assumes no function_ms for {function}, and make bench measured none.")
        return assumed[function], True

    # ---------------------------------------------------------------- rows

    def row(self, name, text, function, milliseconds, estimated, budget, gateway=0.0) -> Row:
        """Of one call, or of one of the `share` things that an invocation does."""
        price, assumed, share = self.prices["per_million"], self.prices["assumed"], budget.get("share", 1)
        seconds = (milliseconds * share + budget.get("network_ms", assumed["network_ms"])) / 1000
        read, write = budget["read"], budget["write"] + budget.get("unseen_write", 0)
        return Row(
            name, text, milliseconds, estimated, read, write, gateway,
            compute=(price["lambda_request"] + seconds * function.memory_gb * price["lambda_gb_second"]) / share,
            table=read * price["dynamodb_read_unit"] + write * price["dynamodb_write_unit"],
            other=sum(budget.get(what, 0) * price[priced] for what, priced in OTHER.items()),
            logs=assumed["log_bytes"] / 1e3 * self.prices["log_gb"] / share,
        )

    def operations(self) -> list[Row]:
        rows = []
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                name = operation["operationId"]
                if name not in self.budgets["operations"]:
                    raise StackError(f"{name} has no budget in tests/budgets.json.")
                milliseconds, estimated = self.request_ms(method.upper(), path)
                rows.append(self.row(name, f"`{method.upper()} {path}`", self.function_of(path), milliseconds, estimated,
                                     self.budgets["operations"][name], gateway=self.prices["per_million"]["api_gateway_request"]))
        return rows

    def steps(self) -> list[Row]:
        by_name = {function.name: function for function in self.functions.values()}
        rows = []
        for name, budget in self.budgets["workers"].items():
            function = budget["function"]
            milliseconds, estimated = self.step_ms(function)
            rows.append(self.row(name, f"{function}: {budget['text']}", by_name[function], milliseconds, estimated, budget))
        return rows

    # ---------------------------------------------------------------- print

    def table(self, heading: str, rows: list[Row]) -> list[str]:
        lines = [f"| {heading} | ms | read | write | gateway | Lambda | table | other | logs | USD |",
                 "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
        for row in rows:
            time = f"{'~' if row.estimated else ''}{row.milliseconds:.1f}"
            money = " | ".join(f"{amount:.2f}" if amount else "" for amount in (row.gateway, row.compute, row.table, row.other, row.logs))
            lines.append(f"| {row.text} | {time} | {units(row.read)} | {units(row.write)} | {money} | **{row.total:.2f}** |")
        return lines

    def text(self) -> str:
        assumed = self.prices["assumed"]
        day = datetime.datetime.fromtimestamp(self.measured["measured_at"], datetime.timezone.utc).date()
        lines = [f"USD for a million, at the {self.prices['region']} list prices of {self.prices['date']}, free tiers not counted.", ""]
        lines += self.table("operation", self.operations())
        lines += ["", *self.table("step of a worker", self.steps()), ""]
        busy = "; other programs ran beside it, so it is too high" if self.measured["machine"]["busy_before"] > 0.2 else ""
        lines += [f"ms: the function's own time, measured on {day} ({self.measured['machine']['cpu']}{busy}); ~ is that of the slowest operation",
                  f"alike, or an assumption. To it {assumed['network_ms']} ms of waiting for AWS are added. read, write: DynamoDB's capacity units. Other: SQS, EventBridge, S3, SES. Logs:",
                  f"{assumed['log_bytes']} bytes an invocation. An operation's price does not hold what follows from its events: add the steps.",
                  "Lists are of 20 entries, batches and the import of ten records."]
        return "\n".join(lines)


def units(number: float) -> str:
    return f"{number:g}" if number else ""


def in_readme(text: str) -> str:
    """What the README says between the marks."""
    match = re.search(f"{re.escape(BEGIN)}\n(.*)\n{re.escape(END)}", text, flags=re.DOTALL)
    if not match:
        raise StackError("README.md lacks the marks that the price list goes between.")
    return match[1]


def write_readme() -> None:
    text = README.read_text()
    README.write_text(text.replace(in_readme(text), Costs().text()))
