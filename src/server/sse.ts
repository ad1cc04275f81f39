import { asApiError, errorBody } from './errors.ts';
import { stringifyGently } from './gently.ts';

interface StreamEvent {
  event?: string;
  data: unknown;
  /** Whether it may take more than a moment to write. */
  long?: boolean;
}

const json = ({ data, long }: StreamEvent) => (long ? stringifyGently(data) : JSON.stringify(data));

/**
 * Server-sent events from objects, one event each, written as the client reads them. An error after the first byte
 * is an event, too, and then the stream ends.
 */
export function eventStream(
  events: AsyncGenerator<StreamEvent>,
  { last, onError }: { last?: string; onError: (error: unknown) => void },
): Response {
  const encoder = new TextEncoder();
  const line = (data: string, event?: string) =>
    encoder.encode(`${event ? `event: ${event}\n` : ''}data: ${data}\n\n`);
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await events.next();
        if (!done) return controller.enqueue(line(await json(value), value.event));
        if (last !== undefined) controller.enqueue(line(last));
      } catch (error) {
        onError(error);
        controller.enqueue(line(JSON.stringify(errorBody(asApiError(error)))));
      }
      controller.close();
    },
    async cancel() {
      await events.return(undefined);
    },
  });
  return new Response(stream, {
    headers: {
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-cache',
      'X-Accel-Buffering': 'no',
    },
  });
}

/** The values of several sources as they come. */
export async function* merge<T>(sources: readonly AsyncIterable<T>[]): AsyncGenerator<T, void, undefined> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const next = async (i: number) => ({ i, result: await iterators[i]!.next() });
  const pending = new Map(iterators.map((_, i) => [i, next(i)]));
  try {
    while (pending.size > 0) {
      const { i, result } = await Promise.race(pending.values());
      if (result.done) pending.delete(i);
      else {
        pending.set(i, next(i));
        yield result.value;
      }
    }
  } finally {
    for (const [i, waiting] of pending) {
      waiting.catch(() => {});
      void iterators[i]!.return?.().catch(() => {});
    }
  }
}
