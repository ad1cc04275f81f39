import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { resolve, sep } from 'node:path';

/** Watches what a reader does beside giving a result. */

/** Seconds of processor time that a reader may take for a file of some kilobytes, whatever stands in it. */
const MOST_SECONDS = 1;
/** Bytes that the process may grow by beyond twice the file: the collector's own slack. */
const SLACK = 128e6;

const OPENERS = [
  'openSync',
  'readFileSync',
  'statSync',
  'existsSync',
  'readdirSync',
  'createReadStream',
] as const;

/** Paths that were opened while watched, through `node:fs`, by whoever imported it. */
export class Opened {
  readonly paths: string[] = [];
  private watching = false;
  private readonly originals = OPENERS.map((name) => fs[name]);

  constructor() {
    for (const [i, name] of OPENERS.entries()) {
      const original = this.originals[i] as (...args: unknown[]) => unknown;
      const watched = (...args: unknown[]): unknown => {
        if (this.watching && (typeof args[0] === 'string' || args[0] instanceof URL))
          this.paths.push(String(args[0]));
        return original.apply(fs, args);
      };
      Object.assign(fs, { [name]: watched });
    }
    syncBuiltinESMExports();
  }

  async during<T>(run: () => Promise<T>): Promise<T> {
    this.paths.length = 0;
    this.watching = true;
    try {
      return await run();
    } finally {
      this.watching = false;
    }
  }

  /** What was opened outside of the folder. */
  outside(folder: string): string[] {
    const root = resolve(folder);
    return this.paths.filter((path) => resolve(path) !== root && !resolve(path).startsWith(root + sep));
  }

  restore(): void {
    for (const [i, name] of OPENERS.entries()) Object.assign(fs, { [name]: this.originals[i] });
    syncBuiltinESMExports();
  }
}

const PROTOTYPES = [Object.prototype, Array.prototype, Function.prototype, String.prototype];
const own = () => PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype).length).join();
const CLEAN = own();

/** What was done in excess while `run` ran on a file of so many bytes; empty if nothing. */
export async function excessOf(bytes: number, run: () => Promise<void>): Promise<string[]> {
  const peak = process.resourceUsage().maxRSS;
  const begun = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(begun);
  const seconds = (user + system) / 1e6;
  const grown = 1024 * (process.resourceUsage().maxRSS - peak);
  return [
    ...(seconds > MOST_SECONDS ? [`took ${seconds.toFixed(2)} s of processor time`] : []),
    ...(grown > 2 * bytes + SLACK ? [`took ${Math.round(grown / 1e6)} MB for a file of ${bytes} bytes`] : []),
    ...(own() === CLEAN ? [] : ['changed a prototype that all objects share']),
  ];
}
