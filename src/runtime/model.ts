import type { Device } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import type { GenerationConfig } from '../model/generation-config.ts';
import type { HubOptions, ModelFiles } from '../model/model-files.ts';
import { openModel } from '../model/open-model.ts';
import type { DeviceDtype } from '../model/quantized-tensors.ts';
import { readCheckpoint } from '../model/read-checkpoint.ts';
import {
  type ChatMessage,
  type ChatTemplateOptions,
  readTokenizer,
  type Tokenizer,
} from '../model/tokenizer.ts';
import { InputError } from '../util/errors.ts';
import { checkKnown } from '../util/known-options.ts';
import type { OnProgress } from '../util/progress.ts';
import { turn } from '../util/turn.ts';
import { type ChatPrompt, chatPrompt } from './chat-prompt.ts';
import { Continuation, type ContinuationOptions, type GeneratedToken } from './continuation.ts';
import { checkOptions, Engine } from './engine.ts';
import type { KvDtype } from './kv/blocks.ts';
import { PrefixCache } from './prefix-cache.ts';
import { readWholePrompt } from './read-prompt.ts';

/** A model ready to write: weights, tokenizer and sampling behind one object. */

export interface LoadOptions extends HubOptions {
  device?: Device;
  /**
   * Of ONNX Runtime; 0, the default, for all cores. In a browser: for half of the cores and at most four, as the first
   * model says for all; one in a page itself (outside of a worker), or without cross-origin isolation (COOP and COEP).
   */
  threads?: number;
  /** Of the weights: as the folder has them when absent, in 8 or 4 bits, or float32. */
  dtype?: DeviceDtype;
  /**
   * Of the keys and values that attention layers keep: all exact (f32), or q8, full blocks of 4,096 tokens in 8 bits, a
   * quarter of the memory and faster to read. When absent, as weights are: q8 where those have few bits. On devices f32.
   */
  kvDtype?: KvDtype;
  /** Sequences will take their steps in batches, as those of a `Scheduler` do: that is what is compiled first. */
  batches?: boolean;
  /** Texts will be scored and none written: nothing is compiled for that before it is asked for. */
  scoring?: boolean;
  /** Bytes for snapshots of prompts, from which prompts that begin alike start; 0, the default, keeps none. */
  prefixCacheBytes?: number;
}

export interface GenerateOptions extends ContinuationOptions {
  /** Places in the prompt, in tokens, after which a snapshot is kept, where there is a prefix cache. */
  boundaries?: readonly number[];
  /** Ends the generation within one token, with the signal's reason as error. */
  signal?: AbortSignal;
  /** Told of the reading of the prompt. */
  onProgress?: OnProgress;
}

const LOAD: Record<keyof LoadOptions, true> = {
  ...{ device: true, threads: true, dtype: true, kvDtype: true, batches: true, scoring: true },
  prefixCacheBytes: true,
  ...{ revision: true, hubUrl: true, onProgress: true, signal: true },
};

const GENERATE: Record<keyof GenerateOptions, true> = {
  ...{ maxNewTokens: true, temperature: true, topK: true, topP: true, minP: true, seed: true },
  ...{ repetitionPenalty: true, frequencyPenalty: true, presencePenalty: true, logitBias: true },
  ...{ stop: true, eosTokenIds: true, topLogProbs: true, constraint: true },
  ...{ boundaries: true, signal: true, onProgress: true },
};

export class Model {
  private constructor(
    readonly engine: Engine,
    /** null for a folder without tokenizer.json: prompts are token ids then, and tokens have no text. */
    readonly tokenizer: Tokenizer | null,
    readonly generation: GenerationConfig,
    private readonly name: string,
    /** What it was loaded from. */
    readonly files: ModelFiles,
    /** Snapshots of prompts; null where none are kept. */
    readonly prefixes: PrefixCache | null,
    /** Sentences on what the model's files say and this package does not follow, to be shown to the user. */
    readonly notices: readonly string[],
  ) {}

  /**
   * Loads a model in Hugging Face's layout: of the hub by its name, or a folder; in a browser an address that begins
   * with https://, / or ./, or the files themselves.
   *
   * @throws InputError naming the option, file, tensor or field at fault and what was expected
   */
  static async fromPretrained(source: string | ModelFiles, options: LoadOptions = {}): Promise<Model> {
    // Before anything is downloaded.
    checkKnown(options, LOAD);
    checkOptions(options);
    const files = typeof source === 'string' ? await openModel(source, options) : source;
    const { config, weights, generation, notices = [] } = readCheckpoint(files);
    const tokenizer = files.has('tokenizer.json') ? readTokenizer(files) : null;
    const { prefixCacheBytes = 0 } = options;
    if (!(prefixCacheBytes >= 0)) {
      throw new InputError(`prefixCacheBytes is ${prefixCacheBytes}, expected a number of at least 0`);
    }
    const engine = await Engine.create(config, weights, options);
    const prefixes = prefixCacheBytes > 0 ? new PrefixCache(prefixCacheBytes) : null;
    return new Model(
      engine,
      tokenizer,
      generation,
      typeof source === 'string' ? source : files.path,
      files,
      prefixes,
      notices,
    );
  }

  get config(): ModelConfig {
    return this.engine.config;
  }

  /** The longest text in tokens, the prompt included. */
  get contextLength(): number {
    return this.engine.contextLength;
  }

  /**
   * Goes on from a text or from token ids. A text is encoded as the tokenizer does by itself, with a begin-of-text
   * token where the model has one.
   *
   * @throws InputError for an option that is unknown or out of range, an empty prompt, or one that leaves no room in the context
   */
  async *generate(
    prompt: string | readonly number[],
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken, void, undefined> {
    checkKnown(options, GENERATE);
    const { signal } = options;
    signal?.throwIfAborted();
    const tokens = this.encode(prompt);
    const text = new Continuation(this, tokens, options);
    const read = await readWholePrompt(this.engine, this.prefixes, tokens, options);
    using sequence = read.sequence;
    let { logits } = read;
    text.cachedTokens = read.cachedTokens;
    for (;;) {
      signal?.throwIfAborted();
      const token = text.next(logits);
      yield token;
      if (token.finish) return;
      await turn();
      signal?.throwIfAborted();
      logits = await this.engine.append(sequence, [token.id]);
    }
  }

  /**
   * The assistant's answer to a conversation, through the tokenizer's chat template.
   *
   * @throws InputError as `generate` does, and where the tokenizer has no chat template
   */
  chat(
    messages: ChatMessage[],
    options: GenerateOptions & Pick<ChatTemplateOptions, 'tools'> = {},
  ): AsyncGenerator<GeneratedToken, void, undefined> {
    const { tools, ...rest } = options;
    const { ids, boundaries } = this.encodeChat(messages, tools);
    return this.generate(ids, { ...rest, boundaries });
  }

  /** The tokens of a prompt; a text is encoded as the tokenizer does by itself. */
  encode(prompt: string | readonly number[]): number[] {
    return typeof prompt === 'string' ? this.requireTokenizer().encode(prompt) : [...prompt];
  }

  /** A conversation up to the assistant's turn, and the ends of its messages, where snapshots are worth keeping. */
  encodeChat(messages: ChatMessage[], tools?: unknown[]): ChatPrompt {
    return chatPrompt(this.requireTokenizer(), messages, { tools, boundaries: this.prefixes !== null });
  }

  private requireTokenizer(): Tokenizer {
    if (this.tokenizer) return this.tokenizer;
    throw new InputError(`${this.name} has no tokenizer.json: give the prompt as token ids`);
  }

  /** Frees the memory. A generation under way fails at its next token. */
  async dispose(): Promise<void> {
    this.prefixes?.clear();
    await this.engine.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
