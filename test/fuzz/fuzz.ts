import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { InputError } from '../../src/util/errors.ts';
import { excessOf, Opened } from './guard.ts';
import { type Mutation, mutatedBytes, mutatedJson, mutations } from './mutate.ts';

/** A reader of files that somebody else made, with files that it accepts. */
export interface Reader {
  name: string;
  /** Folders by the names of their files; the first file of each is the one that is changed. */
  folders: Record<string, string | Uint8Array>[];
  /** How the file is changed; as bytes unless told. */
  kind?: 'bytes' | 'json' | 'safetensors';
  /** Reads the changed file (its path, in a folder of its own). */
  read(file: string): unknown;
  /** Whether the file may name files elsewhere, as a recipe names its text. */
  names?: boolean;
  /** Whether an error other than InputError is the answer that this reader promises. */
  refusal?(error: unknown): boolean;
  dispose?(): Promise<void>;
}

export interface Fuzzed {
  name: string;
  runs: number;
  accepted: number;
  refused: number;
  /** The first file that was answered with anything but a result or a refusal, and how. */
  find?: { what: string; file: string | Uint8Array; example: unknown };
}

/**
 * Gives `runs` changed files to a reader, and keeps the first that it does not take as promised.
 *
 * @param shrinks whether a smaller file is looked for that is taken wrongly too
 * @throws what the reader throws for a file that was not changed
 */
export async function fuzz(reader: Reader, runs: number, seed: number, shrinks = true): Promise<Fuzzed> {
  const place = mkdtempSync(join(tmpdir(), 'postnas-fuzz-'));
  const folder = join(place, 'inside');
  const opened = new Opened();
  let [accepted, refused] = [0, 0];
  /** The last that failed: the smallest that was found. */
  let failing: string | Uint8Array = '';
  try {
    // Where a path that leads out of the folder would find something to read.
    mkdirSync(join(place, 'outside'));
    for (const [name, content] of Object.entries(reader.folders[0]!))
      writeFileSync(join(place, 'outside', name), content);
    for (const files of reader.folders) {
      write(folder, files);
      await reader.read(join(folder, Object.keys(files)[0]!));
    }
    const details = await fc.check(
      fc.asyncProperty(fc.nat(reader.folders.length - 1), mutations, async (which, list) => {
        const files = reader.folders[which]!;
        const name = Object.keys(files)[0]!;
        const file = changed(files[name]!, reader.kind ?? 'bytes', list);
        write(folder, { ...files, [name]: file });
        const fail = (error: unknown) => {
          failing = file;
          throw error;
        };
        const excess = await excessOf(file.length, async () => {
          try {
            await opened.during(async () => reader.read(join(folder, name)));
            accepted++;
          } catch (error) {
            if (!(error instanceof InputError) && !reader.refusal?.(error)) fail(error);
            refused++;
          }
        });
        const outside = (reader.names ? [] : opened.outside(folder)).map(
          (path) => `opened ${path}, outside of its folder`,
        );
        const wrong = [...excess, ...outside];
        if (wrong.length > 0) fail(new Error(wrong.join('; ')));
      }),
      { numRuns: runs, seed, endOnFailure: !shrinks },
    );
    const { failed, errorInstance, counterexample } = details;
    return {
      ...{ name: reader.name, runs: details.numRuns, accepted, refused },
      ...(failed && {
        find: {
          what: (errorInstance as Error).stack ?? String(errorInstance),
          file: failing,
          example: counterexample,
        },
      }),
    };
  } finally {
    opened.restore();
    rmSync(place, { recursive: true, force: true });
    await reader.dispose?.();
  }
}

function write(folder: string, files: Reader['folders'][number]): void {
  rmSync(folder, { recursive: true, force: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

function changed(
  original: string | Uint8Array,
  kind: NonNullable<Reader['kind']>,
  list: readonly Mutation[],
): string | Uint8Array {
  if (kind === 'json') return mutatedJson(original as string, list);
  const bytes = typeof original === 'string' ? new TextEncoder().encode(original) : original;
  // Half of the time only the header is changed, and its length with it, so that what stands in it is looked at.
  if (kind === 'bytes' || list[0]!.how % 2) return mutatedBytes(bytes, list);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = mutatedJson(new TextDecoder().decode(bytes.subarray(8, 8 + length)), list);
  const encoded = new TextEncoder().encode(header);
  const out = new Uint8Array(8 + encoded.length + bytes.length - 8 - length);
  new DataView(out.buffer).setBigUint64(0, BigInt(encoded.length), true);
  out.set(encoded, 8);
  out.set(bytes.subarray(8 + length), 8 + encoded.length);
  return out;
}
