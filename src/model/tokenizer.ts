/**
 * Text to token ids and back, from a Hugging Face folder: tokenizer.json through @huggingface/tokenizers, the chat
 * template through @huggingface/jinja.
 */
import { Template } from '@huggingface/jinja';
import { Tokenizer as HfTokenizer } from '@huggingface/tokenizers';
import { InputError } from '../util/errors.ts';
import { Fields, isObject, type JsonObject } from './json-fields.ts';
import { type ModelFiles, readJson } from './model-files.ts';
import { type TokenBytes, tokenBytes } from './token-bytes.ts';

const TOKENIZER = 'tokenizer.json';
const CONFIG = 'tokenizer_config.json';
const JINJA = 'chat_template.jinja';
const TEMPLATE = 'chat_template.json';

export interface ChatMessage {
  role: string;
  content: string | null;
  /** Further fields that a template may use: tool_calls, name, tool_call_id. */
  [field: string]: unknown;
}

export interface ChatTemplateOptions {
  /** Descriptions of the functions that the model may call, as in OpenAI's API. */
  tools?: unknown[];
  /** End with the beginning of the assistant's turn, so that the model goes on with its answer. */
  addGenerationPrompt?: boolean;
}

export class Tokenizer {
  /** One more than the largest id: the number of rows that the embedding has to have at least. */
  readonly vocabSize: number;
  /** Begins a text; null when the tokenizer has none. */
  readonly bosId: number | null;
  /** End a text. Empty when the tokenizer has none. */
  readonly eosIds: number[];
  private readonly inner: HfTokenizer;
  private readonly specials: Record<string, string>;
  private readonly templates: Map<string, string>;
  private bytes: TokenBytes | null = null;

  /** @param templates chat templates by name; the usual one is called 'default' */
  constructor(
    private readonly json: JsonObject,
    config: JsonObject,
    templates: Map<string, string> = new Map(),
  ) {
    this.inner = new HfTokenizer(json, config);
    this.templates = templates;
    this.specials = specialTokens(config);
    this.vocabSize = this.tokens.length;
    this.bosId = this.idOf(this.specials.bos_token);
    const eos = this.idOf(this.specials.eos_token);
    this.eosIds = eos === null ? [] : [eos];
  }

  /** The text of every token in the vocabulary's own spelling, by id. The declared type leaves it out. */
  private get tokens(): readonly string[] {
    return (this.inner.model as unknown as { vocab: string[] }).vocab;
  }

  /** Tokens in the vocabulary's own spelling (a space may be 'Ġ' or '▁'), with their ids. */
  *vocabulary(): Generator<[string, number]> {
    for (const [id, token] of this.tokens.entries()) yield [token, id];
  }

  /** What every token adds to a text; made when first asked for. */
  get tokenBytes(): TokenBytes {
    this.bytes ??= tokenBytes(this.tokens, this.json);
    return this.bytes;
  }

  /** The chat template for conversations with or without tools. */
  chatTemplate(tools = false): string | undefined {
    return (tools ? this.templates.get('tool_use') : undefined) ?? this.templates.get('default');
  }

  private idOf(token: string | undefined): number | null {
    return token === undefined ? null : (this.inner.token_to_id(token) ?? null);
  }

  /** The id of a token given by its text in the vocabulary, such as '<|im_end|>'. */
  tokenId(token: string): number | undefined {
    return this.inner.token_to_id(token);
  }

  /** @param options.addSpecialTokens what the tokenizer puts around a text (a begin-of-text id, say); true unless told */
  encode(text: string, options: { addSpecialTokens?: boolean } = {}): number[] {
    return this.inner.encode(text, { add_special_tokens: options.addSpecialTokens ?? true }).ids;
  }

  /**
   * The text of the ids, exactly: spaces before punctuation are never "cleaned up", whatever the folder says, since
   * that would change what the model wrote. Ids beyond the vocabulary (rows that pad an embedding) have no text.
   *
   * @param options.skipSpecialTokens leave out tokens that stand for no text; true unless told
   */
  decode(ids: readonly number[], options: { skipSpecialTokens?: boolean } = {}): string {
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0);
    if (wrong !== undefined) throw new InputError(`token id ${wrong} is no whole number of at least 0`);
    const known = ids.filter((id) => id < this.vocabSize);
    if (known.length === 0) return '';
    return this.inner.decode(known, {
      skip_special_tokens: options.skipSpecialTokens ?? true,
      clean_up_tokenization_spaces: false,
    });
  }

  get hasChatTemplate(): boolean {
    return this.templates.size > 0;
  }

  /** The conversation as the text that the model was trained on; encode it with addSpecialTokens: false. */
  applyChatTemplate(messages: ChatMessage[], options: ChatTemplateOptions = {}): string {
    const template = this.chatTemplate(options.tools !== undefined);
    if (template === undefined) {
      throw new InputError(
        'the tokenizer has no chat template; give the model plain text, or add chat_template.jinja',
      );
    }
    try {
      return new Template(template).render({
        ...this.specials,
        messages,
        tools: options.tools ?? null,
        add_generation_prompt: options.addGenerationPrompt ?? false,
      });
    } catch (error) {
      throw new InputError(`the chat template refuses the messages: ${(error as Error).message}`);
    }
  }

  /** A decoder for ids that come one at a time. */
  stream(options: { skipSpecialTokens?: boolean } = {}): StreamDecoder {
    return new StreamDecoder((ids) => this.decode(ids, options));
  }
}

/** The fields `*_token` of tokenizer_config.json, each a string or an object with `content`. */
function specialTokens(config: JsonObject): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    if (!name.endsWith('_token')) continue;
    const content = isObject(value) ? value.content : value;
    if (typeof content === 'string') found[name] = content;
  }
  return found;
}

export interface LoadTokenizerOptions {
  /** Rows of the model's embedding; taken from the folder's config.json unless given. */
  modelVocabSize?: number;
}

/** @throws InputError when a file is missing or broken, or has more tokens than the model's vocabulary */
export function readTokenizer(files: ModelFiles, options: LoadTokenizerOptions = {}): Tokenizer {
  if (!files.has(TOKENIZER)) throw new InputError(`${files.path} has no ${TOKENIZER}`);
  const { path } = files.open(TOKENIZER);
  const config = files.has(CONFIG) ? readJson(files, CONFIG) : {};
  const json = readJson(files, TOKENIZER);
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(json, config, chatTemplates(files, config));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path} is no tokenizer that can be used: ${(error as Error).message}`);
  }
  const rows = options.modelVocabSize ?? modelVocabSize(files);
  if (rows !== undefined && tokenizer.vocabSize > rows) {
    throw new InputError(
      `${path} has token ids up to ${tokenizer.vocabSize - 1}, but the model's vocabulary has ${rows} entries`,
    );
  }
  return tokenizer;
}

function modelVocabSize(files: ModelFiles): number | undefined {
  if (!files.has('config.json')) return undefined;
  return new Fields(files.open('config.json').path, readJson(files, 'config.json')).integer('vocab_size');
}

/** A file of its own goes before tokenizer_config.json, as in transformers; there, it is a string or a named list. */
function chatTemplates(files: ModelFiles, config: JsonObject): Map<string, string> {
  if (files.has(JINJA)) return new Map([['default', files.open(JINJA).text()]]);
  const own = files.has(TEMPLATE);
  const value = own ? readJson(files, TEMPLATE).chat_template : config.chat_template;
  if (value === undefined || value === null) return new Map();
  if (typeof value === 'string') return new Map([['default', value]]);
  const named = Array.isArray(value) ? value : [];
  const templates = new Map<string, string>();
  for (const item of named) {
    if (isObject(item) && typeof item.name === 'string' && typeof item.template === 'string') {
      templates.set(item.name, item.template);
    }
  }
  if (templates.size === 0) {
    const { path } = files.open(own ? TEMPLATE : CONFIG);
    throw new InputError(`${path}: chat_template is neither a text nor a list of {name, template}`);
  }
  return templates;
}

const REPLACEMENT = '\ufffd';

/**
 * Turns ids into text as they come, whole characters only: a character that several byte tokens make up appears
 * with the last of them. The pieces joined are what decoding all ids at once gives.
 */
export class StreamDecoder {
  private readonly decode: (ids: number[]) => string;
  /** The ids that made the last text that was given out, and those after them. */
  private window: number[] = [];
  /** How many ids of the window belong to text that was given out in full. */
  private settled = 0;
  /** Length of the window's text that was given out. */
  private given = 0;

  constructor(decode: (ids: number[]) => string) {
    this.decode = decode;
  }

  /** The text that became certain with this id, often empty. */
  push(id: number): string {
    this.window.push(id);
    const text = this.decode(this.window);
    // An unfinished character shows as one replacement character at the end.
    const pending = text.endsWith(REPLACEMENT);
    const certain = pending ? text.length - 1 : text.length;
    if (certain <= this.given) return '';
    const piece = text.slice(this.given, certain);
    this.given = certain;
    if (!pending) {
      // The next text is decoded after these ids, because decoders treat the first token of a text differently.
      this.window = this.window.slice(this.settled);
      this.settled = this.window.length;
      this.given = this.decode(this.window).length;
    }
    return piece;
  }

  /** What is left at the end: an unfinished character as a replacement character, or nothing. */
  flush(): string {
    const text = this.window.length > 0 ? this.decode(this.window) : '';
    const piece = text.slice(this.given);
    this.window = [];
    this.settled = 0;
    this.given = 0;
    return piece;
  }
}
