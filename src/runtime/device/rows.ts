import { float32, type Memory, type Value, type Values, zeros } from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { MASKED } from '../kv/mask.ts';
import { BLOCK, deviceState, growingLayers } from './recording.ts';
import { Tools } from './tools.ts';

/**
 * What a model remembers of B sequences, on a device. It never changes: a run makes another one, and what is alike in
 * both, such as the past of attention layers, is the same value. So a fork is a further user, nothing more.
 *
 * The newest token of every row stands last: shorter rows have places before their first token, which are hidden.
 */

interface Growing {
  /** [B, KV, d, P], [B, KV, P, d] */
  pastK: Value;
  pastV: Value;
  /** [B, KV, d, R], [B, KV, R, d] */
  tailK: Value;
  tailV: Value;
}

export interface RowsContent {
  state: Values;
  /** By layer. */
  growing: ReadonlyMap<number, Growing>;
  /** What is added to scores of the past [B, P / BLOCK, BLOCK]. */
  hidden: Value;
  /** Places before the first token, of each row. */
  starts: readonly number[];
}

/** Values of a device that several rows may have in common. */
export class RowsStore {
  readonly tools: Tools;
  private readonly users = new Map<Value, number>();

  constructor(readonly memory: Memory) {
    this.tools = new Tools(memory);
  }

  retain(value: Value): void {
    this.users.set(value, (this.users.get(value) ?? 0) + 1);
  }

  release(value: Value): void {
    const users = this.users.get(value)! - 1;
    if (users > 0) this.users.set(value, users);
    else {
      this.users.delete(value);
      this.memory.free(value);
    }
  }
}

export class Rows implements RowsContent {
  readonly state: Values;
  readonly growing: Map<number, Growing>;
  hidden: Value;
  starts: readonly number[];
  private users = 1;

  /** Belongs to the caller, who releases it. */
  constructor(
    private readonly store: RowsStore,
    { state, growing, hidden, starts }: RowsContent,
  ) {
    this.state = state;
    this.growing = new Map(growing);
    this.hidden = hidden;
    this.starts = starts;
    for (const value of this.values()) store.retain(value);
  }

  /** Of values on the device, with so many places in the past. */
  static async of(store: RowsStore, content: Omit<RowsContent, 'hidden'>, past: number): Promise<Rows> {
    return new Rows(store, { ...content, hidden: await hiding(store, content.starts, past) });
  }

  /** One row without tokens: a hidden block in the past and a place in the tail, for no value may be empty. */
  static async empty(config: ModelConfig, store: RowsStore): Promise<Rows> {
    const { headDim: d } = config;
    const { memory } = store;
    const state: Values = {};
    for (const { name, shape } of deviceState(config))
      state[name] = await memory.upload(zeros([1, ...shape]));
    const growing = new Map<number, Growing>();
    for (const [layer, KV] of growingLayers(config)) {
      const keys = async (places: number) => memory.upload(zeros([1, KV, d, places]));
      const values = async (places: number) => memory.upload(zeros([1, KV, places, d]));
      growing.set(layer, {
        pastK: await keys(BLOCK),
        pastV: await values(BLOCK),
        tailK: await keys(1),
        tailV: await values(1),
      });
    }
    return Rows.of(store, { state, growing, starts: [BLOCK + 1] }, BLOCK);
  }

  /** So many rows of so many places, all of one small number. */
  static async drawn(empty: Rows, count: number, places: number): Promise<Rows> {
    const { store } = empty;
    const { tools } = store;
    const rows = await empty.select(new Array<number>(count).fill(0));
    const past = Math.max(1, Math.ceil((places - 1) / BLOCK)) * BLOCK;
    const before = async (value: Value, axis: number) =>
      past > BLOCK ? tools.padBefore(value, axis, past - BLOCK, 0.01) : value;
    const growing = new Map<number, Growing>();
    for (const [layer, { pastK, pastV, tailK, tailV }] of rows.growing) {
      growing.set(layer, { pastK: await before(pastK, 3), pastV: await before(pastV, 2), tailK, tailV });
    }
    const starts = rows.starts.map(() => past + 1 - places);
    const drawn = await Rows.of(store, { state: rows.state, growing, starts }, past);
    rows.release();
    return drawn;
  }

  /** Rows [B]. */
  get size(): number {
    return this.starts.length;
  }

  /** Places of the past [P]. */
  get past(): number {
    return this.hidden.dims[1]! * BLOCK;
  }

  /** Places of the tail [R]; 1 where no layer has one. */
  get tail(): number {
    const [first] = this.growing.values();
    return first?.tailV.dims[2] ?? 1;
  }

  *values(): Iterable<Value> {
    yield* Object.values(this.state);
    for (const each of this.growing.values()) yield* Object.values(each);
    yield this.hidden;
  }

  retain(): this {
    this.users++;
    return this;
  }

  release(): void {
    if (--this.users > 0) return;
    for (const value of this.values()) this.store.release(value);
  }

  /** Has all but the newest token go over into the past, a layer at a time, so that little is there twice. */
  async settle(): Promise<void> {
    const { tail, past, store } = this;
    if (tail === 1) return;
    const { tools } = store;
    // Blocks are whole: what is too much is taken away from, or added to, the hidden places before the first tokens.
    const total = past + tail - 1;
    const over = total % BLOCK;
    const shift = Math.min(...this.starts) >= over ? -over : BLOCK - over;
    const settled = async (name: 'K' | 'V', layer: Growing, axis: number): Promise<Growing> => {
      const whole = await tools.settle(layer[`past${name}`], layer[`tail${name}`], axis);
      const fitted = shift === 0 ? whole.past : await tools.shift(whole.past, axis, shift);
      if (fitted !== whole.past) store.memory.free(whole.past);
      return { ...layer, [`past${name}`]: fitted, [`tail${name}`]: whole.tail };
    };
    const replace = (layer: number, by: Growing) => {
      const before = Object.values(this.growing.get(layer)!);
      for (const value of Object.values(by)) store.retain(value);
      this.growing.set(layer, by);
      for (const value of before) store.release(value);
    };
    for (const layer of this.growing.keys()) {
      replace(layer, await settled('K', this.growing.get(layer)!, 3));
      replace(layer, await settled('V', this.growing.get(layer)!, 2));
    }
    this.starts = this.starts.map((start) => start + shift);
    const hidden = await hiding(store, this.starts, total + shift);
    store.retain(hidden);
    store.release(this.hidden);
    this.hidden = hidden;
  }

  /** The same, settled, which may be these. */
  async settled(): Promise<Rows> {
    if (this.tail === 1) return this.retain();
    const copy = new Rows(this.store, this);
    await copy.settle();
    return copy;
  }

  /** Some of the rows; places that none of them uses go. For rows that are settled. */
  select(rows: readonly number[]): Promise<Rows> {
    if (rows.length === this.size && rows.every((row, i) => row === i)) return Promise.resolve(this.retain());
    const { tools } = this.store;
    const starts = rows.map((row) => this.starts[row]!);
    // A block stays, if hidden, for no value may be empty.
    const least = Math.min(this.past - BLOCK, ...starts);
    const unused = least - (least % BLOCK);
    return this.made(async () => {
      const all = (value: Value) => tools.select(value, rows);
      const cut = async (value: Value, axis: number) => {
        const some = await all(value);
        if (unused === 0) return some;
        const rest = await tools.shift(some, axis, -unused);
        this.store.memory.free(some);
        return rest;
      };
      const state: Values = {};
      for (const [name, value] of Object.entries(this.state)) state[name] = await all(value);
      const growing = new Map<number, Growing>();
      for (const [layer, { pastK, pastV, tailK, tailV }] of this.growing) {
        growing.set(layer, {
          pastK: await cut(pastK, 3),
          pastV: await cut(pastV, 2),
          tailK: await all(tailK),
          tailV: await all(tailV),
        });
      }
      const left = starts.map((start) => start - unused);
      return { state, growing, hidden: await hiding(this.store, left, this.past - unused), starts: left };
    });
  }

  /** All rows of several, one after the other; all are settled. */
  static async join(parts: readonly Rows[]): Promise<Rows> {
    const [first] = parts as [Rows];
    if (parts.length === 1) return first.retain();
    const { store } = first;
    const { tools, memory } = store;
    const past = Math.max(...parts.map((part) => part.past));
    const joined = async (of: (part: Rows) => Value, axis?: number) => {
      const values: Value[] = [];
      const made: Value[] = [];
      for (const part of parts) {
        const missing = axis === undefined ? 0 : past - part.past;
        const value = missing > 0 ? await tools.padBefore(of(part), axis!, missing, 0) : of(part);
        if (missing > 0) made.push(value);
        values.push(value);
      }
      const all = await tools.concat(values, 0);
      memory.free(...made);
      return all;
    };
    const state: Values = {};
    for (const name of Object.keys(first.state)) state[name] = await joined((part) => part.state[name]!);
    const growing = new Map<number, Growing>();
    for (const layer of first.growing.keys()) {
      const of = (name: keyof Growing) => (part: Rows) => part.growing.get(layer)![name];
      growing.set(layer, {
        pastK: await joined(of('pastK'), 3),
        pastV: await joined(of('pastV'), 2),
        tailK: await joined(of('tailK')),
        tailV: await joined(of('tailV')),
      });
    }
    const starts = parts.flatMap((part) => part.starts.map((start) => start + past - part.past));
    return Rows.of(store, { state, growing, starts }, past);
  }

  private async made(make: () => Promise<RowsContent>): Promise<Rows> {
    return new Rows(this.store, await make());
  }
}

/** Bias for the past: places before a row's start are hidden [B, past / BLOCK, BLOCK]. */
function hiding(store: RowsStore, starts: readonly number[], past: number): Promise<Value> {
  const values = new Float32Array(starts.length * past);
  for (const [b, start] of starts.entries()) {
    values.fill(MASKED, b * past, b * past + Math.min(start, past));
  }
  return store.memory.upload(float32(values, [starts.length, past / BLOCK, BLOCK]));
}
