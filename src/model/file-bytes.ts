/** Reading parts of a large file when they are asked for. */
import { closeSync, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { InputError } from '../util/errors.ts';
import { systemMeaning } from '../util/system-errors.ts';
import { Bytes, type Fill } from './bytes.ts';

/**
 * A file of which parts are read. No descriptor stays open between the reads; a file that was replaced or changed
 * since the first look is refused, so that old offsets are never applied to new bytes.
 */
export class FileBytes extends Bytes {
  private readonly identity: string;

  /** Throws InputError when there is no such file. */
  constructor(path: string) {
    let stats: Stats;
    try {
      stats = statSync(path);
    } catch (error) {
      throw new InputError(`cannot read ${path}: ${systemMeaning(error) ?? (error as Error).message}`);
    }
    if (!stats.isFile()) {
      const what = stats.isDirectory() ? 'a folder' : 'a pipe or a device';
      throw new InputError(`cannot read ${path}: it is ${what}, a file is expected`);
    }
    super(path, stats.size);
    this.identity = identityOf(stats);
  }

  open<T>(use: (fill: Fill) => T): T {
    const fd = this.system(() => openSync(this.path, 'r'));
    try {
      if (identityOf(fstatSync(fd)) !== this.identity) {
        throw new InputError(`${this.path} was changed after it had been opened; open it again`);
      }
      return use((target, position, what) => this.fill(fd, target, position, what));
    } finally {
      closeSync(fd);
    }
  }

  private fill(fd: number, target: Uint8Array, position: number, what: string): void {
    for (let done = 0; done < target.byteLength; ) {
      // A single read is limited to 2 GB by the system.
      const most = Math.min(target.byteLength - done, 1 << 30);
      const count = this.system(() => readSync(fd, target, done, most, position + done));
      if (count === 0) throw this.tooShort(what, target.byteLength - done);
      done += count;
    }
  }

  /** Refusals by the system name the file. */
  private system<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw new InputError(`cannot read ${this.path}: ${systemMeaning(error) ?? (error as Error).message}`);
    }
  }
}

function identityOf(stats: Stats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}`;
}
