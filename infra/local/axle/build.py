"""Building all functions in one go, for this machine's processor."""

import hashlib
import os
import pathlib
import subprocess

from .say import StackError, note, step
from .stack import LAMBDA_DIR, MONITORING, ROOT, TEMPLATE, VENV

# Built only as the benchmark's baseline; never deployed.
BASELINE = "noop"


def functions() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")
                  if path.parent.name != BASELINE)


def bootstrap(function: str) -> pathlib.Path:
    return LAMBDA_DIR / function / "bootstrap"


def build() -> None:
    """For the local stack: quick to compile, for this machine's processor. AXLE_SKIP_BUILD=1 takes what is there."""
    if os.environ.get("AXLE_SKIP_BUILD"):
        note("==> AXLE_SKIP_BUILD is set: the functions in target/lambda are taken as they are")
    else:
        cargo_lambda(functions(), LAMBDA_DIR, "--profile", "local")
    for name in functions():
        if not bootstrap(name).is_file():
            raise StackError(f"There is no {bootstrap(name).relative_to(ROOT)}: is functions/{name} a binary of that name?")


def build_for_aws(arch: str) -> None:
    """Release binaries where the template's CodeUri looks; `arch` is the template's word for the processor."""
    cargo_lambda(functions(), LAMBDA_DIR, "--release", {"arm64": "--arm64", "x86_64": "--x86-64"}[arch])


def build_for_bench() -> None:
    """Release binaries for this machine, the baseline included, beside those that the local stack deploys."""
    cargo_lambda([*functions(), BASELINE], ROOT / "target" / "bench", "--release")


def cargo_lambda(names: list[str], lambda_dir: pathlib.Path, *options: str) -> None:
    """One cargo call for all functions, so what they share is compiled once. Seconds when nothing changed."""
    command = ["cargo", "lambda", "build", "--lambda-dir", str(lambda_dir), *options]
    for name in names:
        command += ["--package", name]
    environment = os.environ | {
        "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # Its noise source costs every cold start some 50 ms; the kernel's generator is enough.
        "AWS_LC_SYS_NO_JITTER_ENTROPY": "1",
    }
    with step(f"Building {len(names)} functions (the first time takes minutes)"):
        if subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL).returncode != 0:
            raise StackError("The functions do not build: the compiler's words are above.")


def digest(parameters: dict[str, str]) -> str:
    """Changes whenever a deployment would: with the template, the one nested in it, a parameter or a binary."""
    sha = hashlib.sha256(repr(sorted(parameters.items())).encode())
    for path in [TEMPLATE, MONITORING, *map(bootstrap, functions())]:
        sha.update(path.name.encode())
        with open(path, "rb") as file:
            sha.update(hashlib.file_digest(file, "sha256").digest() if hasattr(hashlib, "file_digest")
                       else hashlib.sha256(file.read()).digest())
    return sha.hexdigest()
