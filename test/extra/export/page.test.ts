/** Exports to ONNX in @huggingface/transformers in a page: Chromium, ONNX Runtime's WASM, without a network. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { installPeers } from '../../../bench/peers/install.ts';
import { exportOnnx } from '../../../src/export/onnx/export-onnx.ts';
import type { MixerSpec } from '../../../src/mixers/spec.ts';
import { EVERY_MIXER } from '../../support/every-mixer.ts';
import { tinyConfig } from '../../support/random-model.ts';
import { drawnIds, greedyTokens, peersFolder, randomCheckpoint } from './peers.ts';

/** Debian's, unless told. */
const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium';
const TYPES: Record<string, string> = {
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
};
const TOKENS = 16;

/** What the page does, and where it tells of it. */
const PAGE = `<!doctype html><script type="module">
const tell = (value) => fetch('/told', { method: 'POST', body: JSON.stringify(value) });
try {
  const { env, AutoModelForCausalLM, Tensor } = await import('/peers/@huggingface/transformers/dist/transformers.js');
  Object.assign(env, { allowLocalModels: true, allowRemoteModels: false, localModelPath: '/models/', useBrowserCache: false });
  env.backends.onnx.wasm.wasmPaths = location.origin + '/peers/onnxruntime-web/dist/';
  const { device, models, prompt } = await (await fetch('/task')).json();
  const told = {};
  for (const [name, dtype] of models) {
    const model = await AutoModelForCausalLM.from_pretrained(name, { device, dtype });
    const tensor = (values) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    const output = await model.generate({
      inputs: tensor(prompt),
      attention_mask: tensor(prompt.map(() => 1)),
      do_sample: false,
      max_new_tokens: ${TOKENS},
      eos_token_id: ${1 << 30},
    });
    told[name] = output.tolist()[0].slice(prompt.length).map(Number);
    await model.dispose();
  }
  await tell(told);
} catch (error) {
  await tell({ error: String(error?.stack ?? error) });
}
</script>`;

let dir: string;
let server: Server;
let browser: ChildProcess | undefined;
beforeAll(() => {
  installPeers(peersFolder);
  dir = mkdtempSync(join(tmpdir(), 'postnas-page-'));
});
const close = () => {
  browser?.kill('SIGKILL');
  server?.closeAllConnections();
  server?.close();
};
afterEach(close);
afterAll(() => {
  rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

/** Serves the page, the peers' packages and the models; resolves with what the page tells. */
function served(task: unknown): { told: Promise<unknown> } {
  let tell!: (value: unknown) => void;
  const told = new Promise<unknown>((resolve) => {
    tell = resolve;
  });
  const folders: Record<string, string> = {
    '/peers/': join(peersFolder, 'node_modules'),
    '/models/': join(dir, 'models'),
  };
  server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url!, 'http://localhost').pathname);
    const [prefix, folder] = Object.entries(folders).find(([prefix]) => path.startsWith(prefix)) ?? ['', ''];
    const file = prefix && join(folder, path.slice(prefix.length));
    if (path === '/') response.setHeader('content-type', 'text/html').end(PAGE);
    else if (path === '/task') response.end(JSON.stringify(task));
    else if (path === '/told') {
      tell(JSON.parse(await text(request)));
      response.end();
    } else if (file && existsSync(file)) {
      response
        .setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream')
        .end(readFileSync(file));
    } else response.writeHead(404).end();
  });
  return { told };
}

/** WebGPU without a GPU: by SwiftShader, which comes with Chromium. */
const SWIFTSHADER = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--ignore-gpu-blocklist',
];
const SWITCHES = ['--headless=new', '--no-sandbox', '--no-first-run', '--disable-background-networking'];

describe.skipIf(!existsSync(chromium))(`in ${chromium}`, () => {
  const prompt = drawnIds(20);
  const models: [string, string][] = [];
  const expected: Record<string, number[]> = {};
  beforeAll(async () => {
    const attention: MixerSpec = { kind: 'attention' };
    for (const [kind, spec] of Object.entries(EVERY_MIXER)) {
      const checkpoint = randomCheckpoint(tinyConfig([spec, attention, spec]));
      await exportOnnx(join(dir, 'models', kind), checkpoint, { dtypes: ['f32'] });
      expected[kind] = await greedyTokens(checkpoint, prompt, TOKENS);
      models.push([kind, 'fp32']);
    }
    const wide = { hiddenSize: 64, intermediateSize: 96, tieWordEmbeddings: true };
    const checkpoint = randomCheckpoint(tinyConfig([EVERY_MIXER.jet_block, attention], wide));
    for (const dtype of ['q8', 'q4'] as const) {
      await exportOnnx(join(dir, 'models', dtype), checkpoint, { dtypes: [dtype] });
      expected[dtype] = await greedyTokens(checkpoint, prompt, TOKENS, dtype);
      models.push([dtype, dtype]);
    }
  });

  test.each<[device: string, switches: string[], names: string[]]>([
    ['wasm', ['--disable-gpu'], Object.keys(EVERY_MIXER).concat('q8', 'q4')],
    // Shaders are compiled for the processor: two minutes for all of them.
    ['webgpu', SWIFTSHADER, ['gated_deltanet', 'jet_block', 'q4']],
  ])('on %s: the greedy tokens of the engine', async (device, own, names) => {
    const some = models.filter(([name]) => names.includes(name));
    const { told } = served({ device, models: some, prompt });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const profile = `--user-data-dir=${join(dir, device)}`;
    browser = spawn(chromium, [...SWITCHES, ...own, profile, `http://127.0.0.1:${port}/`], {
      stdio: 'ignore',
    });
    expect(await told).toEqual(Object.fromEntries(names.map((name) => [name, expected[name]])));
  });
});
