import { mixerOf } from '../../src/mixers/registry.ts';
import type { MixerSpec } from '../../src/mixers/spec.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { countParameters, mlpParameters } from '../../src/model/parameters.ts';
import type { Task } from './cases.ts';

/**
 * Floating-point operations that a training step cannot do without: two for each weight of a product and token, forwards
 * once for the teacher and once for the student; as many again for the gradient of a product's input, and of its weight
 * where that is trained. Beside them attention by the keys that a query sees, and the recurrence by its definition. Not
 * counted: what is computed twice, norms, softmax, the optimiser.
 */
export function operationsOfStep(
  config: ModelConfig,
  { case: { layers, trained }, batch, length }: Task,
): number {
  const { hiddenSize, vocabSize } = config;
  const head = 2 * hiddenSize * vocabSize;
  const mlp = 2 * matrices(mlpParameters(config));
  const teacher = config.layers.map((spec) => mixerOperations(config, spec, length));
  const student = layers.map((spec) => mixerOperations(config, spec, length));
  const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const forward = total(teacher.map(({ weights, tokens }) => weights + tokens));
  let perToken = forward + layers.length * mlp;
  if (trained === 'align') {
    // The mixers alone: forwards, the gradient of what lies before their last product, and of their weights.
    perToken += total(student.map(({ weights, output, tokens }) => 2 * weights + output + 3 * tokens));
    // Nothing is asked of the last MLP.
    perToken -= mlp;
  } else {
    const all = trained === 'all';
    // Both heads, the gradient of the head's input, of its weight.
    perToken += head * (all ? 4 : 3);
    perToken += layers.length * mlp * (all ? 3 : 2);
    const own = layers.map(({ kind }) => all || kind === 'gated_deltanet');
    perToken += total(student.map(({ weights, tokens }, i) => (own[i] ? 3 : 2) * weights + 3 * tokens));
    // Nothing goes below the lowest layer but its own weights' gradients, which is not told apart here.
  }
  return perToken * batch * length;
}

function matrices(list: readonly { shape: readonly number[] }[]): number {
  return countParameters(list.filter(({ shape }) => shape.length === 2));
}

/** Forwards, for a token: with weights, with the output projection among them, and of tokens with tokens. */
function mixerOperations(
  config: ModelConfig,
  spec: MixerSpec,
  length: number,
): { weights: number; output: number; tokens: number } {
  const parameters = mixerOf(spec).parameters(spec, config);
  const weights = 2 * matrices(parameters);
  const output = 2 * matrices(parameters.filter(({ name }) => name.startsWith('o_proj')));
  return { weights, output, tokens: tokenOperations(config, spec, length) };
}

function tokenOperations(
  { numHeads, numKvHeads, headDim }: ModelConfig,
  spec: MixerSpec,
  length: number,
): number {
  // A score and a weighted value for each key and head.
  const attended = (heads: number, window: number, sinks: number) =>
    4 * heads * headDim * meanSeen(length, window, sinks);
  const perKey = numHeads / numKvHeads;
  switch (spec.kind) {
    case 'attention':
      return attended(numHeads, length, 0);
    case 'sliding_window':
      return attended(numHeads, spec.window, spec.sinks ?? 0);
    case 'head_attention': {
      const full = spec.fullHeads.length * perKey;
      return attended(full, length, 0) + attended(numHeads - full, spec.window, spec.sinks ?? 0);
    }
    case 'gated_deltanet':
      // What the state says of a key, what is written, what a query reads.
      return 6 * spec.heads * spec.keyDim * spec.valueDim;
    default:
      throw new Error(`operations of ${spec.kind} are not counted`);
  }
}

/** Keys that a query sees, the mean over a row. */
function meanSeen(length: number, window: number, sinks: number): number {
  let seen = 0;
  for (let t = 0; t < length; t++) {
    const near = Math.min(t + 1, window);
    seen += near + Math.min(sinks, t + 1 - near);
  }
  return seen / length;
}
