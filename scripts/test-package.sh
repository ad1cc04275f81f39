#!/usr/bin/env bash
# The package as a user gets it: packed, installed into an empty folder, its command and its library used there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$root"
npm run --silent build
npm pack --silent --pack-destination "$work" > /dev/null

cd "$work"
npm init -y > /dev/null
# As everywhere in this project: onnxruntime-node's postinstall fetches from outside the registry.
npm install --silent --ignore-scripts ./postnas-*.tgz
npx postnas --version
model=node_modules/postnas/models/base
npx postnas generate "$model" --prompt 'Story: Tom found the' --max-tokens 16
cat > use.mjs <<'JS'
import { Model } from 'postnas';
import { input, mul, Program, float32 } from 'postnas/graph';
import { estimate } from 'postnas/search';

const model = await Model.fromPretrained(process.argv[2]);
let tokens = 0;
for await (const _ of model.generate('Sums: 12+30=', { maxNewTokens: 4 })) tokens++;
await model.dispose();
const x = input('x', 'float32', ['N']);
const program = await Program.compile({ y: mul(x, 2) });
const { y } = await program.run({ x: float32(Float32Array.of(1, 2), [2]) });
await program.dispose();
const recipe = { model: process.argv[2], tasks: ['recall:accuracy:2'], rows: 1, length: 16, placement: {} };
const { seconds } = await estimate(recipe);
if (!(seconds > 0)) throw new Error(`an estimate of ${seconds} s`);
if (tokens !== 4 || y.data[1] !== 4) throw new Error(`got ${tokens} tokens and ${y.data}`);
JS
node use.mjs "$model"

# The server's threads load the package's files, too.
node node_modules/.bin/postnas serve "$model" --port 0 --json --log-level error > ready &
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
for _ in $(seq 100); do [ -s ready ] && break; sleep 0.2; done
url=$(node -p 'JSON.parse(fs.readFileSync("ready", "utf8")).url')
curl --silent --fail --show-error "$url/v1/completions" --data '{"prompt": "Story: Tom", "max_tokens": 4}'
kill $server
trap 'rm -rf "$work"' EXIT

# The same name is another library in a page: its bundler finds no module of Node.js in it.
cat > page.js <<'JS'
import { blobFiles, Model } from 'postnas';
import * as web from 'postnas/web';

globalThis.used = [blobFiles, Model.fromPretrained, web.Model === Model];
JS
"$root/node_modules/.bin/esbuild" page.js --bundle --format=esm --platform=browser --target=es2022 \
  '--external:onnxruntime-web/*' --outfile=bundle.js --log-level=warning
grep -q onnxruntime-web/webgpu bundle.js
for absent in web src; do
  if [ -e "node_modules/postnas/$absent" ]; then echo "package: $absent/ is in it" >&2; exit 1; fi
done
echo 'package: works in an empty folder'
