import { workerData } from 'node:worker_threads';
import { blobFiles } from '../../model/blob-files.ts';
import { readJson } from '../../model/model-files.ts';
import { readTokenizer } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';
import { ApiError, asApiError } from '../errors.ts';
import { type ChatAsk, readChat } from './chat.ts';
import { type CompletionAsk, readCompletion } from './completion.ts';
import { type Items, ItemsNeeded, type ResponseAsk, readResponse } from './response.ts';
import type { IntakeSettings } from './settings.ts';
import { entering, STAGES, stageOf } from './stage.ts';
import { mostCharacters } from './text-bound.ts';

/** A thread that reads requests: from the bytes of a body to what the scheduler is asked for. */

export interface WorkerData {
  /** Where the tokenizer's files are from, for messages. */
  path: string;
  /** Those files and config.json; none for a model without a tokenizer. */
  files: [string, Blob][];
  settings: Omit<IntakeSettings, 'mostCharacters'>;
  stage: Int32Array;
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

const { path, files, settings: given, stage } = workerData as WorkerData;
const enter = entering(stage);
const model = await blobFiles(path, files);
const tokenizer = model.has('tokenizer.json') ? readTokenizer(model) : null;
const settings: IntakeSettings = {
  ...given,
  mostCharacters: tokenizer
    ? mostCharacters(readJson(model, 'tokenizer.json'), tokenizer, given.contextLength)
    : Number.POSITIVE_INFINITY,
};

export default function read(task: Task | null): Outcome | null {
  // Asked once to hear that the thread is ready.
  if (!task) return null;
  enter('parse');
  try {
    return { ask: ask(task) };
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
