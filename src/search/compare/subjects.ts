import { attentionForm, attentionSpec } from '../../mixers/head-attention.ts';
import { hasLinear } from '../../mixers/registry.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { stateBytes, totalBytes } from '../../mixers/state-bytes.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { loadTokenizer } from '../../model/folder.ts';
import { resolveModel } from '../../model/hub.ts';
import { modelParameters } from '../../model/parameters.ts';
import { openPlaced } from '../../model/placed-folder.ts';
import { summarise } from '../../model/summary.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import { hashOf, type Identity } from '../../util/store/identity.ts';
import { filesIdentity } from '../files-identity.ts';
import type { CompareOptions } from './options.ts';
import type { ComparedModel } from './result.ts';

/** The models of a comparison: the parent, the hybrids, and beside each the parent cut to windows of as many bytes. */

export interface Subject extends Pick<ComparedModel, 'name' | 'role' | 'of' | 'window' | 'sinks' | 'placed'> {
  config: ModelConfig;
  weights: TensorSource;
  /** Of a hybrid that is a folder here. */
  folder?: string;
  /** What its measurements depend on. */
  identity: Identity;
}

/** First tokens that the windows of baselines hold. */
const BASELINE_SINKS = 4;

/** Bytes of a number in caches, as the engine keeps it on the CPU. */
const VALUE_BYTES = 4;

interface Opened {
  subjects: Subject[];
  tokenizer: Tokenizer;
  context: number;
  /** What was left out, and why. */
  notes: string[];
  /** At which the parent's answers end. */
  eosTokenIds: readonly number[];
}

/**
 * @param models folders, or names on the Hub; and placements of the parent
 * @param context at which bytes are compared
 * @throws InputError for models whose tokenizers differ
 */
export async function openSubjects(
  { parent: of, hybrids: others, placements }: Pick<CompareOptions, 'parent' | 'hybrids' | 'placements'>,
  context: (config: ModelConfig) => number,
  options: { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined },
): Promise<Opened> {
  const opened: Subject[] = [];
  let tokenizer: Tokenizer | undefined;
  let eosTokenIds: readonly number[] = [];
  const names = [of, ...others];
  const labels = labelsOf(names);
  for (const [i, name] of names.entries()) {
    const folder = await resolveModel(name, options);
    const { config, weights, generation } = openCheckpoint(folder);
    if (i === 0) eosTokenIds = generation.eosTokenIds;
    const own = loadTokenizer(folder);
    if (tokenizer) checkSameTokens(names[0]!, tokenizer, name, own);
    else tokenizer = own;
    opened.push({
      name: labels[i]!,
      role: i === 0 ? 'parent' : 'hybrid',
      ...{ config, weights, identity: { files: filesIdentity(folder) } },
      ...(i > 0 && folder === name ? { folder } : {}),
    });
  }
  for (const placement of placements ?? []) {
    const [{ name, weights, identity }] = opened as [Subject];
    const { checkpoint, placement: found } = await openPlaced(of, { placement, ...options });
    const { config } = checkpoint;
    opened.push({
      name: `${name} (${found!.name})`,
      ...{
        role: 'hybrid',
        placed: true,
        config,
        weights,
        identity: { ...identity, layers: hashOf(config.layers) },
      },
    });
  }
  const [parent, ...hybrids] = opened as [Subject, ...Subject[]];
  const tokens = context(parent.config);
  const notes: string[] = [];
  const baselines = hybrids.flatMap((hybrid, i): Subject[] => {
    const cut = cutToBytes(parent.config, bytesOf(hybrid.config, tokens), tokens);
    if (cut === null) {
      notes.push(
        `${hybrid.name} takes as much memory as its parent at ${tokens} tokens: there is no window of as many bytes to compare with`,
      );
      return [];
    }
    const config = { ...parent.config, layers: windowed(parent.config, cut) };
    const same = opened.find(
      (other) =>
        JSON.stringify(other.config.layers) === JSON.stringify(config.layers) &&
        haveSameWeights(parent.config, other.weights, parent.weights),
    );
    if (same) {
      notes.push(
        same === hybrid
          ? `${hybrid.name} is itself the parent cut to windows with ${BASELINE_SINKS} sinks in all layers: there is no other baseline of as many bytes`
          : `${same.name} is the parent cut to windows of as many bytes as ${hybrid.name} takes: it is its baseline`,
      );
      return [];
    }
    return [
      {
        name: `${parent.name} cut to windows of ${cut} + ${BASELINE_SINKS} tokens`,
        ...{ role: 'baseline', of: i + 1, window: cut, sinks: BASELINE_SINKS },
        ...{
          config,
          weights: parent.weights,
          identity: { ...parent.identity, layers: hashOf(config.layers) },
        },
      },
    ];
  });
  const different = baselines.filter(
    (one, i) => baselines.findIndex(({ window }) => window === one.window) === i,
  );
  return { subjects: [...opened, ...different], tokenizer: tokenizer!, context: tokens, notes, eosTokenIds };
}

/** Whether nothing was trained: windows have the parameters of the attention that they are cut from. */
function haveSameWeights(config: ModelConfig, a: TensorSource, b: TensorSource): boolean {
  const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) =>
    Buffer.from(buffer, byteOffset, byteLength);
  return (
    a === b ||
    modelParameters(config).every(({ name }) => bytesOf(a.read(name)).equals(bytesOf(b.read(name))))
  );
}

/** Bytes of a sequence of so many tokens. */
export function bytesOf(config: ModelConfig, tokens: number): number {
  return summarise(config, tokens, VALUE_BYTES).stateBytes;
}

/**
 * The windows in all layers with which a model takes as many bytes, or the nearest below; the shortest window where even that
 * takes more. null where they would hold the whole text.
 */
export function cutToBytes(config: ModelConfig, bytes: number, tokens: number): number | null {
  const token = totalBytes(stateBytes({ kind: 'attention' }, config, 1, VALUE_BYTES)) * config.layers.length;
  const window = Math.max(1, Math.floor(bytes / token) - BASELINE_SINKS);
  return window + BASELINE_SINKS >= tokens ? null : window;
}

function windowed(config: ModelConfig, window: number): MixerSpec[] {
  return config.layers.map((spec) => {
    if (hasLinear(spec)) {
      throw new InputError(
        `the parent has a layer of ${spec.kind}: expected a model of attention, which can be cut to windows`,
      );
    }
    return attentionSpec([], config, { window, sinks: BASELINE_SINKS, ...attentionForm(spec) });
  });
}

/** @throws InputError naming a token that they do not share */
function checkSameTokens(parent: string, tokens: Tokenizer, name: string, others: Tokenizer): void {
  const [ours, theirs] = [new Map(tokens.vocabulary()), new Map(others.vocabulary())];
  const differs = [...ours].find(([token, id]) => theirs.get(token) !== id);
  if (!differs && ours.size === theirs.size) return;
  const why = differs
    ? `the token ${JSON.stringify(differs[0])} is ${differs[1]} in the first and ${theirs.get(differs[0]) ?? 'missing'} in the second`
    : `the first has ${ours.size} tokens and the second ${theirs.size}`;
  throw new InputError(
    `${parent} and ${name} have different tokenizers: ${why}; losses and probabilities of different tokens cannot be compared`,
  );
}

/** The last part of each name; more of it where several end alike. */
function labelsOf(names: readonly string[]): string[] {
  const parts = names.map((name) => name.replace(/\/+$/, '').split('/'));
  const short = parts.map((part) => part.at(-1)!);
  return short.map((label, i) =>
    short.filter((other) => other === label).length > 1 ? parts[i]!.slice(-2).join('/') : label,
  );
}
