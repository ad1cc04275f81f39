import { readFileSync } from 'node:fs';
import { ApiError } from '../errors.ts';
import { compileFormat } from '../formats.ts';
import type { ConversationAsk } from './conversation.ts';

/**
 * A schema is compiled in this thread first, on trial: what it takes here, it takes on the event loop. There it is compiled
 * again, with pauses, for a grammar cannot go from thread to thread.
 */

/** Milliseconds that compiling may take. */
const MOST = 1500;
/** Of them without a pause. */
const AT_A_STRETCH = 50;

/** @throws ApiError for a schema that takes too much work, InputError for one that cannot be held to */
export async function trySchema({ format, calls }: ConversationAsk): Promise<void> {
  const json = format !== undefined && format.type === 'json_schema' ? format : null;
  if (!json && !calls?.required) return;
  const first = await compiling(json, calls);
  // Once more: the first time, the code itself is compiled.
  const { took, stretch } = allowed(first) ? first : await compiling(json, calls);
  if (allowed({ took, stretch })) return;
  throw new ApiError(400, 'compiling the schema takes more work than a request may ask for', {
    param: json ? 'response_format' : 'tools',
    code: 'too_slow',
  });
}

interface Trial {
  took: number;
  /** The longest time without a pause. */
  stretch: number;
}

const allowed = ({ took, stretch }: Trial) => took <= MOST && stretch <= AT_A_STRETCH;

async function compiling(...what: Parameters<typeof compileFormat>): Promise<Trial> {
  const begun = spent();
  let [last, stretch, done] = [begun, 0, false];
  const look = () => {
    const now = spent();
    stretch = Math.max(stretch, now - last);
    last = now;
    if (!done) setImmediate(look);
  };
  setImmediate(look);
  try {
    await compileFormat(...what);
  } finally {
    done = true;
    look();
  }
  return { took: spent() - begun, stretch };
}

/** Milliseconds of processor time that this thread has had, where the system tells; else by the clock. */
function spent(): number {
  try {
    return Number.parseInt(readFileSync('/proc/thread-self/schedstat', 'utf8'), 10) / 1e6;
  } catch {
    return performance.now();
  }
}
