#!/usr/bin/env bash
# Installs lm-evaluation-harness from PyPI into .cache/lm-eval ($POSTNAS_CACHE in place of .cache when set): what its
# local-completions backend needs, with transformers for the tokenizer, without PyTorch. What is there already is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${POSTNAS_CACHE:-.cache}/lm-eval"
[ -e "$venv/installed" ] && exit
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check 'lm-eval[api]==0.4.13' 'transformers==5.24.0'
touch "$venv/installed"
