import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import type { MixerSpec } from '../../src/mixers/spec.ts';
import { saveCheckpoint } from '../../src/model/checkpoint.ts';
import { Model } from '../../src/runtime/model.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/server/serve.ts';
import { CHAT_VOCABULARY, chatTokenizerFiles } from './chat-tokenizer.ts';
import { randomWeights, tinyConfig } from './random-model.ts';

/** A hybrid with random weights: what it says is noise, but always the same. */
const layers: MixerSpec[] = [
  { kind: 'gated_deltanet', heads: 3, keyDim: 8, valueDim: 8, convSize: 4, rope: false },
  { kind: 'attention' },
];

export interface TestServer extends RunningServer {
  model: Model;
  /** Lines of the log. */
  log: string[];
  stop(): Promise<void>;
}

/** A tiny chat model served on loopback, called `tiny`. */
export async function serveTiny(
  options: Partial<ServeOptions> = {},
  files: Record<string, string> = chatTokenizerFiles,
): Promise<TestServer> {
  const dir = mkdtempSync(join(tmpdir(), 'postnas-serve-'));
  const config = tinyConfig(layers, {
    ...{ vocabSize: CHAT_VOCABULARY, maxPositionEmbeddings: 8192, eosTokenIds: [2] },
  });
  await saveCheckpoint(dir, config, randomWeights(config, 3), {
    dtype: 'F32',
    files,
    generation: { bosTokenId: null, eosTokenIds: [2] },
  });
  const model = await Model.fromPretrained(dir, { threads: 1, prefixCacheBytes: 64e6 });
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const server = await serve(model, ['tiny'], { port: 0, pieceTokens: 64, log, ...options });
  return {
    ...server,
    model,
    log: lines,
    stop: async () => {
      await server.drain(0);
      await model.dispose();
      rmSync(dir, { recursive: true });
    },
  };
}
