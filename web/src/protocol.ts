import type { ChatMessage, GenerateOptions, ProgressEvent } from 'postnas';

/** What the page and its worker tell each other. All of it is plain data. */

/** Where a model comes from. */
export type Source =
  /** An address, or a name on the Hub at `hubUrl`. */
  | { kind: 'place'; place: string; hubUrl?: string }
  /** A folder of the user. */
  | { kind: 'files'; name: string; files: File[] };

export type Device = 'cpu' | 'webgpu';

/** A text to go on from, or a conversation to answer. */
export type Prompt = string | ChatMessage[];

export type Request =
  | { type: 'load'; source: Source; device: Device | 'auto'; isSmall: boolean }
  | {
      type: 'write';
      prompt: Prompt;
      options: Pick<GenerateOptions, 'maxNewTokens' | 'temperature' | 'eosTokenIds'>;
    }
  /** Ends what is under way. */
  | { type: 'stop' };

export interface Loaded {
  name: string;
  /** A letter per layer, as the command line shows it. */
  architecture: string;
  kinds: string[];
  parameters: number;
  contextLength: number;
  vocabSize: number;
  hasChatTemplate: boolean;
  device: Device;
  threads: number;
  seconds: number;
  /** Bytes of a sequence by its tokens, of the model and of its parent with full attention in every layer. */
  memory: { tokens: number[]; model: number[]; parent: number[] };
}

export interface Token {
  id: number;
  text: string;
  /** Of the sequence, this one included. */
  context: number;
  /** Since the token before, or the start. */
  milliseconds: number;
}

export interface Written {
  finish: 'stop' | 'length' | 'stopped';
  promptTokens: number;
  /** Of the prompt, not read again. */
  cachedTokens: number;
  tokens: number;
}

export type Reply =
  | { type: 'progress'; event: ProgressEvent }
  | { type: 'loaded'; model: Loaded }
  | { type: 'token'; token: Token }
  | { type: 'written'; written: Written }
  /** What was asked for last has failed, or was stopped while loading. */
  | { type: 'failed'; message: string; stopped: boolean };
