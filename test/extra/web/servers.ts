import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';

/** What the tests of the page talk to: Vite as a user starts it, and a server that stands in for the Hub. */

export const ROOT = resolve(import.meta.dirname, '../../..');

interface Server {
  url: string;
  close(): Promise<void>;
}

/** A command that serves the page, once it says where. */
export async function serving(command: string, args: readonly string[]): Promise<Server> {
  const child = spawn(command, args, { cwd: ROOT, detached: true, env: { ...process.env, NO_COLOR: '1' } });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const close = async () => {
    // The whole group: npm starts others.
    if (child.exitCode === null) process.kill(-child.pid!, 'SIGTERM');
    await ended;
  };
  let said = '';
  const url = await new Promise<string>((found, failed) => {
    const listen = (data: Buffer) => {
      said += data;
      const match = /http:\/\/127\.0\.0\.1:\d+\//.exec(said);
      if (match) found(match[0]);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.once('exit', (code) => failed(new Error(`${command} ended with ${code}: ${said}`)));
  });
  return { url, close };
}

const SHA = '0123456789abcdef0123456789abcdef01234567';

export interface Hub extends Server {
  /** Paths that were asked for. */
  asked: string[];
}

/** Folders as the Hub's repositories org/{name}, for pages of other origins. */
export async function serveHub(folders: Record<string, string>): Promise<Hub> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://hub');
    asked.push(pathname);
    response.setHeader('access-control-allow-origin', '*');
    const [, repo, rest] = /^\/(?:api\/models\/)?org\/([\w-]+)\/(.*)$/.exec(pathname) ?? [];
    const folder = folders[repo ?? ''];
    if (folder && pathname.startsWith('/api/')) {
      const siblings = readdirSync(folder).map((rfilename) => ({ rfilename }));
      response.end(JSON.stringify({ sha: SHA, siblings }));
      return;
    }
    const file = join(folder ?? '', rest?.replace(`resolve/${SHA}/`, '') ?? '');
    if (!folder || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const data = readFileSync(file);
    response.writeHead(200, { 'content-length': data.length }).end(data);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
