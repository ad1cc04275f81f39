import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { exportGguf } from '../../src/export/gguf/export-gguf.ts';
import type { MixerSpec } from '../../src/mixers/spec.ts';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { Folder, loadTokenizer } from '../../src/model/folder.ts';
import { defaultGeneration, generationFromHf } from '../../src/model/generation-config.ts';
import { importCheckpoint } from '../../src/model/import/import-checkpoint.ts';
import { readJsonObject } from '../../src/model/json-file.ts';
import { applyPlacement, placementFromJson } from '../../src/model/placement.ts';
import { readConfig } from '../../src/model/read-checkpoint.ts';
import { SafetensorsFile } from '../../src/model/safetensors.ts';
import { summarise } from '../../src/model/summary.ts';
import { schemaGrammar } from '../../src/runtime/constrain/json-schema.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { loadSequence, saveSequence } from '../../src/runtime/snapshot-file.ts';
import { readRecipe } from '../../src/search/read-recipe.ts';
import { readResult } from '../../src/search/read-result.ts';
import { firstExamples } from '../../src/tasks/datasets/dataset.ts';
import { loadDatasets } from '../../src/tasks/datasets/load.ts';
import { ParameterVector } from '../../src/train/parameters.ts';
import { loadRunState, type RunState, saveRunState } from '../../src/train/run-state.ts';
import { InputError } from '../../src/util/errors.ts';
import { Random } from '../../src/util/random.ts';
import { randomWeights, tinyConfig } from '../support/random-model.ts';
import { serveTiny } from '../support/server.ts';
import { tinyTokenizerFiles } from '../support/tiny-tokenizer.ts';
import type { Reader } from './fuzz.ts';

/** All readers of files that come from somewhere else, each with real files. */

const root = resolve(import.meta.dirname, '../..');
const text = (path: string) => readFileSync(join(root, path), 'utf8');
const bytes = (path: string) => new Uint8Array(readFileSync(join(root, path)));
const golden = (model: string, file: string) => bytes(`test/golden/models/${model}/${file}`);

/** What a model's folder has beside the file that is changed. */
function beside(model: string, changed: string): Record<string, string | Uint8Array> {
  const folder = join(root, 'test/golden/models', model);
  const names = readdirSync(folder).filter((name) => name !== 'logits.json' && name !== changed);
  return Object.fromEntries([changed, ...names].map((name) => [name, golden(model, name)]));
}

function readAll(file: string): void {
  const { weights } = openCheckpoint(dirname(file));
  for (const name of weights.names()) weights.read(name);
}

const safetensors: Reader = {
  name: 'safetensors',
  kind: 'safetensors',
  folders: ['qwen2', 'qwen2-f16', 'qwen3-bf16'].map((model) => beside(model, 'model.safetensors')),
  read: readAll,
};

const INDEX = 'model.safetensors.index.json';
const index: Reader = {
  name: INDEX,
  kind: 'json',
  folders: [
    { ...beside('llama-sharded', INDEX), [INDEX]: text(`test/golden/models/llama-sharded/${INDEX}`) },
  ],
  read: readAll,
};

const config: Reader = {
  name: 'config.json',
  kind: 'json',
  folders: ['llama', 'llama3-rope', 'qwen2', 'qwen3', 'jet_nemotron']
    .map((model) => ({ 'config.json': text(`test/golden/models/${model}/config.json`) }))
    .concat(['base', 'hybrid'].map((model) => ({ 'config.json': text(`models/${model}/config.json`) }))),
  read: (file) => summarise(readConfig(new Folder(dirname(file))), 4096, 4),
};

const placement: Reader = {
  name: 'placement',
  kind: 'json',
  folders: [
    {
      'placement.json': JSON.stringify({
        ...{ format: 'postnas-placement', version: 1, name: '64K-100MB', weights: '0123456789abcdef' },
        ...{ num_layers: 4, num_kv_heads: 2, window: 128, sinks: 4, full_heads: { 1: [0], 2: [0, 1] } },
        ...{ windows: { 0: 64 }, kept_layers: [3], made: { bytes: 1e8 } },
      }),
    },
  ],
  read: (file) => {
    const read = placementFromJson(file, readJsonObject(file));
    const linear: MixerSpec = { kind: 'retnet', heads: 2, keyDim: 8, valueDim: 8 };
    const full: MixerSpec = { kind: 'attention' };
    summarise(applyPlacement(tinyConfig([full, full, full, linear]), read), 4096, 4);
  },
};

const generation: Reader = {
  name: 'generation_config.json',
  kind: 'json',
  folders: [
    { 'generation_config.json': text('models/base/generation_config.json') },
    {
      'generation_config.json': JSON.stringify({
        ...{ bos_token_id: 1, eos_token_id: [2, 3], pad_token_id: 0, do_sample: true, temperature: 0.7 },
        ...{ top_k: 20, top_p: 0.8, repetition_penalty: 1.1, max_new_tokens: 64, min_p: 0.05 },
      }),
    },
  ],
  read: (file) => generationFromHf(file, readJsonObject(file), tinyConfig([{ kind: 'attention' }])),
};

const tokenizer: Reader = {
  name: 'tokenizer.json',
  kind: 'json',
  folders: [
    {
      'tokenizer.json': text('models/base/tokenizer.json'),
      'tokenizer_config.json': text('models/base/tokenizer_config.json'),
    },
    { ...tinyTokenizerFiles },
  ],
  read: readTokenizer,
};

const tokenizerConfig: Reader = {
  name: 'tokenizer_config.json',
  kind: 'json',
  folders: [
    {
      'tokenizer_config.json': JSON.stringify({
        ...JSON.parse(text('models/base/tokenizer_config.json')),
        chat_template: '{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}',
        added_tokens_decoder: { 0: { content: '<|endoftext|>', special: true, lstrip: false } },
      }),
      'tokenizer.json': text('models/base/tokenizer.json'),
    },
  ],
  read: readTokenizer,
};

function readTokenizer(file: string): void {
  const read = loadTokenizer(dirname(file));
  const ids = read.encode('Once upon a time, x ½ \ufeff 12345 \u{1f469}');
  read.decode(ids);
  if (read.hasChatTemplate) read.applyChatTemplate([{ role: 'user', content: 'Hello' }]);
}

const recipe: Reader = {
  name: 'recipe',
  kind: 'json',
  folders: ['quick', 'nano', 'hybrid'].map((name) => ({ 'recipe.json': text(`recipes/${name}.json`) })),
  read: readRecipe,
  names: true,
};

const result: Reader = {
  name: 'result.json',
  kind: 'json',
  // Of the format before, and of today's.
  folders: [
    { 'result.json': text('docs/smollm2-search/result.json') },
    { 'result.json': JSON.stringify(readResult(join(root, 'docs/smollm2-search/result.json'))) },
  ],
  read: readResult,
};

const schema: Reader = {
  name: 'JSON schema',
  kind: 'json',
  folders: [
    {
      'schema.json': JSON.stringify({
        $defs: {
          node: {
            type: 'object',
            properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
          },
        },
        type: 'object',
        properties: {
          name: { type: 'string', minLength: 1, maxLength: 40 },
          kind: { enum: ['a', 'b', 3, null] },
          list: { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 9 },
          tree: { $ref: '#/$defs/node' },
        },
        required: ['name', 'kind'],
        additionalProperties: false,
      }),
    },
  ],
  read: (file) => schemaGrammar(JSON.parse(readFileSync(file, 'utf8'))),
  refusal: (error) => error instanceof SyntaxError,
};

/** Tokens of the llama2.c files: three special ones, a byte each, a letter. */
const PIECES = [
  ...['<unk>', '\n<s>\n', '\n</s>\n'],
  ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  'a',
];

/** A small llama2.c file: seven sizes, then the values. */
function llama2cBytes(): Uint8Array {
  const header = new Int32Array([4, 3, 2, 2, 1, PIECES.length, 3]);
  const values = 4 * PIECES.length + 8 + 32 + 16 + 16 + 32 + 8 + 24 + 24 + 24 + 4 + 6;
  return Buffer.concat([Buffer.from(header.buffer), Buffer.from(new Float32Array(values).fill(0.5).buffer)]);
}

/** Its tokenizer: the longest token's length, then for each a score, a length and the text. */
function llama2cTokenizer(): Uint8Array {
  const tokens = PIECES.map((token) => {
    const score = Buffer.alloc(8);
    score.writeInt32LE(token.length, 4);
    return Buffer.concat([score, Buffer.from(token)]);
  });
  const longest = Buffer.alloc(4);
  longest.writeInt32LE(Math.max(...PIECES.map(({ length }) => length)));
  return Buffer.concat([longest, ...tokens]);
}

const importing = (file: string) =>
  importCheckpoint(file, join(dirname(file), 'imported'), {
    tokenizer: join(dirname(file), 'tokenizer.bin'),
  });

const llama2c: Reader = {
  name: 'llama2.c',
  folders: [{ 'model.bin': llama2cBytes(), 'tokenizer.bin': llama2cTokenizer() }],
  read: importing,
};

const llama2cPieces: Reader = {
  name: 'llama2.c tokenizer',
  folders: [{ 'tokenizer.bin': llama2cTokenizer(), 'model.bin': llama2cBytes() }],
  read: (file) => importing(join(dirname(file), 'model.bin')),
};

async function gguf(): Promise<Reader> {
  const place = mkdtempSync(join(tmpdir(), 'postnas-fuzz-gguf-'));
  try {
    const folders = [];
    const model = join(root, 'models/base');
    const { config: base } = openCheckpoint(model);
    const small = { ...base, modelType: 'llama' as const, qkNorm: false, layers: base.layers.slice(0, 1) };
    const weights = randomWeights(small);
    for (const dtype of ['f32', 'q8', 'q4'] as const) {
      const path = join(place, `${dtype}.gguf`);
      await exportGguf(
        path,
        { config: small, weights, generation: defaultGeneration(small) },
        { dtype, tokenizerFrom: model },
      );
      folders.push({ 'model.gguf': new Uint8Array(readFileSync(path)) });
    }
    return { name: 'GGUF', folders, read: (file) => importing(file) };
  } finally {
    rmSync(place, { recursive: true });
  }
}

const LAYERS: MixerSpec[] = [
  { kind: 'gated_deltanet', heads: 3, keyDim: 8, valueDim: 8, convSize: 4, rope: false },
  { kind: 'attention' },
];

async function sequence(): Promise<Reader> {
  const place = mkdtempSync(join(tmpdir(), 'postnas-fuzz-sequence-'));
  const tiny = tinyConfig(LAYERS);
  const engine = await Engine.create(tiny, randomWeights(tiny), { threads: 1 });
  const path = join(place, 'a.safetensors');
  try {
    using started = engine.start();
    const ids = [1, 2, 3, 4, 5];
    await engine.append(started, ids);
    await saveSequence(path, engine, started, ids);
    return {
      name: 'sequence',
      kind: 'safetensors',
      folders: [{ 'a.safetensors': new Uint8Array(readFileSync(path)) }],
      read: async (file) => {
        using loaded = (await loadSequence(file, engine)).sequence;
        await engine.append(loaded, [1]);
      },
      dispose: () => engine.dispose(),
    };
  } finally {
    rmSync(place, { recursive: true });
  }
}

function state(): Reader {
  const place = mkdtempSync(join(tmpdir(), 'postnas-fuzz-state-'));
  const made = (): RunState => {
    const vector = () =>
      new ParameterVector([{ name: 'w', shape: [4, 4], decay: true, init: () => new Float32Array(16) }]);
    return {
      step: 3,
      seconds: 0,
      parameters: vector(),
      moments: { m: vector(), v: vector(), step: 3 },
      random: new Random(1),
    };
  };
  const path = join(place, 'state.safetensors');
  const options = { rate: 1e-3, steps: 10 };
  try {
    saveRunState(path, made(), options);
    return {
      name: 'training state',
      kind: 'safetensors',
      folders: [{ [basename(path)]: new Uint8Array(readFileSync(path)) }],
      read: (file) => {
        loadRunState(file, made(), options);
        // What could be loaded must be a state to go on from.
        new SafetensorsFile(file).names();
      },
    };
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** A body of each route; what is not an answer of 2xx or 4xx with a JSON body is a find. */
async function body(): Promise<Reader> {
  const server = await serveTiny({ limits: { maxTokens: 4 } });
  const content = 'Say something about the sea.';
  const schema = { type: 'object', properties: { a: { type: 'integer', minimum: 1 } }, required: ['a'] };
  const sampled = { temperature: 0.7, top_p: 0.9, top_k: 5, seed: 1, stop: ['x'] };
  const bodies = {
    '/v1/completions': { prompt: ['a', 'b'], max_tokens: 2, logprobs: 1, echo: true, n: 2, ...sampled },
    '/v1/chat/completions': {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: [{ type: 'text', text: content }] },
      ],
      ...{ max_completion_tokens: 2, logprobs: true, top_logprobs: 2, ...sampled },
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema, strict: true } },
    },
    '/v1/responses': {
      input: [{ role: 'user', content }],
      ...{
        max_output_tokens: 2,
        temperature: 0,
        text: { format: { type: 'json_schema', name: 'a', schema } },
      },
      tools: [{ type: 'function', name: 'f', parameters: schema }],
    },
  };
  return {
    name: 'HTTP body',
    kind: 'json',
    names: true,
    folders: Object.entries(bodies).map(([route, json]) => ({
      [`${route.replaceAll('/', '_')}.json`]: JSON.stringify(json),
    })),
    read: async (file) => {
      const route = basename(file, '.json').replaceAll('_', '/');
      const answer = await fetch(server.url + route, { method: 'POST', body: readFileSync(file) });
      const text = await answer.text();
      if (answer.status >= 500) throw new Error(`${answer.status}: ${text}`);
      if (answer.status >= 400) {
        JSON.parse(text);
        throw new InputError(text);
      }
    },
    dispose: () => server.stop(),
  };
}

/** The rows of public sets, by the set that has such a file. */
const PIQA = { goal: 'Dry "shoes"', sol1: 'Stuff paper into them', sol2: 'Wet them', label: 1 };
const dataset = (
  name: string,
  files: Record<string, string | Uint8Array>,
  kind: NonNullable<Reader['kind']> = 'bytes',
): Reader => ({
  ...{ name, kind, folders: Object.entries(files).map(([path, content]) => ({ [path]: content })) },
  read: async (file) => {
    const task = basename(file).replace(/\.\w+$/, '');
    const [set] = await loadDatasets(task, { folder: dirname(file), shots: 0 });
    firstExamples(set!, 3);
  },
});
const datasets = [
  dataset('rows in JSON', { 'piqa.jsonl': JSON.stringify(PIQA) }, 'json'),
  dataset('rows of a table', { 'piqa.csv': 'goal,sol1,sol2,label\n"Dry ""shoes""",a,"b, c",1\nx,y,z,0\n' }),
];

export async function readers(): Promise<Reader[]> {
  return [
    ...datasets,
    ...[
      safetensors,
      index,
      config,
      placement,
      generation,
      tokenizer,
      tokenizerConfig,
      recipe,
      result,
      schema,
    ],
    ...[llama2c, llama2cPieces, await gguf(), await sequence(), state(), await body()],
  ];
}
