import { InputError } from '../util/errors.ts';
import { Bytes, type Fill } from './bytes.ts';
import type { ModelFiles } from './model-files.ts';

/** Files of a page: chosen or dropped by the user, or loaded. They stay where the browser keeps them. */

/** Of workers alone, whose types are not those of pages. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** Bytes in memory. */
class MemoryBytes extends Bytes {
  constructor(
    path: string,
    private readonly data: Uint8Array,
  ) {
    super(path, data.byteLength);
  }

  open<T>(use: (fill: Fill) => T): T {
    return use((target, position) => target.set(this.data.subarray(position, position + target.byteLength)));
  }
}

/** Only workers may wait for bytes of a blob. */
class BlobBytes extends Bytes {
  private readonly reader = new FileReaderSync();

  constructor(
    path: string,
    private readonly blob: Blob,
  ) {
    super(path, blob.size);
  }

  open<T>(use: (fill: Fill) => T): T {
    return use((target, position, what) => {
      let part: ArrayBuffer;
      try {
        part = this.reader.readAsArrayBuffer(this.blob.slice(position, position + target.byteLength));
      } catch (error) {
        throw new InputError(`cannot read ${what} of ${this.path}: ${(error as Error).message}`);
      }
      target.set(new Uint8Array(part));
    });
  }
}

class BlobFiles implements ModelFiles {
  constructor(
    readonly path: string,
    private readonly files: ReadonlyMap<string, Bytes>,
  ) {}

  names(folder?: string): string[] {
    const names = [...this.files.keys()];
    if (folder === undefined) return names;
    const prefix = `${folder}/`;
    return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  }

  has(name: string): boolean {
    return this.files.has(name);
  }

  open(name: string): Bytes {
    const file = this.files.get(name);
    if (!file) throw new InputError(`${this.path} has no ${name}`);
    return file;
  }
}

/**
 * The files of a model, for `Model.fromPretrained`. In a worker they are read part by part; a page itself has to take
 * them into memory as a whole.
 *
 * @param path what messages call the place
 * @throws InputError for one that cannot be read
 */
export async function blobFiles(path: string, blobs: Iterable<readonly [string, Blob]>): Promise<ModelFiles> {
  const files = new Map<string, Bytes>();
  for (const [name, blob] of blobs) {
    const at = `${path.replace(/\/$/, '')}/${name}`;
    files.set(
      name,
      typeof FileReaderSync === 'undefined'
        ? new MemoryBytes(at, new Uint8Array(await blob.arrayBuffer()))
        : new BlobBytes(at, blob),
    );
  }
  return new BlobFiles(path, files);
}
