import { createHash } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { logSoftmax, mul, type Value } from '../../../graph/index.ts';
import type { LayerPrograms } from '../../../model/layer-programs.ts';
import { SafetensorsFile, tensorBytes, writeSafetensors } from '../../../model/safetensors.ts';
import { begin } from '../../../util/store/kept.ts';
import type { Network } from '../../network/network.ts';
import { chunkRows, type TopTokens, teacherFeeds, teacherLogits } from './vocabulary-loss.ts';

/**
 * What a teacher says of batches, on disk: the most probable tokens of each position. A batch has a file of its
 * own, whose name says the teacher, the temperature and the tokens: whoever trains on the same batch finds it, and
 * nobody else does. A training with a cache sees what was stored whether it was found or made. In each teacher's folder
 * teacher.json says whose it is.
 */

/** Tokens kept per position: 512 bytes. */
const TOP = 64;

export interface CacheOptions {
  folder: string;
  teacher: Network;
  temperature: number;
  programs: LayerPrograms;
  /** Told of a file that could not be used. */
  onNotice?: (line: string) => void;
  /** Logits computed at a time. */
  logits?: number;
}

/** Bytes that a batch of so many tokens takes, near enough. */
export function cachedBytes(tokens: number, vocabulary: number): number {
  return 2 * tensorBytes([tokens, Math.min(TOP, vocabulary)], 'F32') + 1024;
}

export class TeacherCache {
  private readonly folder: string;

  /** @throws OtherWorkError when what is kept under the teacher's name is of another */
  constructor(private readonly options: CacheOptions) {
    const { teacher, temperature, folder, onNotice } = options;
    const identity = { teacher: teacher.fingerprint(), temperature, tokens: TOP };
    this.folder = join(folder, hashed(`${identity.teacher} ${temperature} ${TOP}`));
    begin(join(this.folder, 'teacher.json'), identity, onNotice);
  }

  /** @param teach gives the teacher's hidden states after its last layer, if they are needed */
  async top(ids: Int32Array, teach: () => Promise<Value>): Promise<TopTokens> {
    // The same tokens in other rows have other predictions.
    const key = hashed(String(this.options.programs.shape.length), ids);
    const path = join(this.folder, `${key}.safetensors`);
    return this.stored(path, ids.length) ?? this.made(path, ids.length, await teach());
  }

  private stored(path: string, rows: number): TopTokens | undefined {
    if (!existsSync(path)) return undefined;
    let damage = 'its check sum is another';
    try {
      const file = new SafetensorsFile(path);
      const [ids, logProbs] = [Int32Array.from(file.read('ids')), file.read('log_probs')];
      if (file.metadata.check === hashed(ids, logProbs)) return { ids, logProbs, k: ids.length / rows };
    } catch (error) {
      damage = (error as Error).message;
    }
    renameSync(path, `${path}.damaged`);
    this.options.onNotice?.(
      `${path} is damaged (${damage}) and laid aside as ${path}.damaged: computed anew`,
    );
    return undefined;
  }

  private async made(path: string, rows: number, x: Value): Promise<TopTokens> {
    const { teacher, temperature, programs, logits } = this.options;
    const { vocabSize } = teacher.config;
    const { memory } = programs;
    const program = await programs.compiled(
      `teacher says ${temperature}`,
      () => ({ logProbs: logSoftmax(mul(teacherLogits(teacher), 1 / temperature)) }),
      { read: true },
    );
    const k = Math.min(TOP, vocabSize);
    const top: TopTokens = { ids: new Int32Array(rows * k), logProbs: new Float32Array(rows * k), k };
    const size = chunkRows(rows, vocabSize, memory, logits);
    for (let from = 0; from < rows; from += size) {
      const to = Math.min(rows, from + size);
      const feeds = await teacherFeeds(memory, teacher, x, from, to);
      const { logProbs } = await program.run(feeds);
      memory.free(feeds['teacher.x']);
      for (let row = from; row < to; row++) {
        const start = (row - from) * vocabSize;
        const said = (logProbs!.data as Float32Array).subarray(start, start + vocabSize);
        largest(
          said,
          top.ids.subarray(row * k, (row + 1) * k),
          top.logProbs.subarray(row * k, (row + 1) * k),
        );
      }
    }
    const tensor = (name: string, data: Float32Array) => ({
      name,
      dtype: 'F32' as const,
      shape: [rows, k],
      data,
    });
    // Ids are exact as float32 up to 16 million.
    writeSafetensors(path, [tensor('ids', Float32Array.from(top.ids)), tensor('log_probs', top.logProbs)], {
      check: hashed(top.ids, top.logProbs),
    });
    return top;
  }
}

/** The largest values, falling, and where they stand; of equal ones the first. */
function largest(from: Float32Array, ids: Int32Array, values: Float32Array): void {
  values.fill(Number.NEGATIVE_INFINITY);
  const last = values.length - 1;
  for (let i = 0; i < from.length; i++) {
    const x = from[i]!;
    if (x <= values[last]!) continue;
    let at = last;
    for (; at > 0 && values[at - 1]! < x; at--) {
      values[at] = values[at - 1]!;
      ids[at] = ids[at - 1]!;
    }
    values[at] = x;
    ids[at] = i;
  }
}

function hashed(...parts: (string | Int32Array | Float32Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex').slice(0, 24);
}
