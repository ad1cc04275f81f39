import { readlinkSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { workerData } from 'node:worker_threads';
import { blobFiles } from '../../model/blob-files.ts';
import { readJson } from '../../model/model-files.ts';
import { readTokenizer, type Tokenizer } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';
import { ApiError, asApiError } from '../errors.ts';
import { type ChatAsk, readChat } from './chat.ts';
import { type CompletionAsk, readCompletion } from './completion.ts';
import { type Items, ItemsNeeded, type ResponseAsk, readResponse } from './response.ts';
import { trySchema } from './schema-trial.ts';
import type { IntakeSettings } from './settings.ts';
import { entering, STAGES, stageOf } from './stage.ts';
import { checkDecoder, mostCharacters } from './text-bound.ts';

/** A thread that reads requests: from the bytes of a body to what the scheduler is asked for. */

export interface WorkerData {
  /** Where the tokenizer's files are from, for messages. */
  path: string;
  /** Those files and config.json; none for a model without a tokenizer. */
  files: [string, Blob][];
  settings: Omit<IntakeSettings, 'mostCharacters'>;
  stage: Int32Array;
  /** Whether answers that are being written go before this thread's work. */
  yielding: boolean;
}

/** By route. */
export interface Asks {
  completions: CompletionAsk;
  chat: ChatAsk;
  responses: ResponseAsk;
}

export interface Task {
  route: keyof Asks;
  body: Uint8Array;
  /** That the body refers to, where the reader has asked for them. */
  items?: Items;
}

/** Errors lose their class on the way between threads. */
export type Outcome =
  | { ask: Asks[keyof Asks] }
  | { needed: string[] }
  | { wrong: Pick<ApiError, 'status' | 'message' | 'details'> };

const { path, files, settings: given, stage, yielding } = workerData as WorkerData;
const enter = entering(stage);
let tokenizer: Tokenizer | null = null;
let settings: IntakeSettings = { ...given, mostCharacters: Number.POSITIVE_INFINITY };

/** Not where the module is loaded: what fails there ends the process. */
async function load(): Promise<void> {
  if (yielding) yieldToOthers();
  const model = await blobFiles(path, files);
  if (!model.has('tokenizer.json')) return;
  const json = readJson(model, 'tokenizer.json');
  checkDecoder(json);
  tokenizer = readTokenizer(model);
  settings = { ...given, mostCharacters: mostCharacters(json, tokenizer, given.contextLength) };
}

/** Where threads have priorities of their own, as on Linux: long bodies can wait, the next token of a stream cannot. */
function yieldToOthers(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), constants.priority.PRIORITY_LOW);
  } catch {
    // Elsewhere all threads are alike.
  }
}

/** @param task null to load what the thread needs, once */
export default async function read(task: Task | null): Promise<Outcome | null> {
  if (!task) {
    await load();
    return null;
  }
  enter('parse');
  try {
    const asked = ask(task);
    if ('conversation' in asked) {
      enter('schema');
      await trySchema(asked.conversation);
    }
    return { ask: asked };
  } catch (error) {
    if (error instanceof ItemsNeeded) return { needed: error.ids };
    const { status, message, details } = asApiError(known(error));
    if (status < 500) return { wrong: { status, message, details } };
    throw error;
  }
}

function ask({ route, body, items }: Task): Asks[keyof Asks] {
  switch (route) {
    case 'completions':
      return readCompletion(body, tokenizer, settings, enter);
    case 'chat':
      return readChat(body, tokenizer, settings, enter);
    case 'responses':
      return readResponse(body, tokenizer, settings, enter, items);
  }
}

/** A template or a schema that calls itself too deeply is the request's fault or the model's, not the server's. */
function known(error: unknown): unknown {
  if (error instanceof ApiError || error instanceof InputError || !(error instanceof RangeError))
    return error;
  return new ApiError(400, `${STAGES[stageOf(stage)]} failed: ${error.message}`);
}
