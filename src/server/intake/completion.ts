import type { Tokenizer } from '../../model/tokenizer.ts';
import { type CompletionRequest, completionRequest } from '../schemas/completions.ts';
import { checkLength, encodeText } from './encode.ts';
import { parseBody } from './parse.ts';
import { checkBias, checkModel, checkTokens, type IntakeSettings, wrong } from './settings.ts';
import type { Enter } from './stage.ts';

const DEFAULT_TOKENS = 16;

/** A request for completions, ready for the scheduler. */
export interface CompletionAsk {
  body: Omit<CompletionRequest, 'prompt'>;
  /** The text is that of an echo. */
  prompts: { ids: Int32Array; text: string }[];
  maxTokens: number;
}

export function readCompletion(
  bytes: Uint8Array,
  tokenizer: Tokenizer | null,
  settings: IntakeSettings,
  enter: Enter,
): CompletionAsk {
  const { prompt, ...body } = parseBody(bytes, completionRequest);
  checkModel(settings.names, body.model);
  refuse(body);
  checkBias(settings, body.logit_bias);
  const maxTokens = checkTokens(settings, 'max_tokens', body.max_tokens ?? DEFAULT_TOKENS);
  const { n = 1 } = body;
  if (prompt.length * n > settings.maxQueue) {
    const most = `at most ${settings.maxQueue} texts can wait here`;
    throw wrong('prompt', `${prompt.length} prompts with ${n} texts each, ${most}`);
  }
  enter('tokenise');
  const prompts = prompt.map((one) => {
    if (typeof one === 'string') return { ids: encodeText(tokenizer, settings, one), text: one };
    checkLength(settings, one.length);
    const text = body.echo ? (tokenizer?.decode([...one], { skipSpecialTokens: false }) ?? '') : '';
    return { ids: one, text };
  });
  return { body, prompts, maxTokens };
}

function refuse({ suffix, best_of, n = 1, stream_options, stream }: CompletionAsk['body']): void {
  if (suffix) throw wrong('suffix', 'text before a suffix cannot be written: the model only goes on');
  if (best_of !== undefined && best_of !== n) throw wrong('best_of', 'expected the same as n, or nothing');
  if (stream_options && !stream) throw wrong('stream_options', 'only with stream');
}
