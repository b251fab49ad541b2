#!/usr/bin/env bash
# Builds the wheel, installs it into an empty virtual environment, and runs its tests there.
#
#   test.sh                    with what the wheel needs alone: tests that need more are skipped, loudly
#   test.sh torch optuna ...   with these packages beside it
#
# PYTHON is the interpreter (python3), BOMF_WHEELS the folder that the wheel stays in (a temporary
# one), CARGO_TARGET_DIR where Rust builds (target/ of the repository).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
wheels=${BOMF_WHEELS:-$scratch/wheels}
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../../target}"

echo "== an environment to build in"
"$python" -m venv "$scratch/build"
"$scratch/build/bin/python" -m pip install --quiet --disable-pip-version-check 'maturin>=1.8,<2'

echo "== the wheel"
(cd "$here" && "$scratch/build/bin/maturin" build --release --locked --interpreter "$python" --out "$wheels")
wheel=$(ls -t "$wheels"/bomf-*.whl | head -1)
echo "$(basename "$wheel"): $(($(wc -c <"$wheel") / 1000)) kB"

echo "== an environment to test in"
"$python" -m venv "$scratch/test"
"$scratch/test/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel" pytest "$@"

# Away from the sources, so that what is tested is what was installed.
mkdir "$scratch/package"
cp -r "$here/tests" "$here/examples" "$here/README.md" "$here/pyproject.toml" "$scratch/package"
cd "$scratch/package"
for name in torch transformers peft trl optuna; do
  "$scratch/test/bin/python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('$name') is None)" ||
    printf '******** SKIPPED: the tests that need %s, which is not installed ********\n' "$name"
done
echo "== the tests"
"$scratch/test/bin/python" -m pytest -q -rs

echo "== the types"
if "$scratch/test/bin/python" -m pip install --quiet --disable-pip-version-check 'mypy>=1.11'; then
  # Of the sources by their own configuration, and of the stub against the extension that was built.
  (cd "$here" && "$scratch/test/bin/python" -m mypy --cache-dir "$scratch/mypy")
  "$scratch/test/bin/python" -m mypy.stubtest bomf._bomf
else
  echo "******** SKIPPED: the types, because mypy cannot be installed ********"
fi
