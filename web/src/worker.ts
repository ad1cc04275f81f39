import {
  blobFiles,
  type GenerateOptions,
  type LoadOptions,
  Model,
  type ProgressEvent,
  summarise,
} from 'postnas';
import type { Device, Loaded, Prompt, Reply, Request, Written } from './protocol.ts';

/** The model, in a thread of its own: the page stays responsive whatever is computed. */

/** Of a number in caches: float32. */
const VALUE_BYTES = 4;
/** Snapshots of what was read, so that a conversation is not read again at every turn. */
const PREFIX_CACHE_BYTES = 64e6;
const send = (reply: Reply) => postMessage(reply);

let model: Model | null = null;
let stop = new AbortController();
/** Requests wait for each other. */
let turn: Promise<void> = Promise.resolve();

addEventListener('message', ({ data }: MessageEvent<Request>) => {
  if (data.type === 'stop') {
    stop.abort();
    return;
  }
  turn = turn.then(async () => {
    stop = new AbortController();
    try {
      if (data.type === 'load') await load(data);
      else await write(data.prompt, data.options);
    } catch (error) {
      const stopped = stop.signal.aborted;
      send({ type: 'failed', message: stopped ? 'Stopped.' : (error as Error).message, stopped });
    }
  });
});

async function load({ source, device: wanted, isSmall }: Request & { type: 'load' }): Promise<void> {
  const start = performance.now();
  await model?.dispose();
  model = null;
  const device = wanted !== 'auto' ? wanted : await suited(isSmall);
  const threads =
    crossOriginIsolated && !isSmall ? Math.min(4, Math.ceil(navigator.hardwareConcurrency / 2)) : 1;
  const options: LoadOptions = {
    device,
    threads,
    // WebAssembly is slow with weights of few bits.
    ...(device === 'cpu' ? { dtype: 'f32' } : {}),
    prefixCacheBytes: PREFIX_CACHE_BYTES,
    signal: stop.signal,
    onProgress: (event) => send({ type: 'progress', event }),
  };
  if (source.kind === 'place') {
    model = await Model.fromPretrained(source.place, { ...options, hubUrl: source.hubUrl });
  } else {
    const files = source.files.map((file) => [file.name, file] as const);
    model = await Model.fromPretrained(await blobFiles(source.name, files), options);
  }
  const name = source.kind === 'place' ? source.place : source.name;
  const seconds = (performance.now() - start) / 1000;
  send({ type: 'loaded', model: { ...described(model), name, device, threads, seconds } });
}

/** A small model is done before a journey to a graphics card is, or a thread is awake. */
async function suited(isSmall: boolean): Promise<Device> {
  return !isSmall && (await navigator.gpu?.requestAdapter()) ? 'webgpu' : 'cpu';
}

function described({ config, tokenizer }: Model): Omit<Loaded, 'name' | 'device' | 'threads' | 'seconds'> {
  const { maxPositionEmbeddings: contextLength, vocabSize, layers } = config;
  const { architecture, parameters } = summarise(config, contextLength, VALUE_BYTES);
  // Straight lines, but where a window is full.
  const windows = layers.flatMap((layer) =>
    layer.kind === 'sliding_window' ? [layer.window + (layer.sinks ?? 0)] : [],
  );
  const places = [0, ...windows.filter((window) => window < contextLength), contextLength];
  const tokens = [...new Set(places)].sort((a, b) => a - b);
  const sizes = tokens.map((count) => summarise(config, count, VALUE_BYTES));
  return {
    architecture,
    kinds: layers.map(({ kind }) => kind),
    parameters,
    contextLength,
    vocabSize,
    hasChatTemplate: tokenizer?.hasChatTemplate ?? false,
    memory: {
      tokens,
      model: sizes.map(({ stateBytes }) => stateBytes),
      parent: sizes.map(({ parent }) => parent.stateBytes),
    },
  };
}

async function write(prompt: Prompt, options: GenerateOptions): Promise<void> {
  if (!model) throw new Error('There is no model: load one first.');
  const { signal } = stop;
  const { tokenizer } = model;
  let last = performance.now();
  let context = 0;
  if (tokenizer) {
    const text =
      typeof prompt === 'string'
        ? prompt
        : tokenizer.applyChatTemplate(prompt, { addGenerationPrompt: true });
    context = tokenizer.encode(text, { addSpecialTokens: typeof prompt === 'string' }).length;
  }
  const written: Written = { finish: 'stopped', promptTokens: context, cachedTokens: 0, tokens: 0 };
  const onProgress = (event: ProgressEvent) => send({ type: 'progress', event });
  const asked = { ...options, signal, onProgress };
  try {
    const tokens = typeof prompt === 'string' ? model.generate(prompt, asked) : model.chat(prompt, asked);
    for await (const { id, text, finish, usage } of tokens) {
      const now = performance.now();
      context++;
      written.tokens++;
      send({ type: 'token', token: { id, text, context, milliseconds: now - last } });
      last = now;
      if (finish) Object.assign(written, { finish, cachedTokens: usage!.cachedTokens });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  send({ type: 'written', written });
}
