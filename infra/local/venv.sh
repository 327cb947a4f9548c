#!/bin/sh
# Checks that what a machine must bring along is there, then brings .local/venv up to infra/local/requirements.txt.
# Prints nothing when there is nothing to do. Every failure is one sentence that says what to do.
set -eu
cd "$(dirname "$0")/../.."

fail() { echo "axle: $1" >&2; exit 1; }

command -v cargo >/dev/null 2>&1 ||
    fail "Rust is missing: install it with rustup (https://rustup.rs), then run this again."
cargo --version >/dev/null 2>&1 ||
    fail "The Rust toolchain that rust-toolchain.toml asks for is not installed: run 'rustup toolchain install', then this again."

python=
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.10 or newer is missing: install it, or name it with PYTHON=/path/to/python3, then run this again."

venv=.local/venv
stamp=$venv/.requirements
if [ -x "$venv/bin/python" ] && cmp -s infra/local/requirements.txt "$stamp"; then
    exit 0
fi

mkdir -p .local
echo "==> Installing the local stack's tools into $venv (once; about a minute)"
[ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' >/dev/null 2>&1 ||
    "$python" -m venv --clear "$venv" >.local/venv.log 2>&1 ||
    fail "Python's venv module does not work (on Debian and Ubuntu: apt install python3-venv); see .local/venv.log."
"$venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-input -r infra/local/requirements.txt >.local/venv.log 2>&1 ||
    fail "The tools in infra/local/requirements.txt could not be installed; pip's words are in .local/venv.log."
cp infra/local/requirements.txt "$stamp"
