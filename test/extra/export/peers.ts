import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { installPeers } from '../../../bench/peers/install.ts';
import type { Checkpoint } from '../../../src/model/checkpoint.ts';
import type { ModelConfig } from '../../../src/model/config.ts';
import type { WeightDtype } from '../../../src/model/quantized-tensors.ts';
import type { TensorSource } from '../../../src/model/tensor-source.ts';
import { Engine } from '../../../src/runtime/engine.ts';
import type { Sequence } from '../../../src/runtime/sequence.ts';
import { Random } from '../../../src/util/random.ts';
import { randomWeights } from '../../support/random-model.ts';

/** The runtimes that exports are for, and what their tests share. */

const root = resolve(import.meta.dirname, '../../..');
export const cache = process.env.POSTNAS_CACHE ?? join(root, '.cache');
export const peersFolder = join(cache, 'peers');

/** A package of the peers' folder, installed at first use. */
export async function peer<T>(entry: string): Promise<T> {
  installPeers(peersFolder);
  return (await import(pathToFileURL(join(peersFolder, 'node_modules', entry)).href)) as T;
}

export function randomCheckpoint(config: ModelConfig, seed = 1): Checkpoint {
  const { bosTokenId, eosTokenIds } = config;
  return { config, weights: randomWeights(config, seed), generation: { bosTokenId, eosTokenIds } };
}

export function drawnIds(count: number, below = 64, seed = 7): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.below(below));
}

/**
 * With weights of few bits whole prompts are multiplied by rows (row-quantized.ts), which rounds otherwise than the blocks
 * that exports have: steps compute with those.
 */
export async function readTokenByToken(
  engine: Engine,
  sequence: Sequence,
  prompt: readonly number[],
): Promise<Float32Array> {
  for (const id of prompt.slice(0, -1)) await engine.append(sequence, [id]);
  return engine.append(sequence, prompt.slice(-1));
}

/** The tokens that this project's engine writes after a prompt, always the most probable. */
export async function greedyTokens(
  { config, weights }: { config: ModelConfig; weights: TensorSource },
  prompt: readonly number[],
  count: number,
  dtype?: WeightDtype,
): Promise<number[]> {
  const engine = await Engine.create(config, weights, { threads: 1, dtype });
  try {
    using sequence = engine.start();
    const tokens: number[] = [];
    let logits = await readTokenByToken(engine, sequence, prompt);
    while (true) {
      tokens.push(logits.indexOf(Math.max(...logits)));
      if (tokens.length === count) return tokens;
      logits = await engine.append(sequence, tokens.slice(-1));
    }
  } finally {
    await engine.dispose();
  }
}
