#!/usr/bin/env bash
# Make the virtual environment and install a lock file and this project into it. Called by the Makefile.
#   PYTHON=python3 VENV=.venv scripts/install.sh LOCKFILE
# Every package is checked against the lock file's hashes. Where packages come from is the user's own pip configuration.
set -euo pipefail

lock=$1
python=${PYTHON:-python3}
venv=${VENV:-.venv}

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

command -v "$python" >/dev/null || die "there is no $python here." \
  "Install Python 3.11 or newer (Debian: apt-get install python3 python3-venv), or name yours: make demo PYTHON=python3.12"

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || die "$python does not run."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Toban needs Python 3.11 or newer; $python is $version." \
  "If another one is installed, name it: make demo PYTHON=python3.12"

if [ -e "$venv" ]; then
  found=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
  if [ "$found" = none ] || { [ "$found" != "$version" ] && [ "$python" != python3 ]; }; then
    [ -e "$venv/pyvenv.cfg" ] || die "$venv exists and is not a virtual environment; move it away or set VENV=another-folder."
    echo "making $venv anew with Python $version (it had: $found)" >&2
    rm -rf "$venv"
  fi
fi

if [ ! -e "$venv/bin/python" ]; then
  # Debian splits `venv` off: the module is there, what it needs is not.
  "$python" -c 'import venv, ensurepip' 2>/dev/null || die "$python cannot make virtual environments." \
    "On Debian and Ubuntu: apt-get install python$version-venv"
  echo "making a virtual environment in $venv with Python $version" >&2
  "$python" -m venv "$venv"
fi

# `user = true` in a person's pip configuration would contradict a virtual environment.
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

echo "installing $lock (a minute the first time)" >&2
"$venv/bin/python" -m pip install -qq --require-hashes --requirement "$lock" || die \
  "the packages of $lock could not be installed; pip's own words are above." \
  "Without a way to a package index nothing can be fetched; behind a proxy or mirror, tell pip with its own configuration."
"$venv/bin/python" -m pip install -qq --no-index --no-deps --no-build-isolation --editable . || die \
  "Toban itself could not be installed into $venv; pip's own words are above."
