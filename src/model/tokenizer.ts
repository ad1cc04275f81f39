/** Text to token ids and back, and conversations to text, from the files of a Hugging Face folder. */
import { InputError } from '../util/errors.ts';
import { Template } from './jinja/template.ts';
import { Fields, isObject, type JsonObject } from './json-fields.ts';
import { type ModelFiles, readJson } from './model-files.ts';
import { allAddedTokens, specialTokens, withOlderFiles } from './special-tokens.ts';
import { StreamDecoder } from './stream-decoder.ts';
import { type TokenBytes, tokenBytes } from './token-bytes.ts';
import { createModel } from './tokenization/models.ts';
import { Pipeline } from './tokenization/pipeline.ts';
import { type Around, postProcessor } from './tokenization/post-processors.ts';

const TOKENIZER = 'tokenizer.json';
const CONFIG = 'tokenizer_config.json';
const SPECIALS = 'special_tokens_map.json';
const ADDED = 'added_tokens.json';
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
  /** What a template that writes the date takes it from; the present unless told. */
  now?: Date;
}

export class Tokenizer {
  /** One more than the largest id: the number of rows that the embedding has to have at least. */
  readonly vocabSize: number;
  /** Begins a text; null when the tokenizer has none. */
  readonly bosId: number | null;
  /** End a text. Empty when the tokenizer has none. */
  readonly eosIds: number[];
  private readonly pipeline: Pipeline;
  private readonly around: Around;
  /** Special tokens by name, such as bos_token: chat templates know them. */
  readonly specials: Readonly<Record<string, string>>;
  private readonly parsed = new Map<string, Template>();
  private bytes: TokenBytes | null = null;

  /**
   * @param json tokenizer.json
   * @param config tokenizer_config.json
   * @param templates chat templates by name; the usual one is called 'default'
   * @throws InputError that names what is broken or not supported
   */
  constructor(
    private readonly json: JsonObject,
    config: JsonObject,
    private readonly templates: Map<string, string> = new Map(),
  ) {
    const model = createModel(json.model);
    this.specials = specialTokens(config);
    this.pipeline = new Pipeline(json, model, allAddedTokens(json, config, model.vocabulary));
    this.vocabSize = this.pipeline.tokens.length;
    this.bosId = this.idOf(this.specials.bos_token);
    const eos = this.idOf(this.specials.eos_token);
    this.eosIds = eos === null ? [] : [eos];
    this.around = this.bothEnds(config);
  }

  /** As in transformers, tokenizer_config.json goes before tokenizer.json where it says what is put around a text. */
  private bothEnds({ add_bos_token: bos, add_eos_token: eos }: JsonObject): Around {
    const own = postProcessor(this.json.post_processor);
    if (bos === undefined && eos === undefined) return own;
    return {
      before: bos === true && this.bosId !== null ? [this.bosId] : [],
      after: eos === true ? this.eosIds : [],
    };
  }

  /** Tokens in the vocabulary's own spelling (a space may be 'Ġ' or '▁'), with their ids. */
  *vocabulary(): Generator<[string, number]> {
    for (const [id, token] of this.pipeline.tokens.entries()) {
      if (token !== undefined) yield [token, id];
    }
  }

  /** What every token adds to a text; made when first asked for. */
  get tokenBytes(): TokenBytes {
    this.bytes ??= tokenBytes(this.pipeline, this.json);
    return this.bytes;
  }

  /** The chat template for conversations with or without tools. */
  chatTemplate(tools = false): string | undefined {
    return (tools ? this.templates.get('tool_use') : undefined) ?? this.templates.get('default');
  }

  private idOf(token: string | undefined): number | null {
    return token === undefined ? null : (this.tokenId(token) ?? null);
  }

  /** The id of a token given by its text in the vocabulary, such as '<|im_end|>'. */
  tokenId(token: string): number | undefined {
    return this.pipeline.tokenId(token);
  }

  /**
   * @param options.addSpecialTokens what the tokenizer puts around a text (a begin-of-text id, say); true unless told
   * @throws InputError for text that has no tokens, and where the tokenizer's pattern takes too much work
   */
  encode(text: string, options: { addSpecialTokens?: boolean } = {}): number[] {
    const ids = this.pipeline.encode(text);
    if (options.addSpecialTokens === false) return ids;
    return [...this.around.before, ...ids, ...this.around.after];
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
    return this.pipeline.decode(ids, options.skipSpecialTokens ?? true);
  }

  /** Whether a token stands for no text. */
  isSpecial(id: number): boolean {
    return this.pipeline.special.has(id);
  }

  /** A token's spelling in the vocabulary. */
  token(id: number): string | undefined {
    return this.pipeline.tokens[id];
  }

  get hasChatTemplate(): boolean {
    return this.templates.size > 0;
  }

  /** The conversation as the text that the model was trained on; encode it with addSpecialTokens: false. */
  applyChatTemplate(messages: ChatMessage[], options: ChatTemplateOptions = {}): string {
    const source = this.chatTemplate(options.tools !== undefined);
    if (source === undefined) {
      throw new InputError(
        'the tokenizer has no chat template; give the model plain text, or add chat_template.jinja',
      );
    }
    try {
      const template = this.parsed.get(source) ?? new Template(source);
      this.parsed.set(source, template);
      const variables = {
        ...this.specials,
        messages: messages.map(withReasoning),
        tools: options.tools ?? null,
        documents: null,
        add_generation_prompt: options.addGenerationPrompt ?? false,
      };
      return template.render(variables, options.now);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InputError(`the chat template refuses the messages: ${error.message}`);
    }
  }

  /**
   * A decoder for ids that come one at a time.
   *
   * @param options.after ids before them, whose text is not given out
   */
  stream(options: { skipSpecialTokens?: boolean; after?: readonly number[] } = {}): StreamDecoder {
    const { skipSpecialTokens = true, after = [] } = options;
    const { bytes } = this.tokenBytes;
    const hidden = (id: number) => skipSpecialTokens && this.isSpecial(id);
    return new StreamDecoder(
      (ids) => this.decode(ids, { skipSpecialTokens }),
      (id) => (hidden(id) ? NO_BYTES : (bytes[id] ?? NO_BYTES)),
      after,
    );
  }
}

const NO_BYTES = new Uint8Array();

/** Templates know the reasoning of an answer by several names; as in transformers, each finds it. */
function withReasoning(message: ChatMessage): ChatMessage {
  const names = ['reasoning_content', 'thinking', 'reasoning'];
  const reasoning = names.map((name) => message[name]).find((value) => value !== undefined && value !== null);
  if (reasoning === undefined) return message;
  return { thinking: reasoning, ...message, reasoning_content: reasoning };
}

export interface LoadTokenizerOptions {
  /** Rows of the model's embedding; taken from the folder's config.json unless given. */
  modelVocabSize?: number;
}

/** @throws InputError when a file is missing or broken, or has more tokens than the model's vocabulary */
export function readTokenizer(files: ModelFiles, options: LoadTokenizerOptions = {}): Tokenizer {
  if (!files.has(TOKENIZER)) throw new InputError(`${files.path} has no ${TOKENIZER}`);
  const { path } = files.open(TOKENIZER);
  const read = (file: string) => (files.has(file) ? readJson(files, file) : {});
  const json = readJson(files, TOKENIZER);
  let tokenizer: Tokenizer;
  try {
    const config = withOlderFiles(json, read(CONFIG), read(SPECIALS), read(ADDED));
    tokenizer = new Tokenizer(json, config, chatTemplates(files, config));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${path} is no tokenizer that can be used: ${error.message}`);
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
