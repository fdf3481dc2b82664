#!/usr/bin/env bash
# Renew both lock files for every Python that Toban supports. Run by `make lock`.
# The developers' lock is resolved first; the other is held to it, so that both can share one virtual environment.
# UPGRADE=1 takes the newest versions, else what is locked stays where it still fits.
set -euo pipefail
cd "$(dirname "$0")/.."

upgrade=()
if [ "${UPGRADE:-}" = 1 ]; then upgrade=(--upgrade); fi

compile() {
  .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet "${upgrade[@]}" "$@" >/dev/null
}

compile --group dev --output-file requirements-dev.lock
compile --group build --constraint requirements-dev.lock --output-file requirements.lock
