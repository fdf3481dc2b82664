#!/usr/bin/env bash
# The real servers and tools that tests talk to: a Prometheus, an Alertmanager, a browser, npm. Run by `make servers`.
# As root it installs what is missing; as anyone else it says which command to run. Nothing is started here.
set -euo pipefail

wanted=(
  "prometheus:prometheus"
  "promtool:prometheus"
  "prometheus-alertmanager:prometheus-alertmanager"
  "chromium:chromium"
  "npm:npm"
)

missing=()
for pair in "${wanted[@]}"; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
# Japanese pages are looked at as pictures: without a font they are boxes.
if ! { command -v fc-list >/dev/null && fc-list ':lang=ja' 2>/dev/null | grep -q .; }; then
  missing+=(fonts-noto-cjk fontconfig)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

mapfile -t packages < <(printf '%s\n' "${missing[@]}" | sort -u)
command="apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"

if ! command -v apt-get >/dev/null; then
  echo "error: the tests need programs that are missing here; Debian's packages are: ${packages[*]}" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "error: the tests need programs that are missing here. Run: sudo sh -c '$command'" >&2
  exit 1
fi

# Debian starts services when it installs them; the tests start their own on free ports, so this is held back.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
echo "installing Debian packages for the tests: ${packages[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null </dev/null
