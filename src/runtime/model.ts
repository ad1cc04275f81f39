import type { Device } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import type { GenerationConfig } from '../model/hf-config.ts';
import type { HubOptions, ModelFiles } from '../model/model-files.ts';
import { openModel } from '../model/open-model.ts';
import type { WeightDtype } from '../model/quantized-tensors.ts';
import { readCheckpoint } from '../model/read-checkpoint.ts';
import {
  type ChatMessage,
  type ChatTemplateOptions,
  readTokenizer,
  type Tokenizer,
} from '../model/tokenizer.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import { turn } from '../util/turn.ts';
import { Engine } from './engine.ts';
import { PrefixCache, type PrefixRead } from './prefix-cache.ts';
import { createSampler, logSumExp, type SamplingOptions, topLogProbs } from './sampler.ts';
import { StopStrings } from './stop.ts';

/** A model ready to write: weights, tokenizer and sampling behind one object. */

export interface LoadOptions extends HubOptions {
  device?: Device;
  /**
   * Of ONNX Runtime; 0, the default, for all cores. In a browser: for half of the cores and at most four, as the first
   * model says for all; one in a page itself (outside of a worker), or without cross-origin isolation (COOP and COEP).
   */
  threads?: number;
  /** Of the weights: as the folder has them when absent, in 8 or 4 bits, or float32. */
  dtype?: WeightDtype;
  /** Bytes for snapshots of prompts, from which prompts that begin alike start; 0, the default, keeps none. */
  prefixCacheBytes?: number;
}

/** Sampling options that are absent are taken from the model's generation_config.json; without it, decoding is greedy. */
export interface GenerateOptions extends SamplingOptions {
  /** At most so many tokens; 256 unless told here or by the model. The end of the context ends the text too. */
  maxNewTokens?: number;
  /** Strings that end the text; they are not part of it. */
  stop?: string | readonly string[];
  /** Tokens that end the text, in place of the model's; [] for none. */
  eosTokenIds?: readonly number[];
  /** So many of the most probable tokens are told beside each one that is chosen; 0 unless asked for. */
  topLogProbs?: number;
  /** Places in the prompt, in tokens, after which a snapshot is kept, where there is a prefix cache. */
  boundaries?: readonly number[];
  /** Ends the generation within one token, with the signal's reason as error. */
  signal?: AbortSignal;
  /** Told of the reading of the prompt. */
  onProgress?: OnProgress;
}

export interface GeneratedToken {
  id: number;
  /** What the text grows by, whole characters only: often empty. Of tokens that end the text, what was held back. */
  text: string;
  /** Natural logarithm of the probability that the model gave this token, before any sampling option. */
  logProb: number;
  /** The most probable tokens and the logarithms of their probabilities, where asked for. */
  top?: { id: number; logProb: number }[];
  /** On the last token. */
  usage?: Usage;
  /** On the last token: the model or a stop string ended the text, or the token limit or the context did. */
  finish?: 'stop' | 'length';
}

interface Usage {
  promptTokens: number;
  /** Of the prompt's, those that a snapshot saved from being read. */
  cachedTokens: number;
  completionTokens: number;
}

const MAX_NEW_TOKENS = 256;
/** Tokens of the prompt that the text is decoded after: decoders treat the first token of a text differently. */
const DECODED_BEFORE = 16;

export class Model {
  private constructor(
    readonly engine: Engine,
    /** null for a folder without tokenizer.json: prompts are token ids then, and tokens have no text. */
    readonly tokenizer: Tokenizer | null,
    readonly generation: GenerationConfig,
    private readonly name: string,
    /** Snapshots of prompts; null where none are kept. */
    readonly prefixes: PrefixCache | null,
  ) {}

  /**
   * Loads a model in Hugging Face's layout: of the hub by its name, or a folder; in a browser an address that begins
   * with https://, / or ./, or the files themselves.
   *
   * @throws InputError naming the file, tensor or field at fault and what was expected
   */
  static async fromPretrained(source: string | ModelFiles, options: LoadOptions = {}): Promise<Model> {
    const files = typeof source === 'string' ? await openModel(source, options) : source;
    const { config, weights, generation } = readCheckpoint(files);
    const tokenizer = files.has('tokenizer.json') ? readTokenizer(files) : null;
    const { prefixCacheBytes = 0 } = options;
    if (!(prefixCacheBytes >= 0)) {
      throw new InputError(`prefixCacheBytes is ${prefixCacheBytes}, expected a number of at least 0`);
    }
    const engine = await Engine.create(config, weights, options);
    const prefixes = prefixCacheBytes > 0 ? new PrefixCache(engine, prefixCacheBytes) : null;
    return new Model(
      engine,
      tokenizer,
      generation,
      typeof source === 'string' ? source : files.path,
      prefixes,
    );
  }

  get config(): ModelConfig {
    return this.engine.config;
  }

  /**
   * Goes on from a text or from token ids. A text is encoded as the tokenizer does by itself, with a begin-of-text
   * token where the model has one.
   *
   * @throws InputError for an option out of range, an empty prompt, or one that leaves no room in the context
   */
  async *generate(
    prompt: string | readonly number[],
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken, void, undefined> {
    const { signal, topLogProbs: top = 0 } = options;
    signal?.throwIfAborted();
    if (!Number.isInteger(top) || top < 0) {
      throw new InputError(`topLogProbs is ${top}, expected a whole number of at least 0`);
    }
    const sample = createSampler(samplingOptions(options, this.generation));
    const maxNewTokens = options.maxNewTokens ?? this.generation.maxNewTokens ?? MAX_NEW_TOKENS;
    if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1) {
      throw new InputError(`maxNewTokens is ${maxNewTokens}, expected a whole number above 0`);
    }
    const tokens = typeof prompt === 'string' ? this.requireTokenizer().encode(prompt) : [...prompt];
    const { contextLength } = this.engine;
    if (tokens.length >= contextLength) {
      throw new InputError(
        `the prompt has ${tokens.length} tokens: no room for another in the model's context of ${contextLength}`,
      );
    }
    const ends = new Set(options.eosTokenIds ?? this.endTokens());
    const text = new TextStream(this.tokenizer, tokens, stopStrings(options.stop));

    const promptTokens = tokens.length;
    const read = await this.read(tokens, options);
    using sequence = read.sequence;
    let { logits } = read;
    const chosen = (id: number) => ({
      id,
      logProb: logits[id]! - logSumExp(logits),
      ...(top > 0 ? { top: topLogProbs(logits, top) } : {}),
    });
    const usage = (completionTokens: number): Usage => ({
      promptTokens,
      cachedTokens: read.cachedTokens,
      completionTokens,
    });
    for (let count = 1; ; count++) {
      signal?.throwIfAborted();
      const id = sample(logits, tokens, promptTokens);
      const token = chosen(id);
      tokens.push(id);
      if (ends.has(id)) {
        yield { ...token, text: text.flush(), finish: 'stop', usage: usage(count) };
        return;
      }
      const { piece, stopped } = text.push(id);
      if (stopped) {
        yield { ...token, text: piece, finish: 'stop', usage: usage(count) };
        return;
      }
      if (count === maxNewTokens || tokens.length === contextLength) {
        yield { ...token, text: piece + text.flush(), finish: 'length', usage: usage(count) };
        return;
      }
      yield { ...token, text: piece };
      await turn();
      signal?.throwIfAborted();
      logits = await this.engine.append(sequence, [id]);
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
    const tokenizer = this.requireTokenizer();
    const encode = (count: number, addGenerationPrompt: boolean) => {
      const text = tokenizer.applyChatTemplate(messages.slice(0, count), { tools, addGenerationPrompt });
      return tokenizer.encode(text, { addSpecialTokens: false });
    };
    const ids = encode(messages.length, true);
    if (!this.prefixes) return this.generate(ids, rest);
    // The end of each message, where the template leaves its beginning as it is.
    const boundaries = messages.flatMap((_, i) => {
      const start = encode(i + 1, false);
      return start.every((id, at) => id === ids[at]) ? [start.length] : [];
    });
    return this.generate(ids, { ...rest, boundaries });
  }

  private async read(
    ids: readonly number[],
    { boundaries, onProgress, signal }: GenerateOptions,
  ): Promise<PrefixRead> {
    if (this.prefixes) return this.prefixes.read(ids, { boundaries, onProgress, signal });
    const sequence = this.engine.start();
    const logits = await this.engine.append(sequence, ids, { onProgress, signal });
    return { sequence, logits, cachedTokens: 0 };
  }

  private requireTokenizer(): Tokenizer {
    if (this.tokenizer) return this.tokenizer;
    throw new InputError(`${this.name} has no tokenizer.json: give the prompt as token ids`);
  }

  private endTokens(): readonly number[] {
    const { eosTokenIds } = this.generation;
    return eosTokenIds.length > 0 ? eosTokenIds : (this.tokenizer?.eosIds ?? []);
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

/** What is asked for here, else what the model's makers want. A filter that is asked for means sampling. */
function samplingOptions(options: SamplingOptions, generation: GenerationConfig): SamplingOptions {
  const asked = [options.topK, options.topP, options.minP].some((value) => value !== undefined);
  const sampling = asked || generation.doSample === true;
  return {
    temperature: options.temperature ?? (sampling ? (generation.temperature ?? 1) : 0),
    topK: options.topK ?? generation.topK,
    topP: options.topP ?? generation.topP,
    minP: options.minP,
    repetitionPenalty: options.repetitionPenalty ?? generation.repetitionPenalty,
    frequencyPenalty: options.frequencyPenalty,
    presencePenalty: options.presencePenalty,
    logitBias: options.logitBias,
    seed: options.seed,
  };
}

function stopStrings(stop: string | readonly string[] = []): readonly string[] {
  const strings = typeof stop === 'string' ? [stop] : stop;
  if (strings.includes('')) throw new InputError('a stop string is empty');
  return strings;
}

/** The text that grows token by token. */
class TextStream {
  private readonly decoder;
  private readonly stop: StopStrings;

  constructor(tokenizer: Tokenizer | null, prompt: readonly number[], stop: readonly string[]) {
    this.decoder = tokenizer?.stream() ?? null;
    for (const id of prompt.slice(-DECODED_BEFORE)) this.decoder?.push(id);
    this.stop = new StopStrings(stop);
  }

  push(id: number): { piece: string; stopped: boolean } {
    const { text, stopped } = this.stop.push(this.decoder?.push(id) ?? '');
    return { piece: text, stopped };
  }

  flush(): string {
    const { text, stopped } = this.stop.push(this.decoder?.flush() ?? '');
    return stopped ? text : text + this.stop.flush();
  }
}
