#!/bin/bash
# Debian's Chromium for the tests of the page, installed unless it is there.
#
#   scripts/setup-chromium.sh COMMAND...     runs COMMAND once there is a Chromium
set -euo pipefail

if ! command -v chromium >/dev/null; then
  command -v apt-get >/dev/null || { echo "setup-chromium: needs chromium, or apt-get (Debian or Ubuntu)" >&2; exit 1; }
  echo "setup-chromium: installing chromium" >&2
  run=(); [ "$(id -u)" = 0 ] || run=(sudo)
  "${run[@]}" apt-get -qq update
  DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi

exec "$@"
