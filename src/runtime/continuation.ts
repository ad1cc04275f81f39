import type { GenerationConfig } from '../model/generation-config.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { InputError } from '../util/errors.ts';
import { createSampler, logSumExp, type Sampler, type SamplingOptions, topLogProbs } from './sampler.ts';
import { StopStrings } from './stop.ts';

/**
 * What is written after one prompt: from the logits after each token to the next token, its text and the end. It knows
 * nothing of how the logits are made, so that a single generation and the scheduler of many say the same.
 */

/** Absent options are taken from the model's generation_config.json; without it, decoding is greedy. */
export interface ContinuationOptions extends SamplingOptions {
  /** At most so many tokens; 256 unless told here or by the model. The end of the context ends the text too. */
  maxNewTokens?: number;
  /** Strings that end the text; they are not part of it. */
  stop?: string | readonly string[];
  /** Tokens that end the text, in place of the model's; [] for none. */
  eosTokenIds?: readonly number[];
  /** So many of the most probable tokens are told beside each one that is chosen; 0 unless asked for. */
  topLogProbs?: number;
  /** Makes what rules out tokens in this text; any text will do unless given. */
  constraint?: () => Constraint;
}

/** Rules out tokens, as the text grows. */
export interface Constraint {
  /** The logits with -Infinity for what cannot follow; `ends` may follow only where the text may end. */
  mask(logits: Float32Array, ends: ReadonlySet<number>): Float32Array;
  /** A token was chosen. */
  push(id: number): void;
  /** Whether nothing but the end can follow. */
  readonly complete: boolean;
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

/** The model behind a text, as far as the text depends on it. */
export interface Writer {
  tokenizer: Tokenizer | null;
  generation: GenerationConfig;
  contextLength: number;
}

const MAX_NEW_TOKENS = 256;

export class Continuation {
  private readonly tokens: number[];
  private readonly promptTokens: number;
  private readonly sample: Sampler;
  private readonly text: TextStream;
  private readonly maxTokens: number;
  private readonly ends: ReadonlySet<number>;
  private readonly top: number;
  private readonly constraint: Constraint | undefined;
  /** Of the prompt's tokens, those that were not read; told by who reads. */
  cachedTokens = 0;

  /** @throws InputError for an option out of range, or a prompt that leaves no room in the context */
  constructor(
    private readonly writer: Writer,
    prompt: readonly number[],
    options: ContinuationOptions = {},
  ) {
    const { topLogProbs: top = 0, maxNewTokens } = options;
    if (!Number.isInteger(top) || top < 0) {
      throw new InputError(`topLogProbs is ${top}, expected a whole number of at least 0`);
    }
    this.top = top;
    const { generation } = writer;
    this.sample = createSampler(samplingOptions(options, generation));
    this.maxTokens = maxNewTokens ?? tokenLimit(generation, prompt.length);
    if (!Number.isInteger(this.maxTokens) || this.maxTokens < 1) {
      throw new InputError(`maxNewTokens is ${this.maxTokens}, expected a whole number above 0`);
    }
    if (prompt.length >= writer.contextLength) {
      throw new InputError(
        `the prompt has ${prompt.length} tokens: no room for another in the model's context of ${writer.contextLength}`,
      );
    }
    this.ends = new Set(options.eosTokenIds ?? endTokens(writer));
    this.constraint = options.constraint?.();
    this.tokens = [...prompt];
    this.promptTokens = prompt.length;
    this.text = new TextStream(writer.tokenizer, prompt, stopStrings(options.stop ?? generation.stopStrings));
  }

  /** What the model's makers rule out after so many tokens, but not later. */
  private notYet(written: number): Iterable<number> {
    const { minNewTokens = 0, beginSuppressTokens = [] } = this.writer.generation;
    return [...(written < minNewTokens ? this.ends : []), ...(written === 0 ? beginSuppressTokens : [])];
  }

  /** Chooses the token after these logits. One with `finish` is the last. */
  next(logits: Float32Array): GeneratedToken {
    const { tokens, promptTokens, constraint } = this;
    const possible = without(logits, this.notYet(tokens.length - promptTokens));
    const allowed = constraint ? constraint.mask(possible, this.ends) : possible;
    const id = this.sample(allowed, tokens, promptTokens);
    const token = {
      id,
      logProb: logits[id]! - logSumExp(logits),
      ...(this.top > 0 ? { top: topLogProbs(logits, this.top) } : {}),
    };
    tokens.push(id);
    const completionTokens = tokens.length - promptTokens;
    const end = (finish: 'stop' | 'length', text: string): GeneratedToken => {
      const usage = { promptTokens, cachedTokens: this.cachedTokens, completionTokens };
      return { ...token, text, finish, usage };
    };
    if (this.ends.has(id)) return end('stop', this.text.flush());
    constraint?.push(id);
    const { piece, stopped } = this.text.push(id);
    if (stopped) return end('stop', piece);
    if (constraint?.complete) return end('stop', piece + this.text.flush());
    if (completionTokens === this.maxTokens || tokens.length === this.writer.contextLength) {
      return end('length', piece + this.text.flush());
    }
    return { ...token, text: piece };
  }
}

function endTokens({ generation, tokenizer }: Writer): readonly number[] {
  const { eosTokenIds } = generation;
  return eosTokenIds.length > 0 ? eosTokenIds : (tokenizer?.eosIds ?? []);
}

/** What is asked for here, else what the model's makers want. A filter that is asked for means sampling. */
function samplingOptions(options: SamplingOptions, generation: GenerationConfig): SamplingOptions {
  const asked = [options.topK, options.topP, options.minP].some((value) => value !== undefined);
  const sampling = asked || generation.doSample === true;
  return {
    temperature: options.temperature ?? (sampling ? (generation.temperature ?? 1) : 0),
    topK: options.topK ?? generation.topK,
    topP: options.topP ?? generation.topP,
    minP: options.minP ?? generation.minP,
    repetitionPenalty: options.repetitionPenalty ?? generation.repetitionPenalty,
    frequencyPenalty: options.frequencyPenalty,
    presencePenalty: options.presencePenalty,
    logitBias: { ...suppressed(generation.suppressTokens), ...options.logitBias },
    seed: options.seed,
  };
}

function suppressed(ids: readonly number[] = []): Record<number, number> {
  return Object.fromEntries(ids.map((id) => [id, Number.NEGATIVE_INFINITY]));
}

function tokenLimit({ maxNewTokens, maxLength }: GenerationConfig, promptTokens: number): number {
  if (maxNewTokens !== undefined) return maxNewTokens;
  // A prompt that is as long by itself leaves the usual number.
  return maxLength !== undefined && maxLength > promptTokens ? maxLength - promptTokens : MAX_NEW_TOKENS;
}

/** The logits without some tokens; the same array where there are none. */
function without(logits: Float32Array, ids: Iterable<number>): Float32Array {
  const gone = [...ids];
  if (gone.length === 0) return logits;
  const result = logits.slice();
  for (const id of gone) if (id < result.length) result[id] = Number.NEGATIVE_INFINITY;
  return result;
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

  constructor(
    private readonly tokenizer: Tokenizer | null,
    prompt: readonly number[],
    stop: readonly string[],
  ) {
    this.decoder = tokenizer?.stream({ after: prompt }) ?? null;
    this.stop = new StopStrings(stop);
  }

  push(id: number): { piece: string; stopped: boolean } {
    const { text, stopped } = this.stop.push(this.decoder?.push(id) ?? '');
    if (stopped || !this.tokenizer?.isSpecial(id)) return { piece: text, stopped };
    // A special token does not show, and may be what is to stop the text.
    const hidden = this.stop.push(this.tokenizer.token(id) ?? '', true);
    return { piece: text + hidden.text, stopped: hidden.stopped };
  }

  flush(): string {
    const { text, stopped } = this.stop.push(this.decoder?.flush() ?? '');
    return stopped ? text : text + this.stop.flush();
  }
}
