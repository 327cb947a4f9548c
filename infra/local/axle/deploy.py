"""`sam deploy` of the real template onto a stack's MiniStack."""

import os
import re
import subprocess

from . import build
from .say import StackError, note, step
from .stack import ROOT, TEMPLATE, VENV, Stack, architecture

SENDER = "sales@axle.example"
# Where agents' models are asked that speak OpenAI's protocol: Ollama's own port unless the environment says otherwise.
OPENAI_URL = "http://127.0.0.1:11434/v1"


def parameters(stack: Stack) -> dict[str, str]:
    """What differs from production: outbound calls may reach this machine, and failures recover in seconds."""
    return {
        "BaseUrl": stack.base_url,
        "SenderAddress": SENDER,
        "Architecture": architecture(),
        "AllowLocalNetwork": "true",
        "WebhookRetryScale": "0.01",
        "Recovery": "fast",
        "OpenAiUrl": os.environ.get("AXLE_OPENAI_URL", OPENAI_URL),
    }


def deploy(stack: Stack) -> None:
    """Creates the stack, or updates it in place; does nothing when what runs is what would be deployed."""
    stamp = stack.state_dir / "deployed"
    digest = build.digest(parameters(stack))
    if stamp.is_file() and stamp.read_text() == digest:
        note("==> Nothing to deploy: template and functions are as they run")
        return
    stamp.unlink(missing_ok=True)
    command = [
        str(VENV / "bin" / "sam"), "deploy",
        "--template-file", str(TEMPLATE),
        "--config-file", str(ROOT / "samconfig.toml"),
        "--config-env", "local",
        "--stack-name", stack.name,
        "--region", "us-east-1",
        "--parameter-overrides", *[f"{name}={value}" for name, value in parameters(stack).items()],
    ]
    with step(f"Deploying {stack.name} with sam deploy"):
        with open(stack.deploy_log_path, "w") as log:
            done = subprocess.run(command, cwd=ROOT, env=stack.client_environment(),
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            reason = failure_reason(stack.deploy_log_path.read_text())
            raise StackError(f"The deployment failed: {reason} (all of it in {stack.deploy_log_path}).")
    verify_sender(stack)
    stamp.write_text(digest)


def verify_sender(stack: Stack) -> None:
    """SES sends only from verified addresses; on AWS its owner follows a link, here it is taken at its word."""
    ses = stack.client("ses")
    ses.verify_email_identity(EmailAddress=SENDER)


def failure_reason(log: str) -> str:
    """Why, from sam's output: the first resource that failed, else the error it ended with."""
    reason = first_failed_resource(log)
    if not reason:
        errors = re.findall(r"^Error: *(.+)$", log, flags=re.MULTILINE)
        lines = [line for line in log.splitlines() if line.strip()]
        reason = errors[-1] if errors else (lines[-1] if lines else "sam said nothing")
    return reason.strip().rstrip(".")


def first_failed_resource(log: str) -> str | None:
    """Reads sam's table of events, whose cells run over several lines in columns of a fixed width."""
    header = re.search(r"^ResourceStatus +ResourceType +LogicalResourceId +ResourceStatusReason", log, flags=re.MULTILINE)
    if not header:
        return None
    starts = [header.group().index(name) for name in ("ResourceStatus", "ResourceType", "LogicalResourceId", "ResourceStatusReason")]
    row = None
    for line in log[header.end():].splitlines():
        cells = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None])]
        if row and not cells[0]:
            row = [f"{old}{'' if index < 3 else ' '}{new}" for index, (old, new) in enumerate(zip(row, cells))]
        elif row:
            break
        elif cells[0] in ("CREATE_FAILED", "UPDATE_FAILED"):
            row = cells
    return f"{row[2]} ({row[1]}): {' '.join(row[3].split())}" if row else None


def outputs(stack: Stack) -> dict[str, str]:
    """The deployed stack's outputs by name."""
    described = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
