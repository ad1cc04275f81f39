#!/usr/bin/env bash
# Installs schemathesis from PyPI into .cache/schemathesis ($POSTNAS_CACHE in place of .cache when set). What is there
# already is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${POSTNAS_CACHE:-.cache}/schemathesis"
[ -e "$venv/installed" ] && exit
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.32.5'
touch "$venv/installed"
