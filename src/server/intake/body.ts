import type { IncomingMessage } from 'node:http';
import { ApiError, cut } from '../errors.ts';

/** Bodies of requests as they come, within a limit for each and one for all together. */

/** So much of each body does not count: short requests are taken while long ones fill the rest. */
export const SHORT = 64 * 1024;

export class Bodies {
  /** Bytes that are held, beyond the first of each. */
  private held = 0;

  constructor(
    /** Bytes of one. */
    private readonly limit: number,
    /** Of all that are held at once. */
    private readonly budget: number,
  ) {}

  /**
   * All of a body, in memory of its own. What it holds counts until `release` is called.
   *
   * @throws ApiError for one that is too large or encoded; the signal's reason
   */
  read(request: IncomingMessage, signal: AbortSignal): Promise<{ bytes: Uint8Array; release: () => void }> {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
      throw new ApiError(
        415,
        `the body is encoded with ${cut(encoding)}: send it as it is, without Content-Encoding`,
      );
    }
    const charset = /charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1];
    if (charset !== undefined && !/^(utf-?8|(us-)?ascii)$/i.test(charset)) {
      throw new ApiError(415, `the body's charset is ${cut(charset)}: JSON is sent as UTF-8`);
    }
    if (Number(request.headers['content-length']) > this.limit) throw this.tooLarge();
    return new Promise((done, fail) => {
      const chunks: Buffer[] = [];
      let [length, counted] = [0, 0];
      const release = () => {
        this.held -= counted;
        counted = 0;
      };
      const stop = () => {
        request.off('data', take).off('end', end).off('close', left).off('error', left);
        signal.removeEventListener('abort', left);
      };
      const give = (error: unknown) => {
        stop();
        release();
        chunks.length = 0;
        fail(error);
      };
      const left = () => give(signal.reason ?? new Error('the client went away'));
      const take = (chunk: Buffer) => {
        const before = Math.max(0, length - SHORT);
        length += chunk.length;
        const more = Math.max(0, length - SHORT) - before;
        counted += more;
        this.held += more;
        if (length > this.limit) give(this.tooLarge());
        else if (this.held > this.budget) give(crowded());
        else chunks.push(chunk);
      };
      const end = () => {
        stop();
        // Not a view of Node's pool, so that it can be handed to another thread.
        const bytes = new Uint8Array(length);
        let at = 0;
        for (const chunk of chunks) {
          bytes.set(chunk, at);
          at += chunk.length;
        }
        done({ bytes, release });
      };
      request.on('data', take).on('end', end).on('close', left).on('error', left);
      signal.addEventListener('abort', left);
      if (signal.aborted) left();
    });
  }

  private tooLarge(): ApiError {
    return new ApiError(413, `the body is larger than ${this.limit} bytes`);
  }
}

const crowded = () =>
  new ApiError(503, 'too many large requests at once', { headers: { 'Retry-After': '1' } });
