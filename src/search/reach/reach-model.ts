import { float32, int64, type Value, type Values } from '../../graph/index.ts';
import { ropeFrequencies, ropeMagnitude } from '../../mixers/rope.ts';
import type { ModelConfig } from '../../model/config.ts';
import { headParameters, readValues } from '../../model/layer-programs.ts';
import { layerPrefix } from '../../model/parameters.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { KeptKeys, masks } from './kept-keys.ts';
import type { LayerReach, ReachPlacement } from './placement.ts';
import { attentionLayerParameters, ReachPrograms } from './reach-programs.ts';

/**
 * A model of full attention whose KV heads can be told how far they see, layer by layer. A text is read once with one placement;
 * what follows it is read with many, over the keys and values that were kept.
 */

/** Tokens that follow a text, of which some are judged by the token behind them. */
export interface Tail {
  ids: readonly number[];
  /** Ascending; the last token predicts nothing that is known. */
  places: readonly number[];
}

/** What a placement makes of a tail. */
export interface TailJudged {
  /** Minus the logarithms of the probabilities of what follows each judged place, in nats. */
  losses: number[];
  /** Whether all of it is the most probable. */
  right: boolean;
  /** Divergences from the reference, where there is one. */
  kl: number[];
}

const EMBEDDING = 'model.embed_tokens.weight';
/** Tokens of a text that are read at once. */
const CHUNK = 256;
/** Tokens of a batch. */
const ROWS = 1024;
/** Scores of a KV head's queries over the keys that it reads, at a time: 32 MB. */
const SCORES = 1 << 23;
/** Logits at a time: 64 MB. */
const LOGITS = 1 << 24;

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
  private readonly headFeeds: Values;
  private readonly frequencies: readonly number[];
  /** Tokens taken through a layer, over the number of layers. */
  private taken = 0;

  constructor(
    readonly config: ModelConfig,
    private readonly weights: TensorSource,
    { threads }: { threads?: number | undefined } = {},
  ) {
    this.programs = new ReachPrograms(config, threads);
    this.headFeeds = readValues(
      weights,
      headParameters(config).map((parameter) => parameter.name),
    );
    this.table = (this.headFeeds[EMBEDDING]?.data as Float32Array | undefined) ?? weights.read(EMBEDDING);
    this.frequencies = ropeFrequencies(config);
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
      const own = reference?.[t];
      const found = own ? await this.compared(states, t, tail, own) : await this.answered(states, t, tail);
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
    const program = await this.programs.reference();
    const all: Float32Array[] = [];
    for (const [t, { places }] of tails.entries()) {
      const x = this.rowsOf([state!.tails[t]!], places);
      const { logProbs } = await program.run({ x: this.hidden(x, [places.length]), ...this.headFeeds });
      all.push(logProbs!.data as Float32Array);
    }
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
    const program = await this.programs.layer({ fullHeads: reach.fullHeads, prefix: length > 0, keeps });
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

  private hidden(x: Float32Array, sizes: readonly number[]): Value {
    return float32(x, [...sizes, this.config.hiddenSize]);
  }

  /** The judged rows of each [n, D], one behind the other. */
  private rowsOf(sequences: readonly Float32Array[], places: readonly number[]): Float32Array {
    const { hiddenSize: D } = this.config;
    const x = new Float32Array(sequences.length * places.length * D);
    for (const [s, own] of sequences.entries()) {
      for (const [i, place] of places.entries()) {
        x.set(own.subarray(place * D, (place + 1) * D), (s * places.length + i) * D);
      }
    }
    return x;
  }

  private async answered(states: readonly State[], t: number, { ids, places }: Tail): Promise<TailJudged[]> {
    const program = await this.programs.answers();
    const targets = places.map((place) => ids[place + 1]!);
    const judged: TailJudged[] = [];
    const most = Math.max(1, Math.floor(LOGITS / this.config.vocabSize / places.length));
    for (let from = 0; from < states.length; from += most) {
      const part = states.slice(from, from + most);
      const M = part.length * places.length;
      const { loss, best } = await program.run({
        x: this.hidden(
          this.rowsOf(
            part.map(({ tails }) => tails[t]!),
            places,
          ),
          [M],
        ),
        targets: int64(
          part.flatMap(() => targets),
          [M],
        ),
        ...this.headFeeds,
      });
      for (let s = 0; s < part.length; s++) {
        const [a, b] = [s * places.length, (s + 1) * places.length];
        const found = [...(best!.data as BigInt64Array).subarray(a, b)].map(Number);
        judged.push({
          losses: [...(loss!.data as Float32Array).subarray(a, b)],
          right: found.every((id, i) => id === targets[i]),
          kl: [],
        });
      }
    }
    return judged;
  }

  private async compared(
    states: readonly State[],
    t: number,
    { ids, places }: Tail,
    reference: Float32Array,
  ): Promise<TailJudged[]> {
    const program = await this.programs.divergence();
    const { vocabSize } = this.config;
    const M = places.length;
    const most = Math.max(1, Math.floor(LOGITS / vocabSize / M));
    const judged: TailJudged[] = [];
    for (let from = 0; from < states.length; from += most) {
      const part = states.slice(from, from + most);
      const { kl, loss } = await program.run({
        x: this.hidden(
          this.rowsOf(
            part.map(({ tails }) => tails[t]!),
            places,
          ),
          [part.length, M],
        ),
        reference: float32(reference, [M, vocabSize]),
        targets: int64(
          places.map((place) => ids[place + 1]!),
          [M],
        ),
        ...this.headFeeds,
      });
      for (let s = 0; s < part.length; s++) {
        const own = ({ data }: Value) => [...(data as Float32Array).subarray(s * M, (s + 1) * M)];
        judged.push({ losses: own(loss!), right: false, kl: own(kl!) });
      }
    }
    return judged;
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
