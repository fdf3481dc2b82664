#!/usr/bin/env bash
# Proves that the committed page assets are what web/ builds, byte for byte. Part of `make test`; needs Node.js and npm.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
committed=$root/src/toban/entrypoints/http/static

for tool in node npm; do
  if ! command -v "$tool" >/dev/null; then
    echo "check_assets: $tool is missing; install Node.js 18 or newer: sudo apt-get install nodejs npm" >&2
    exit 1
  fi
done
if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 18 ? 1 : 0)'; then
  echo "check_assets: Node.js $(node --version) is too old; version 18 or newer is needed" >&2
  exit 1
fi
if grep -q '"resolved"' "$root/web/package-lock.json"; then
  echo "check_assets: web/package-lock.json names addresses; write it with npm's omit-lockfile-registry-resolved=true" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/web" "$work/built"
cp -r "$root/web/package.json" "$root/web/package-lock.json" "$root/web/build.mjs" "$root/web/src" "$work/web/"

cd "$work/web"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
npm run --silent build -- --out "$work/built"

# Built by hand and not by web/: the icon.
cp "$committed/icon.svg" "$work/built/"
if ! diff -r "$work/built" "$committed" >"$work/difference"; then
  echo "check_assets: the committed assets are not what web/ builds; run \`cd web && npm ci && npm run build\`" >&2
  head -c 2000 "$work/difference" >&2
  exit 1
fi
echo "check_assets: the page assets are what web/ builds"
