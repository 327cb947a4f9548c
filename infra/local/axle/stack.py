"""One local stack: where it lives, how it is reached, and the environment that its tools run in."""

import dataclasses
import json
import os
import pathlib
import platform

ROOT = pathlib.Path(__file__).resolve().parents[3]
VENV = ROOT / ".local" / "venv"
# Where stacks keep their state. With an AXLE_LOCAL and an AXLE_PORT of its own, a second stack runs beside the first.
LOCAL = pathlib.Path(os.environ.get("AXLE_LOCAL") or ROOT / ".local").resolve()
TEMPLATE = ROOT / "template.yaml"
# Nested in it.
MONITORING = ROOT / "infra" / "monitoring.yaml"
LAMBDA_DIR = ROOT / "target" / "lambda"
REGION = "us-east-1"

# Passed on to MiniStack and so to the functions, which inherit its environment. Nothing else of the user's shell may get
# there: a stray AWS_PROFILE or proxy would make a local run differ from machine to machine.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclasses.dataclass(frozen=True)
class Stack:
    """`state_dir` holds everything the stack writes, logs and the emulator's temporary files included."""

    name: str
    port: int
    state_dir: pathlib.Path
    json_path: pathlib.Path

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.endpoint_url}/_aws/execute-api/axle/$default"

    @property
    def log_path(self) -> pathlib.Path:
        return self.state_dir / "ministack.log"

    @property
    def deploy_log_path(self) -> pathlib.Path:
        return self.state_dir / "deploy.log"

    def function_name(self, crate: str) -> str:
        return f"{self.name}-{crate}"

    def server_environment(self) -> dict[str, str]:
        """For MiniStack: loopback only, IAM enforced, everything it writes under the state directory."""
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return environment | self.credentials() | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",
            "TMPDIR": str(self.state_dir / "tmp"),
            "STATE_DIR": str(self.state_dir / "state"),
            "S3_DATA_DIR": str(self.state_dir / "s3"),
            # Listeners of services that Axle does not use; MiniStack would open them on every interface.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PYTHONUNBUFFERED": "1",
        }

    def client_environment(self) -> dict[str, str]:
        """For `sam` and other AWS tools: they can reach this stack only, never an account that the user is logged in to."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return environment | self.credentials() | {
            "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "SAM_CLI_TELEMETRY": "0",
        }

    def credentials(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, **config):
        """A boto3 client with the root credentials of this stack."""
        import boto3
        import botocore.config

        # A session of its own: the user's AWS_* variables and profiles play no part.
        session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        settings = botocore.config.Config(proxies={}, s3={"addressing_style": "path"}, **config)
        return session.client(service, endpoint_url=self.endpoint_url, config=settings)

    def read_json(self) -> dict | None:
        try:
            return json.loads(self.json_path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def write_json(self, api_key: str, entity_id: str, pid: int) -> None:
        facts = {
            "base_url": self.base_url,
            "endpoint_url": self.endpoint_url,
            "api_key": api_key,
            "entity_id": entity_id,
            "stack_name": self.name,
            "pid": pid,
        }
        partial = self.json_path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(facts, indent=2) + "\n")
        partial.replace(self.json_path)


def local_stack(port: int | None = None) -> Stack:
    """The stack of `make up`; its port is `AXLE_PORT`, by default MiniStack's own."""
    return Stack("axle-local", port or wanted_port(), LOCAL / "up", LOCAL / "stack.json")


def wanted_port() -> int:
    from .say import StackError

    text = os.environ.get("AXLE_PORT") or "4566"
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise StackError(f"AXLE_PORT is {text!r}, which is not a port number from 1 to 65535.")
    return int(text)


def architecture() -> str:
    """The template's name for this machine's processor, which is what the functions are built for here."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
