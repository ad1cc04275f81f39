import { float32, type Memory, type Value, type Values, zeros } from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { deviceState, growingLayers } from './recording.ts';
import { Tools } from './tools.ts';

/**
 * What a model remembers of B sequences, on a device. It never changes: a run makes another one, and what is alike in
 * both, such as the past of attention layers, is the same value. So a fork is a further user, nothing more.
 *
 * The newest token of every row stands last: shorter rows have places before their first token, which are hidden.
 */

/** Added to the scores of what must not be seen: finite, so that sums stay numbers. */
export const HIDDEN = -1e30;

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
  /** What is added to scores of the past [B, P]. */
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
  readonly growing: ReadonlyMap<number, Growing>;
  readonly hidden: Value;
  readonly starts: readonly number[];
  private users = 1;

  /** Belongs to the caller, who releases it. */
  constructor(
    private readonly store: RowsStore,
    { state, growing, hidden, starts }: RowsContent,
  ) {
    this.state = state;
    this.growing = growing;
    this.hidden = hidden;
    this.starts = starts;
    for (const value of this.values()) store.retain(value);
  }

  /** One row without tokens: a hidden place in the past and one in the tail, for no value may be empty. */
  static async empty(config: ModelConfig, store: RowsStore): Promise<Rows> {
    const { numKvHeads: KV, headDim: d } = config;
    const { memory } = store;
    const state: Values = {};
    for (const { name, shape } of deviceState(config))
      state[name] = await memory.upload(zeros([1, ...shape]));
    const growing = new Map<number, Growing>();
    for (const layer of growingLayers(config)) {
      const keys = async () => memory.upload(zeros([1, KV, d, 1]));
      const values = async () => memory.upload(zeros([1, KV, 1, d]));
      growing.set(layer, {
        pastK: await keys(),
        pastV: await values(),
        tailK: await keys(),
        tailV: await values(),
      });
    }
    const hidden = await memory.upload(float32(Float32Array.of(HIDDEN), [1, 1]));
    return new Rows(store, { state, growing, hidden, starts: [2] });
  }

  /** So many rows of so many places in the past, all of one small number. */
  static async drawn(empty: Rows, count: number, places: number): Promise<Rows> {
    const { store } = empty;
    const { tools } = store;
    const rows = await empty.select(new Array<number>(count).fill(0));
    const before = async (value: Value, axis: number, fill = 0.01) =>
      tools.padBefore(value, axis, places, fill);
    const growing = new Map<number, Growing>();
    for (const [layer, { pastK, pastV, tailK, tailV }] of rows.growing) {
      growing.set(layer, { pastK: await before(pastK, 3), pastV: await before(pastV, 2), tailK, tailV });
    }
    const hidden = await before(rows.hidden, 1, 0);
    const drawn = new Rows(store, { state: rows.state, growing, hidden, starts: rows.starts.map(() => 0) });
    rows.release();
    return drawn;
  }

  /** Rows [B]. */
  get size(): number {
    return this.starts.length;
  }

  /** Places of the past [P]. */
  get past(): number {
    return this.hidden.dims[1]!;
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

  /** The same with all but the newest token in the past. */
  settled(): Promise<Rows> {
    const { tail, past, starts, store } = this;
    if (tail === 1) return Promise.resolve(this.retain());
    const { tools } = store;
    // The tail hides what lies before the first token, as the past does.
    const more = new Float32Array(this.size * (tail - 1));
    for (const [b, start] of starts.entries()) {
      const count = Math.max(0, Math.min(tail - 1, start - past));
      more.fill(HIDDEN, b * (tail - 1), b * (tail - 1) + count);
    }
    return this.made(async () => {
      const growing = new Map<number, Growing>();
      for (const [layer, { pastK, pastV, tailK, tailV }] of this.growing) {
        const keys = await tools.settle(pastK, tailK, 3);
        const values = await tools.settle(pastV, tailV, 2);
        growing.set(layer, { pastK: keys.past, tailK: keys.tail, pastV: values.past, tailV: values.tail });
      }
      const hidden = await tools.concat([this.hidden, float32(more, [this.size, tail - 1])], 1);
      return { state: this.state, growing, hidden, starts };
    });
  }

  /** Some of the rows; places that none of them uses go. For rows that are settled. */
  select(rows: readonly number[]): Promise<Rows> {
    if (rows.length === this.size && rows.every((row, i) => row === i)) return Promise.resolve(this.retain());
    const { tools } = this.store;
    const starts = rows.map((row) => this.starts[row]!);
    // One place stays, if hidden, for no value may be empty.
    const unused = Math.max(0, Math.min(this.past - 1, ...starts.map((start) => start - 1)));
    return this.made(async () => {
      const all = (value: Value) => tools.select(value, rows);
      const cut = async (value: Value, axis: number) => {
        const some = await all(value);
        if (unused === 0) return some;
        const rest = await tools.drop(some, axis, unused);
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
      const hidden = await cut(this.hidden, 1);
      return { state, growing, hidden, starts: starts.map((start) => start - unused) };
    });
  }

  /** All rows of several, one after the other; all are settled. */
  static async join(parts: readonly Rows[]): Promise<Rows> {
    const [first] = parts as [Rows];
    if (parts.length === 1) return first.retain();
    const { store } = first;
    const { tools, memory } = store;
    const past = Math.max(...parts.map((part) => part.past));
    const joined = async (of: (part: Rows) => Value, axis?: number, fill = 0) => {
      const values: Value[] = [];
      const made: Value[] = [];
      for (const part of parts) {
        const missing = axis === undefined ? 0 : past - part.past;
        const value = missing > 0 ? await tools.padBefore(of(part), axis!, missing, fill) : of(part);
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
    const hidden = await joined((part) => part.hidden, 1, HIDDEN);
    const starts = parts.flatMap((part) => part.starts.map((start) => start + past - part.past));
    return new Rows(store, { state, growing, hidden, starts });
  }

  private async made(make: () => Promise<RowsContent>): Promise<Rows> {
    return new Rows(this.store, await make());
  }
}
