import { float32, type Values } from '../../graph/index.ts';
import { attentionForm } from '../../mixers/head-attention.ts';
import { ropeFrequencies, ropeMagnitude, rotatedWidth } from '../../mixers/rope.ts';
import type { ModelConfig } from '../../model/config.ts';
import { headParameters, readValues } from '../../model/layer-programs.ts';
import { layerPrefix } from '../../model/parameters.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { KeptKeys, masks } from './kept-keys.ts';
import type { LayerReach, ReachPlacement } from './placement.ts';
import { attentionLayerParameters, ReachPrograms } from './reach-programs.ts';
import { type Tail, TailAnswers, type TailJudged } from './tail-answers.ts';

/**
 * A model of full attention whose KV heads can be told how far they see, layer by layer. A text is read once with one placement;
 * what follows it is read with many, over the keys and values that were kept.
 */

/** Tokens of a text that are read at once. */
const CHUNK = 256;
/** Tokens of a batch. */
const ROWS = 1024;
/** Scores of a KV head's queries over the keys that it reads, at a time: 32 MB. */
const SCORES = 1 << 23;

interface State {
  /** Placements that have come here. */
  alive: readonly number[];
  /** Of each tail [n, D]. */
  tails: readonly Float32Array[];
}

export class ReachModel {
  private readonly programs: ReachPrograms;
  private readonly layers: Values[] = [];
  private readonly table: Float32Array;
  private readonly answers: TailAnswers;
  private readonly frequencies: readonly number[];
  /** Tokens taken through a layer, over the number of layers. */
  private taken = 0;

  constructor(
    readonly config: ModelConfig,
    private readonly weights: TensorSource,
    { threads }: { threads?: number | undefined } = {},
  ) {
    this.programs = new ReachPrograms(config, threads);
    const names = headParameters(config).map(({ name }) => name);
    const head = readValues(weights, names);
    this.answers = new TailAnswers(this.programs, head);
    // Which it is, if they are tied.
    const table = 'model.embed_tokens.weight';
    this.table = (head[table]?.data as Float32Array | undefined) ?? weights.read(table);
    this.frequencies = ropeFrequencies({ ...config, headDim: rotatedWidth(config) });
  }

  get tokens(): number {
    return Math.round(this.taken);
  }

  /** Reads a text; its keys and values are kept. */
  async read(
    ids: readonly number[],
    placement: ReachPlacement,
    {
      signal,
      onTokens,
    }: { signal?: AbortSignal | undefined; onTokens?: ((done: number) => void) | undefined } = {},
  ): Promise<KeptKeys> {
    const kept = new KeptKeys(this.config.layers.length, this.config, ids.length);
    for (let at = 0; at < ids.length; at += CHUNK) {
      const n = Math.min(CHUNK, ids.length - at);
      let x = this.embedded(ids.slice(at, at + n));
      const feeds = this.feedsOf(at, n);
      for (const [layer, reach] of placement.entries()) {
        signal?.throwIfAborted();
        const { y, k, v } = await this.layer(layer, reach, x, 1, kept, at, feeds, true);
        kept.put(layer, at, { k: k!, v: v! });
        x = y!.data as Float32Array;
      }
      onTokens?.(at + n);
    }
    return kept;
  }

  /**
   * What placements make of tails that follow a text of `length` tokens. Those that agree on their first layers share them.
   *
   * @param reference of each tail: logarithms of the probabilities that divergences are from [places, vocabulary]
   * @returns [placement][tail]
   */
  async follow(
    kept: KeptKeys,
    length: number,
    tails: readonly Tail[],
    placements: readonly ReachPlacement[],
    { reference, ...control }: { reference?: readonly Float32Array[] | undefined } & WalkControl = {},
  ): Promise<TailJudged[][]> {
    const states = await this.walk(kept, length, tails, placements, control);
    const judged: TailJudged[][] = placements.map(() => []);
    for (const [t, tail] of tails.entries()) {
      const own = states.map((state) => state.tails[t]!);
      const found = await this.answers.judge(own, tail, reference?.[t]);
      for (const [s, { alive }] of states.entries()) {
        for (const p of alive) judged[p]![t] = found[s]!;
      }
    }
    return judged;
  }

  /** Logarithms of the probabilities behind the judged places of each tail [places, vocabulary], by one placement. */
  async reference(
    kept: KeptKeys,
    length: number,
    tails: readonly Tail[],
    placement: ReachPlacement,
  ): Promise<Float32Array[]> {
    const [state] = await this.walk(kept, length, tails, [placement]);
    const all: Float32Array[] = [];
    for (const [t, tail] of tails.entries()) all.push(await this.answers.logProbs(state!.tails[t]!, tail));
    return all;
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
  }

  /** The hidden states behind the last layer. */
  private async walk(
    kept: KeptKeys,
    length: number,
    tails: readonly Tail[],
    placements: readonly ReachPlacement[],
    { signal, onShare }: WalkControl = {},
  ): Promise<State[]> {
    const n = Math.max(...tails.map(({ places }) => places.at(-1)! + 1));
    const feeds = this.feedsOf(length, n);
    let states: State[] = [
      { alive: placements.map((_, p) => p), tails: tails.map(({ ids }) => this.embedded(padded(ids, n))) },
    ];
    for (let layer = 0; layer < this.config.layers.length; layer++) {
      signal?.throwIfAborted();
      const byReach = new Map<string, { reach: LayerReach; states: State[] }>();
      for (const state of states) {
        for (const [key, alive] of groups(state.alive, (p) => keyOf(placements[p]![layer]!, this.config))) {
          const group = byReach.get(key) ?? { reach: placements[alive[0]!]![layer]!, states: [] };
          group.states.push({ alive, tails: state.tails });
          byReach.set(key, group);
        }
      }
      const next: State[] = [];
      for (const group of byReach.values()) {
        const batch = group.states.flatMap(({ tails }) => tails);
        const through = await this.batched(layer, group.reach, batch, kept, length, feeds);
        for (const { alive, tails } of group.states)
          next.push({ alive, tails: through.splice(0, tails.length) });
      }
      states = next;
      onShare?.((layer + 1) / this.config.layers.length);
    }
    return states;
  }

  /** Sequences [n, D] through a layer, as many at a time as there is room for. */
  private async batched(
    layer: number,
    reach: LayerReach,
    sequences: readonly Float32Array[],
    kept: KeptKeys,
    length: number,
    feeds: TailFeeds,
  ): Promise<Float32Array[]> {
    const { hiddenSize, numHeads, numKvHeads } = this.config;
    const size = sequences[0]!.length;
    const n = size / hiddenSize;
    const keys = reach.fullHeads.length > 0 ? length + n : Math.min(length, reach.window + reach.sinks) + n;
    const rows = Math.min(ROWS, (SCORES * numKvHeads) / (numHeads * keys));
    const most = Math.max(1, Math.floor(rows / n));
    const through: Float32Array[] = [];
    for (let from = 0; from < sequences.length; from += most) {
      const part = sequences.slice(from, from + most);
      const x = new Float32Array(part.length * size);
      for (const [i, one] of part.entries()) x.set(one, i * size);
      const { y } = await this.layer(layer, reach, x, part.length, kept, length, feeds, false);
      const data = y!.data as Float32Array;
      for (let i = 0; i < part.length; i++) through.push(data.subarray(i * size, (i + 1) * size));
    }
    return through;
  }

  private async layer(
    layer: number,
    reach: LayerReach,
    x: Float32Array,
    batch: number,
    kept: KeptKeys,
    length: number,
    { angles, masksOf }: TailFeeds,
    keeps: boolean,
  ): Promise<Values> {
    const { hiddenSize, layers } = this.config;
    const n = x.length / batch / hiddenSize;
    const { fullHeads } = reach;
    const form = { ...attentionForm(layers[layer]!), fullHeads, prefix: length > 0, keeps };
    const program = await this.programs.layer(form);
    const given: Values = {
      ...this.layerValues(layer),
      ...angles,
      ...masksOf(reach),
      ...(length > 0 ? kept.feeds(layer, length, reach) : {}),
      x: float32(x, [batch, n, hiddenSize]),
    };
    this.taken += (batch * n) / layers.length;
    return program.run(Object.fromEntries(program.inputNames.map((name) => [name, given[name]!])));
  }

  private layerValues(layer: number): Values {
    this.layers[layer] ??= readValues(
      this.weights,
      attentionLayerParameters(this.config).map(({ name }) => name),
      layerPrefix(layer),
    );
    return this.layers[layer];
  }

  private embedded(ids: readonly number[]): Float32Array {
    const { hiddenSize: D } = this.config;
    const x = new Float32Array(ids.length * D);
    for (const [i, id] of ids.entries()) x.set(this.table.subarray(id * D, (id + 1) * D), i * D);
    return x;
  }

  /** What all layers take for n tokens that follow `length` others. */
  private feedsOf(length: number, n: number): TailFeeds {
    const half = this.frequencies.length;
    const magnitude = ropeMagnitude(this.config);
    const table = (f: (angle: number) => number) => {
      const data = new Float32Array(n * half);
      for (let i = 0; i < data.length; i++) {
        data[i] = magnitude * f((length + Math.floor(i / half)) * this.frequencies[i % half]!);
      }
      return float32(data, [n, half]);
    };
    const known = new Map<string, Values>();
    return {
      angles: { cos: table(Math.cos), sin: table(Math.sin) },
      masksOf(reach) {
        const key = `${reach.window} ${reach.sinks}`;
        const made = known.get(key) ?? masks(length, n, reach);
        known.set(key, made);
        return made;
      },
    };
  }
}

interface WalkControl {
  signal?: AbortSignal | undefined;
  /** Is told what share of the layers has been computed. */
  onShare?: ((share: number) => void) | undefined;
}

interface TailFeeds {
  angles: Values;
  masksOf(reach: LayerReach): Values;
}

/** What a layer computes hangs on this alone. */
function keyOf({ fullHeads, window, sinks }: LayerReach, { numKvHeads }: ModelConfig): string {
  return fullHeads.length === numKvHeads ? 'full' : `${fullHeads} ${window} ${sinks}`;
}

function groups(items: readonly number[], key: (item: number) => string): Map<string, number[]> {
  const grouped = new Map<string, number[]>();
  for (const item of items) {
    const own = key(item);
    const known = grouped.get(own);
    if (known) known.push(item);
    else grouped.set(own, [item]);
  }
  return grouped;
}

/** The first n ids; what is missing behind them is read by nobody. */
function padded(ids: readonly number[], n: number): number[] {
  return Array.from({ length: n }, (_, i) => ids[i] ?? 0);
}
