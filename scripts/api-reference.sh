#!/usr/bin/env bash
# The API reference (docs/api) from the docstrings of what the package exports. TypeDoc needs the compiler that is written
# in JavaScript, which TypeScript 7 is not: both live in a folder of their own, apart from the project's.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.cache/typedoc
if [ ! -e "$tools/node_modules/typedoc" ]; then
  mkdir -p "$tools"
  echo '{"private": true}' >"$tools/package.json"
  npm install --silent --no-audit --no-fund --prefix "$tools" typedoc@0.28.20 typescript@5.9.3
fi
node "$tools/node_modules/typedoc/bin/typedoc" --options typedoc.json "$@"
