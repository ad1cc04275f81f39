import type { ChatMessage, Tokenizer } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';
import { checkUnmarked, conversationParts, type MarkedPart, marked } from './answers.ts';

/** Records as texts: a field that is a text, or a conversation as the model's chat template writes it. */

export interface RecordReading {
  /** The field with the text; without it the first of FIELDS that a record has. */
  field?: string | undefined;
  /** What is put behind a record that is a text. */
  end: string;
  /** Writes a conversation. */
  render(
    messages: ChatMessage[],
    tools: unknown[] | undefined,
    more?: { addGenerationPrompt: boolean },
  ): string;
  /** Whether answers are marked in the text; texts of the tokens that end one. */
  answers?: { ends: readonly string[] } | undefined;
}

/** Where a text is looked for, as data sets name it: OpenAI's conversations, and ShareGPT's. */
export const FIELDS = ['text', 'messages', 'conversations'];
/** A question and its answer: two texts, or two lists of messages. */
export const PAIR = ['prompt', 'completion'] as const;
/** What some conversations have beside them: descriptions of functions that may be called. */
export const TOOLS = 'tools';

/** What ShareGPT calls the speakers. */
const ROLES: Record<string, string> = {
  human: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  bing: 'assistant',
  bard: 'assistant',
  observation: 'tool',
  function_call: 'assistant',
};

/** A template may write the date; the text that is trained on must be the same every day. */
const DAY = new Date(2024, 6, 26, 12);

/**
 * How a model's records are read.
 *
 * @param answers whether answers are marked in it
 */
export function readingOf(tokenizer: Tokenizer, field: string | undefined, answers = false): RecordReading {
  const ends = tokenizer.eosIds.flatMap((id) => tokenizer.token(id) ?? []);
  return {
    field,
    end: endOfText(tokenizer),
    render: (messages, tools, more) => tokenizer.applyChatTemplate(messages, { tools, now: DAY, ...more }),
    ...(answers && { answers: { ends } }),
  };
}

/** The text of the token that ends a text, if that becomes the token again; else an empty line. */
function endOfText(tokenizer: Tokenizer): string {
  const [id] = tokenizer.eosIds;
  const text = id === undefined ? undefined : tokenizer.token(id);
  if (text === undefined) return '\n\n';
  const ids = tokenizer.encode(`a${text}a`, { addSpecialTokens: false });
  return ids.filter((each) => each === id).length === 1 ? text : '\n\n';
}

export interface RecordText {
  content: string;
  /** The same with its answers marked, where they are asked for. */
  marked?: string;
  /** What comes behind it. */
  end: string;
}

const NOTHING: RecordText = { content: '', end: '' };

/**
 * The text of a record; empty where the field is null or blank.
 *
 * @param where names the record in messages
 * @throws InputError for what is no object, has no such field, or something else in it
 */
export function recordText(record: unknown, where: () => string, reading: RecordReading): RecordText {
  if (!isObject(record)) {
    throw new InputError(
      `${where()}: it is ${kindOf(record)}; expected an object with a text in one of its fields`,
    );
  }
  const name = reading.field ?? FIELDS.find((field) => record[field] !== undefined);
  if (name === undefined && PAIR.every((field) => record[field] !== undefined)) {
    return pairText(record, where, reading);
  }
  const value = name === undefined ? undefined : record[name];
  if (name === undefined || value === undefined) {
    throw new InputError(`${where()} has no field ${fieldNeeded(reading.field, Object.keys(record))}`);
  }
  if (value === null) return NOTHING;
  if (typeof value === 'string') {
    if (reading.answers) {
      throw new InputError(
        `${where()}: the field '${name}' is a text, in which no answer can be told from the rest; expected a conversation, or ${PAIR.join(' and ')}`,
      );
    }
    return value.trim() === '' ? NOTHING : { content: value, end: reading.end };
  }
  if (!Array.isArray(value)) {
    throw new InputError(
      `${where()}: the field '${name}' is ${kindOf(value)}; expected a text, or a conversation as a list of messages`,
    );
  }
  const at = () => `${where()}: ${name}`;
  if (value.length === 0) return NOTHING;
  return conversation(value, record[TOOLS], at, reading);
}

/** A prompt with what is to follow it. */
function pairText(record: Record<string, unknown>, where: () => string, reading: RecordReading): RecordText {
  const [prompt, completion] = PAIR.map((field) => record[field]);
  if (prompt === null || completion === null) return NOTHING;
  if (Array.isArray(prompt) && Array.isArray(completion)) {
    const at = () => `${where()}: ${PAIR.join(' and ')}`;
    return conversation([...prompt, ...completion], record[TOOLS], at, reading);
  }
  if (typeof prompt !== 'string' || typeof completion !== 'string') {
    throw new InputError(
      `${where()}: prompt is ${kindOf(prompt)}, completion ${kindOf(completion)}; expected two texts, or two lists of messages`,
    );
  }
  if (completion.trim() === '') return NOTHING;
  const parts = [
    { text: prompt, answer: false },
    { text: completion + reading.end, answer: true },
  ];
  return finished(prompt + completion, parts, reading.end, where, reading);
}

/** A record's text, with its answers marked where they are asked for. */
function finished(
  content: string,
  parts: readonly MarkedPart[],
  end: string,
  where: () => string,
  reading: RecordReading,
): RecordText {
  if (!reading.answers) return { content, end };
  checkUnmarked(content, where);
  return { content, marked: marked(parts), end: '' };
}

/** What is missing, and what there is. */
export function fieldNeeded(field: string | undefined, present: readonly string[]): string {
  const wanted = field === undefined ? FIELDS.map((name) => `'${name}'`).join(', ') : `'${field}'`;
  const has = present.length === 0 ? 'it has none' : `its fields are ${present.join(', ')}`;
  return `${wanted}: ${has}; name the one with the text by --field`;
}

function conversation(
  list: readonly unknown[],
  tools: unknown,
  at: () => string,
  reading: RecordReading,
): RecordText {
  const messages = list.map((each, i) => message(each, () => `${at()}[${i}]`));
  const described = tools ?? undefined;
  if (described !== undefined && !Array.isArray(described)) {
    throw new InputError(`${at()}: the field '${TOOLS}' beside it is ${kindOf(described)}; expected a list`);
  }
  try {
    const given = described?.length ? described : undefined;
    // The template ends a conversation itself.
    if (!reading.answers) return { content: reading.render(messages, given), end: '' };
    const parts = conversationParts(
      messages,
      (some, more) => reading.render(some, given, more),
      reading.answers.ends,
    );
    return finished(parts.map(({ text }) => text).join(''), parts, '', at, reading);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${at()}: ${error.message}`);
  }
}

function message(value: unknown, at: () => string): ChatMessage {
  if (!isObject(value)) {
    throw new InputError(`${at()} is ${kindOf(value)}; expected { role, content } or { from, value }`);
  }
  const { from, value: said, ...rest } = value;
  const shared = rest.role === undefined && from !== undefined;
  const { role, content } = shared ? { role: from, content: said } : rest;
  if (typeof role !== 'string') {
    throw new InputError(
      `${at()} has no role: its fields are ${Object.keys(value).join(', ')}; expected { role, content } or { from, value }`,
    );
  }
  if (typeof content !== 'string' && !(content === null || (content === undefined && rest.tool_calls))) {
    throw new InputError(`${at()}: the content is ${kindOf(content)}; expected a text`);
  }
  if (shared) return { role: ROLES[role] ?? role, content: content ?? null };
  return { ...value, role, content: content ?? null };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
