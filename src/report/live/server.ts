import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InputError } from '../../util/errors.ts';
import { type Page, partsOf, renderPage } from '../page.ts';
import { CLIENT, STYLE } from './client.ts';

/**
 * A page that changes, served to this machine alone: `/` is the page as it is, `/events` its changes as they come. It
 * only tells; there is nothing that a request could change.
 */
export interface LivePage {
  url: string;
  /** Sends the last changes and closes. `finished` says that there will never be more. */
  close(finished: boolean): Promise<void>;
}

const HOST = '127.0.0.1';

/** Milliseconds between two looks for changes. */
const EVERY = 1000;

/** Milliseconds that a viewer has to take the last changes. */
const PATIENCE = 1000;

interface Viewer {
  response: ServerResponse;
  /** The parts that it has. */
  has: Map<string, string>;
  title: string;
}

/**
 * @param page the page as it is now; asked for while someone looks
 * @param port 0 for any that is free
 * @param onError told when the page cannot be made; what it shows goes on all the same
 * @throws InputError if the port is taken or not allowed
 */
export async function servePage(
  page: () => Page,
  port: number,
  onError: (error: unknown) => void,
): Promise<LivePage> {
  const viewers = new Set<Viewer>();
  const update = (who: readonly Viewer[]) => {
    if (who.length === 0) return;
    try {
      send(who, page());
    } catch (error) {
      onError(error);
    }
  };
  const server = createServer((request, response) => {
    const refused = refusal(request);
    if (refused) {
      const { status, text, headers } = refused;
      response
        .writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers })
        .end(`${text}\n`);
      return;
    }
    const type = pathOf(request) === '/' ? 'text/html' : 'text/event-stream';
    response.writeHead(200, { ...HEADERS, 'Content-Type': `${type}; charset=utf-8` });
    if (request.method === 'HEAD') {
      response.end();
    } else if (type === 'text/html') {
      try {
        response.end(renderPage(page(), { script: CLIENT, style: STYLE }));
      } catch (error) {
        onError(error);
        response.end('the page cannot be made: see the messages of the run');
      }
    } else {
      const viewer: Viewer = { response, has: new Map(), title: '' };
      viewers.add(viewer);
      response.on('close', () => viewers.delete(viewer));
      update([viewer]);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explained(error, port)));
    server.listen(port, HOST, resolve);
  });
  const timer = setInterval(() => {
    // One that has not taken the last changes yet gets these with the next.
    update([...viewers].filter(({ response }) => !response.writableNeedDrain));
  }, EVERY);
  return {
    url: `http://${HOST}:${(server.address() as AddressInfo).port}/`,
    close: async (finished) => {
      clearInterval(timer);
      update([...viewers]);
      const closed = new Promise((resolve) => server.close(resolve));
      const sent = [...viewers].map(
        ({ response }) =>
          new Promise<void>((resolve) => {
            response.once('close', resolve);
            response.end(finished ? 'event: finished\ndata: {}\n\n' : undefined);
          }),
      );
      await Promise.race([
        Promise.all(sent),
        new Promise((resolve) => setTimeout(resolve, PATIENCE).unref()),
      ]);
      server.closeAllConnections();
      await closed;
    },
  };
}

const HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
};

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.replace(/[?#].*$/, '');
}

/** Why a request is not answered; undefined if it is. */
function refusal(
  request: IncomingMessage,
): { status: number; text: string; headers?: Record<string, string> } | undefined {
  const { method, headers } = request;
  // A name that leads here by its owner's tricks (DNS rebinding) must not make other pages' scripts readers of this one.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(headers.host ?? '')) {
    return { status: 403, text: 'this page is for this machine: ask for 127.0.0.1' };
  }
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, text: 'this page can only be read', headers: { Allow: 'GET, HEAD' } };
  }
  if (!['/', '/events'].includes(pathOf(request))) return { status: 404, text: 'there are / and /events' };
  return undefined;
}

function send(viewers: readonly Viewer[], page: Page): void {
  const parts = partsOf(page);
  const sections = page.sections.map(({ id }) => id);
  for (const viewer of viewers) {
    const changed = [...parts].flatMap(([id, { markup }]) =>
      viewer.has.get(id) === markup ? [] : [[id, markup] as const],
    );
    if (changed.length === 0 && viewer.has.size === parts.size && viewer.title === page.title) continue;
    viewer.has = new Map([...parts].map(([id, { markup }]) => [id, markup]));
    viewer.title = page.title;
    const data = JSON.stringify({ title: page.title, changed: Object.fromEntries(changed), sections });
    viewer.response.write(`event: page\ndata: ${data}\n\n`);
  }
}

function explained(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new InputError(`port ${port} is taken: give another with --port, or 0 for any that is free`);
  }
  if (error.code === 'EACCES') return new InputError(`port ${port} is not allowed: expected one above 1023`);
  return error;
}
