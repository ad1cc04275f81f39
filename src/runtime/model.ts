import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '../graph/index.ts';
import { openCheckpoint } from '../model/checkpoint.ts';
import type { ModelConfig } from '../model/config.ts';
import type { GenerationConfig } from '../model/hf-config.ts';
import { resolveModel } from '../model/hub.ts';
import type { WeightDtype } from '../model/quantized-tensors.ts';
import {
  type ChatMessage,
  type ChatTemplateOptions,
  loadTokenizer,
  type Tokenizer,
} from '../model/tokenizer.ts';
import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import { Engine } from './engine.ts';
import { createSampler, logSumExp, type SamplingOptions } from './sampler.ts';
import { StopStrings } from './stop.ts';

/** A model ready to write: weights, tokenizer and sampling behind one object. */

export interface LoadOptions {
  device?: Device;
  /** Of ONNX Runtime; 0, the default, for all cores. */
  threads?: number;
  /** Of the weights: as the folder has them when absent, in 8 or 4 bits, or float32. */
  dtype?: WeightDtype;
  /** Branch, tag or commit of a repository on the hub. */
  revision?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** Sampling options that are absent are taken from the model's generation_config.json; without it, decoding is greedy. */
export interface GenerateOptions extends SamplingOptions {
  /** At most so many tokens; 256 unless told here or by the model. The end of the context ends the text too. */
  maxNewTokens?: number;
  /** Strings that end the text; they are not part of it. */
  stop?: string | readonly string[];
  /** Tokens that end the text, in place of the model's; [] for none. */
  eosTokenIds?: readonly number[];
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
  /** On the last token: the model or a stop string ended the text, or the token limit or the context did. */
  finish?: 'stop' | 'length';
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
  ) {}

  /**
   * Loads a model folder in Hugging Face's layout, or a model of the hub by its name.
   *
   * @throws InputError naming the file, tensor or field at fault and what was expected
   */
  static async fromPretrained(pathOrRepo: string, options: LoadOptions = {}): Promise<Model> {
    const folder = await resolveModel(pathOrRepo, options);
    const { config, weights, generation } = openCheckpoint(folder);
    const tokenizer = existsSync(join(folder, 'tokenizer.json')) ? loadTokenizer(folder) : null;
    return new Model(await Engine.create(config, weights, options), tokenizer, generation, pathOrRepo);
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
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
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

    using sequence = this.engine.start();
    let logits = await this.engine.append(sequence, tokens, { signal, onProgress });
    for (let count = 1; ; count++) {
      signal?.throwIfAborted();
      const id = sample(logits, tokens);
      const logProb = logits[id]! - logSumExp(logits);
      tokens.push(id);
      if (ends.has(id)) {
        yield { id, text: text.flush(), logProb, finish: 'stop' };
        return;
      }
      const { piece, stopped } = text.push(id);
      if (stopped) {
        yield { id, text: piece, logProb, finish: 'stop' };
        return;
      }
      if (count === maxNewTokens || tokens.length === contextLength) {
        yield { id, text: piece + text.flush(), logProb, finish: 'length' };
        return;
      }
      yield { id, text: piece, logProb };
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
    const text = tokenizer.applyChatTemplate(messages, { tools, addGenerationPrompt: true });
    return this.generate(tokenizer.encode(text, { addSpecialTokens: false }), rest);
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
