import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readEvents } from '../../../test/support/events.ts';
import { html } from '../html.ts';
import type { Page } from '../page.ts';
import { type LivePage, servePage } from './server.ts';

let page: Page;
let served: LivePage;
let mistakes: unknown[];
beforeEach(async () => {
  mistakes = [];
  page = {
    title: 'first',
    banner: html`<p>0 %</p>`,
    header: html`<h1>Searching</h1>`,
    sections: [{ id: 'one', title: 'One', body: html`<p>found</p>` }],
    footer: html`<p>end</p>`,
  };
  served = await servePage(
    () => page,
    0,
    (error) => mistakes.push(error),
  );
});
afterEach(() => served.close(false));

interface Update {
  title: string;
  changed: Record<string, string>;
  sections: string[];
}

test('the page, which may run its own script and nothing else', async () => {
  const response = await fetch(served.url);
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  const text = await response.text();
  expect(text).toContain('<h1>Searching</h1>');
  expect(text).toContain('<p>0 %</p>');
  expect(text.replaceAll('&#39;', "'")).toMatch(
    /default-src 'none'; script-src 'sha256-[\w+/=]+'; connect-src 'self'/,
  );
});

test('events: everything first, then what has changed alone, at the end a farewell', async () => {
  const events = readEvents(`${served.url}events`);
  const first = JSON.parse((await events.next()).value!.data) as Update;
  expect(first.sections).toEqual(['one']);
  expect(Object.keys(first.changed)).toEqual([
    'page-banner',
    'page-header',
    'page-contents',
    'one',
    'page-footer',
  ]);
  page = {
    ...page,
    title: 'second',
    banner: html`<p>50 %</p>`,
    sections: [{ id: 'two', title: 'Two', body: 'new' }, ...page.sections],
  };
  const second = JSON.parse((await events.next()).value!.data) as Update;
  expect(second.title).toBe('second');
  expect(second.sections).toEqual(['two', 'one']);
  expect(Object.keys(second.changed)).toEqual(['page-banner', 'page-contents', 'two']);
  page = { ...page, banner: 'done' };
  const closed = served.close(true);
  expect(JSON.parse((await events.next()).value!.data).changed).toEqual({ 'page-banner': 'done' });
  expect((await events.next()).value!.event).toBe('finished');
  expect((await events.next()).done).toBe(true);
  await closed;
  await expect(fetch(served.url)).rejects.toThrow();
});

test('a viewer that reads nothing does not keep the run from ending', async () => {
  const socket = connect(Number(new URL(served.url).port), '127.0.0.1');
  socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await new Promise((next) => socket.once('readable', next));
  page = { ...page, footer: 'x'.repeat(64e6) };
  socket.pause();
  socket.on('error', () => {});
  const begun = performance.now();
  await served.close(true);
  expect(performance.now() - begun).toBeLessThan(5000);
  socket.destroy();
});

test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('%s is refused', async (method) => {
  for (const path of ['', 'events']) {
    const response = await fetch(served.url + path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
  }
});

test('HEAD has no body; what is not there is not there', async () => {
  const head = await fetch(served.url, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
  expect((await fetch(`${served.url}etc/passwd`)).status).toBe(404);
});

test('a name of elsewhere that leads here is refused', async () => {
  const status = await new Promise((resolve) => {
    const { port } = new URL(served.url);
    const asked = request({ host: '127.0.0.1', port, headers: { Host: 'example.org' } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.end();
  });
  expect(status).toBe(403);
});

test('it is on the loopback address alone', async () => {
  const { port, hostname } = new URL(served.url);
  expect(hostname).toBe('127.0.0.1');
  const others = Object.values(networkInterfaces()).flatMap((list) =>
    list!.flatMap(({ address, family, internal }) => (family === 'IPv4' && !internal ? [address] : [])),
  );
  // 127.0.0.2 is this machine too, and no interface of its own: only a server on all addresses answers there.
  for (const address of [...others, '127.0.0.2']) {
    const outcome = await new Promise((resolve) => {
      const socket = connect({ port: Number(port), host: address });
      socket.on('connect', () => resolve('connected')).on('error', () => resolve('refused'));
    });
    expect([address, outcome]).toEqual([address, 'refused']);
  }
});

test('a port that is taken is named', async () => {
  const port = Number(new URL(served.url).port);
  const taken = servePage(
    () => page,
    port,
    () => {},
  );
  await expect(taken).rejects.toThrow(`port ${port} is taken`);
});

test('a page that cannot be made is told of, and the server goes on', async () => {
  const good = page;
  page = {
    ...good,
    get header(): string {
      throw new Error('no chart');
    },
  };
  expect(await (await fetch(served.url)).text()).toContain('cannot be made');
  expect(mistakes).toHaveLength(1);
  page = good;
  expect(await (await fetch(served.url)).text()).toContain('Searching');
});
