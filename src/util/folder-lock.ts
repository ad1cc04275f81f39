import { linkSync, mkdirSync, readFileSync, readlinkSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from './errors.ts';

/**
 * One process at a time writes to a folder. Whoever has it is named in a file in it, which is gone when the work ends
 * in whatever way; after a kill or a crash of the machine the file is left behind, and the next process takes over.
 */

const LOCK = 'postnas.lock';

/** Where a process is, as far as the system says: only among those of one place a pid says which is meant. */
interface Place {
  host: string;
  /** Tells machines of one name apart, as they are cloned from one image onto a shared drive. */
  machine?: string | undefined;
  /** Another one after every start of the machine. */
  boot?: string | undefined;
  /** Containers have their own pids. */
  namespace?: string | undefined;
}

/** Who has a folder, as its lock says. */
interface Holder extends Place {
  pid: number;
  /** What tells the process from another one that got the same id later; absent where the system does not say. */
  started?: string | undefined;
  /** What it does: 'postnas run', for people. */
  what: string;
  /** ISO 8601. */
  since: string;
}

/** How long a process may take over a lock that was left behind: it writes one small file. */
const TAKE_OVER = { tries: 40, wait: 50 };

/** Locks of this process, by path, to be taken away when it exits in the midst of its work. */
const mine = new Map<string, string>();
const releaseAll = () => {
  for (const [path, text] of mine) release(path, text);
};

/**
 * Does work that needs a folder for itself. The folder is made if it is missing.
 *
 * @param what the work, for whoever comes second: 'postnas search'
 * @throws InputError when another process, or another call in this one, is at work there: it is named, and since when
 */
export async function withFolder<T>(folder: string, what: string, work: () => Promise<T>): Promise<T> {
  const path = join(folder, LOCK);
  const text = await acquire(path, folder, what);
  if (mine.size === 0) process.on('exit', releaseAll);
  mine.set(path, text);
  try {
    return await work();
  } finally {
    mine.delete(path);
    if (mine.size === 0) process.off('exit', releaseAll);
    release(path, text);
  }
}

/** @throws InputError when a process is at work in a folder, so that a second one need not begin. */
export function checkFree(folder: string): void {
  const held = read(join(folder, LOCK));
  if (held && !isStale(held)) throw refusal(folder, held);
}

async function acquire(path: string, folder: string, what: string): Promise<string> {
  const text = JSON.stringify({
    pid: process.pid,
    ...here(),
    started: startOf(process.pid),
    what,
    since: new Date().toISOString(),
  } satisfies Holder);
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new InputError(`cannot make the folder ${folder}: ${(error as Error).message}`);
  }
  for (let i = 0; i < TAKE_OVER.tries; i++) {
    if (create(path, text)) return text;
    const held = read(path);
    if (held && !isStale(held)) throw refusal(folder, held);
    // Who takes over has a lock for that, so that nobody takes away the fresh lock of whoever was faster.
    if (held && create(`${path}.taken-over`, text)) {
      try {
        const still = read(path);
        if (still && isStale(still)) rmSync(path, { force: true });
        if (create(path, text)) return text;
      } finally {
        rmSync(`${path}.taken-over`, { force: true });
      }
    }
    await sleep(TAKE_OVER.wait);
  }
  throw new InputError(
    `${folder} seems to be in use: other processes come and go there. If there are none, delete ${path} and ` +
      `${path}.taken-over`,
  );
}

/** Makes a file that is complete from its first moment, unless there is one. @returns whether it was made */
function create(path: string, text: string): boolean {
  const beside = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(beside, text);
    linkSync(beside, path);
    return true;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    // File systems without links: the file is made at once, but for a moment it is empty.
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') return createPlain(path, text);
    throw new InputError(`cannot write ${path}: ${message}`);
  } finally {
    rmSync(beside, { force: true });
  }
}

function createPlain(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new InputError(`cannot write ${path}: ${(error as Error).message}`);
  }
}

/** What a lock says: undefined if there is none (any more), a holder that is gone if it cannot be understood. */
function read(path: string): Holder | undefined {
  try {
    const held = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    const { pid, host, what, since } = held;
    if (typeof pid === 'number' && typeof host === 'string') {
      return { ...held, pid, host, what: String(what), since: String(since) };
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code !== undefined) throw new InputError(`cannot read ${path}: ${message}`);
  }
  return { pid: 0, host: hostname(), what: '', since: '' };
}

let place: Place | undefined;
function here(): Place {
  place ??= {
    host: hostname(),
    machine: said(() => readFileSync('/etc/machine-id', 'utf8')),
    boot: said(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    namespace: said(() => readlinkSync('/proc/self/ns/pid')),
  };
  return place;
}

/** What the system says; nothing where it has no such file. */
function said(read: () => string): string | undefined {
  try {
    return read().trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Where the process is, in words, if nobody can tell from here whether it still runs. */
function elsewhere(holder: Holder): string | undefined {
  const differs = (field: keyof Place) => {
    const [there, own] = [holder[field], here()[field]];
    return there !== undefined && own !== undefined && there !== own;
  };
  if (differs('host')) return `on ${holder.host}`;
  if (differs('machine')) return `on another machine called ${holder.host}`;
  // After a restart no process of before is left, in whatever container it was.
  return differs('namespace') && !differs('boot') ? 'in another container' : undefined;
}

/** Whether the process is surely gone; one elsewhere never is. */
function isStale(holder: Holder): boolean {
  const { pid, boot, started } = holder;
  if (elsewhere(holder)) return false;
  // The machine was started again since.
  if (boot !== undefined && here().boot !== undefined && boot !== here().boot) return true;
  if (pid <= 0 || !isAlive(pid)) return true;
  const now = startOf(pid);
  return started !== undefined && now !== undefined && started !== now;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user may not be asked.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** When a process was started, in ticks since the system was, where the system tells (Linux). */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may hold anything; the start is the 22nd field, the 20th after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A process that has ended but was not waited for.
    return fields[0] === 'Z' ? 'ended' : fields[19];
  } catch {
    return undefined;
  }
}

function refusal(folder: string, holder: Holder): InputError {
  const { pid, started, what, since } = holder;
  const where = elsewhere(holder);
  const sure = where === undefined && started !== undefined;
  return new InputError(
    `${folder} is in use by process ${pid}${where ? ` ${where}` : ''} (${what}) since ${since}: wait for its end, ` +
      `or give another folder.${sure ? '' : ` If that process is gone, delete ${join(folder, LOCK)}`}`,
  );
}

/** Takes a lock away if it is still the one that was made. */
function release(path: string, text: string): void {
  try {
    if (readFileSync(path, 'utf8') === text) unlinkSync(path);
  } catch {
    // Whoever deleted it, or its folder, has done it already.
  }
}
