import type { ModelName } from './shapes.ts';

/** What is measured, and how the parts of the benchmark speak of it. Plain data: it travels between processes. */

export const PEERS = ['postnas', 'llama', 'transformers'] as const;
export type Peer = (typeof PEERS)[number];

export const DTYPES = ['q8', 'q4'] as const;
export type Dtype = (typeof DTYPES)[number];

/** Exact, as postnas can keep keys and values, or all of them in 8 bits, as llama.cpp can. */
export type OtherKv = 'f32' | 'q8';

export interface Contender {
  peer: Peer;
  shape: string;
  model: ModelName;
  dtype: Dtype;
  /** Of keys and values, if not as the peer keeps them when not asked. */
  kv?: OtherKv;
}

export type Task =
  /** Writing tokens after a context of so many. */
  | { kind: 'decode'; context: number; tokens: number }
  /** Reading a prompt of so many tokens up to the first token after it. */
  | { kind: 'prefill'; context: number };

/** What a child process is asked. */
export interface Turn {
  contender: Contender;
  task: Task;
  threads: number;
  /** Where the peers are installed and files are kept. */
  cache: string;
}

/** What a child process answers. */
export interface Outcome {
  tokensPerSecond: number;
  /**
   * Per second of processor time, over all threads. Steadier than the clock where others use the machine; but threads
   * that wait for each other by spinning count, so that it says most with one thread.
   */
  tokensPerProcessorSecond: number;
  /** How the context came about, and what differs from what was asked. */
  setUp: string;
  /** Largest resident memory of the process, in bytes. */
  peakBytes: number;
  /** Share of the machine's processor time that other processes used meanwhile, 0 to 1. */
  others: number;
}

/** A model at work within a child process. */
export interface Player {
  /** The state of a context, without the time it takes counting. Says how it was made. */
  deepen(context: number): Promise<string>;
  /** One more token, by greedy decoding. */
  step(): Promise<void>;
  /** Reads a prompt from the start of a sequence, up to its first token. */
  read(ids: readonly number[]): Promise<void>;
  /** What differs from what was asked, such as another type of weights. */
  readonly remark?: string;
}
