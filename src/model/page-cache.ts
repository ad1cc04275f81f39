import { InputError } from '../util/errors.ts';

/** Files that a page loads, kept by the browser (Cache API) where it lets the page. */

const CACHE = 'postnas';

interface FetchOptions {
  /** What is behind the address never changes: if it is kept, it need not be asked for. */
  immutable?: boolean;
  /** Told of bytes as they come. */
  onBytes?: (bytes: number, total: number | undefined) => void;
  signal?: AbortSignal;
}

/**
 * What is behind an address, kept from an earlier time if it is still the same there, or nobody can be asked.
 *
 * @returns null where there is no such file
 * @throws InputError when the server cannot be reached, or answers with an error
 */
export async function fetchKept(url: string, options: FetchOptions = {}): Promise<Blob | null> {
  const { immutable = false, onBytes, signal } = options;
  const kept = await keptFiles();
  const known = await kept?.match(url);
  if (known && (immutable || (await isCurrent(url, known, signal)))) {
    const blob = await known.blob();
    onBytes?.(blob.size, blob.size);
    return blob;
  }
  const response = await reach(url, { signal });
  // A server that sends its page for every address it does not know has no such file either.
  if (response.status === 404 || response.headers.get('content-type')?.startsWith('text/html')) return null;
  if (!response.ok) throw new InputError(`${url}: the server answers ${response.status}`);
  const blob = await received(response, url, onBytes, signal);
  // Without room the page works all the same, and loads again next time.
  await kept?.put(url, new Response(blob, { headers: validators(response) })).catch(() => {});
  return blob;
}

/** The same for a small text that may change: the newest that can be had. */
export async function fetchNewest(url: string, signal?: AbortSignal): Promise<Response> {
  const kept = await keptFiles();
  try {
    const response = await reach(url, { signal });
    if (response.ok) await kept?.put(url, response.clone()).catch(() => {});
    return response;
  } catch (error) {
    const known = await kept?.match(url);
    if (known && !signal?.aborted) return known;
    throw error;
  }
}

/** Browsers offer the cache in secure contexts alone. */
async function keptFiles(): Promise<Cache | null> {
  return typeof caches === 'undefined' ? null : caches.open(CACHE).catch(() => null);
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    init.signal?.throwIfAborted();
    throw new InputError(`cannot load ${url}: ${(error as Error).message}`);
  }
}

const VALIDATORS = ['etag', 'last-modified'];

function validators({ headers }: Response): Headers {
  const all = VALIDATORS.map((name) => [name, headers.get(name)] as const);
  return new Headers(
    all.filter((pair): pair is readonly [string, string] => pair[1] !== null) as [string, string][],
  );
}

async function isCurrent(url: string, known: Response, signal?: AbortSignal): Promise<boolean> {
  let now: Response;
  try {
    now = await fetch(url, { method: 'HEAD', signal });
  } catch {
    signal?.throwIfAborted();
    return true;
  }
  const name = VALIDATORS.find((validator) => now.headers.has(validator));
  return now.ok && name !== undefined && now.headers.get(name) === known.headers.get(name);
}

async function received(
  response: Response,
  url: string,
  onBytes: FetchOptions['onBytes'],
  signal: AbortSignal | undefined,
): Promise<Blob> {
  // Of what travels compressed, the length is another one.
  const length = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  const total = length === null ? undefined : Number(length);
  let loaded = 0;
  const counted = response.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        loaded += chunk.byteLength;
        onBytes?.(loaded, total);
        controller.enqueue(chunk);
      },
    }),
  );
  try {
    return await new Response(counted).blob();
  } catch (error) {
    signal?.throwIfAborted();
    throw new InputError(`${url} broke off after ${loaded} bytes: ${(error as Error).message}`);
  }
}
