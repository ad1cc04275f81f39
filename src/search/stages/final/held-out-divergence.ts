import {
  float32,
  input,
  int64,
  logSoftmax,
  type Memory,
  mul,
  pick,
  sum,
  type Tensor,
  unsqueeze,
  type Value,
} from '../../../graph/index.ts';
import { head, weightInputs } from '../../../model/decoder.ts';
import { type BatchShape, headParameters, headValues, LayerPrograms } from '../../../model/layer-programs.ts';
import type { TokenBatches } from '../../../train/batches.ts';
import { predictsAnswers } from '../../../train/counted.ts';
import { divergence } from '../../../train/losses.ts';
import { Random } from '../../../util/random.ts';
import type { Network } from '../../network/network.ts';
import { chunkRows, teacherFeeds, teacherLogits } from './vocabulary-loss.ts';

/**
 * How far a student is from its teacher on rows that it is not trained on: KL(teacher || student) over all tokens of the
 * vocabulary at temperature 1, and the loss of the text itself, in nats per token. The rows are the same at every
 * measurement; the teacher reads them once.
 */

/** Draws the rows: no training begins with it. */
const SEED = 271;

/** Tokens that are read, at least. */
const TOKENS = 2048;

interface Options {
  teacher: Network;
  student: Network;
  batches: TokenBatches;
  /** Of a batch. */
  shape: BatchShape;
  /** Where the student is trained. */
  memory: Memory;
  threads?: number | undefined;
  tokens?: number;
  /** Whether the tokens of answers alone count. */
  answersOnly?: boolean;
  signal?: AbortSignal | undefined;
}

interface Rows {
  ids: Int32Array;
  /** By place, 1 where the divergence counts, and where the next token does. */
  counted: Float32Array;
  asked: Float32Array;
}

export class HeldOutDivergence {
  private readonly rows: Rows[];
  /** Hidden states of the teacher after its last layer, by batch. */
  private readonly taught: Value[] = [];
  private readonly programs: Record<'teacher' | 'student', LayerPrograms>;

  constructor(private readonly options: Options) {
    const { teacher, student, batches, shape, memory, threads, tokens = TOKENS } = options;
    const random = new Random(SEED);
    const size = shape.batch * shape.length;
    this.rows = Array.from({ length: Math.ceil(tokens / size) }, () => {
      const ids = new Int32Array(size);
      const answers = options.answersOnly ? new Uint8Array(size) : undefined;
      batches.fill(ids, shape.length, random, answers);
      const counted = answers && predictsAnswers(answers, shape.length);
      return {
        ids,
        counted: counted ?? new Float32Array(size).fill(1),
        asked: counted ?? predictsAnswers(new Uint8Array(size).fill(1), shape.length),
      };
    });
    this.programs = {
      teacher: new LayerPrograms(teacher.config, shape, memory, threads),
      student: new LayerPrograms(student.config, shape, memory, threads),
    };
  }

  /** Tokens that are read at each measurement. */
  get tokens(): number {
    return this.rows.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  async measure(): Promise<{ divergence: number; crossEntropy: number }> {
    const { student, memory } = this.options;
    const found = { divergence: 0, crossEntropy: 0 };
    for (const [batch, rows] of this.rows.entries()) {
      this.options.signal?.throwIfAborted();
      const x = await this.hidden('student', student, rows.ids);
      this.taught[batch] ??= await this.hidden('teacher', this.options.teacher, rows.ids);
      const sums = await this.compare(rows, this.taught[batch], x);
      memory.free(x);
      found.divergence += sums.divergence;
      found.crossEntropy += sums.crossEntropy;
    }
    const count = (of: 'counted' | 'asked') =>
      Math.max(
        1,
        this.rows.reduce((sum, rows) => sum + rows[of].reduce((a, b) => a + b, 0), 0),
      );
    return {
      divergence: found.divergence / count('counted'),
      crossEntropy: found.crossEntropy / count('asked'),
    };
  }

  /** Hidden states after the last layer. */
  private async hidden(whose: 'teacher' | 'student', network: Network, ids: Int32Array): Promise<Value> {
    const { signal, memory } = this.options;
    const programs = this.programs[whose];
    let x = await programs.embed(ids, network.embedding);
    for (const [layer, branches] of network.branches.entries()) {
      signal?.throwIfAborted();
      const { mixed, y } = await programs.layer(branches[0]!.spec, x, network.layerValues(layer, 0));
      memory.free(mixed, x);
      x = y;
    }
    return x;
  }

  /** Sums over a batch. */
  private async compare({ ids, counted, asked }: Rows, taught: Value, x: Value) {
    const { student, teacher, memory } = this.options;
    const { config } = student;
    const program = await this.programs.student.compiled('held out', () => {
      const said = logSoftmax(
        head(config, input('x', 'float32', ['R', config.hiddenSize]), weightInputs(headParameters(config))),
      );
      const each = divergence(logSoftmax(teacherLogits(teacher)), said);
      const picked = pick(said, unsqueeze(input('targets', 'int64', ['R']), -1));
      const weighed = (values: Tensor, by: string) => sum(mul(values, input(by, 'float32', ['R'])));
      return {
        divergence: weighed(each, 'counted'),
        crossEntropy: weighed(sum(mul(picked, -1), [-1]), 'asked'),
      };
    });
    const weights = await memory.place(headValues(config, student.outer));
    const found = { divergence: 0, crossEntropy: 0 };
    const size = chunkRows(ids.length, config.vocabSize, memory);
    for (let from = 0; from < ids.length; from += size) {
      const to = Math.min(ids.length, from + size);
      const own = await memory.rows(x, from, to);
      const taughtBy = await teacherFeeds(memory, teacher, taught, from, to);
      const targets = Int32Array.from({ length: to - from }, (_, i) => ids[from + i + 1] ?? 0);
      const part = (values: Float32Array) => float32(values.slice(from, to), [to - from]);
      const sums = await memory.run(program, {
        ...weights,
        ...taughtBy,
        x: own,
        targets: int64(targets, [to - from]),
        counted: part(counted),
        asked: part(asked),
      });
      memory.free(own, taughtBy['teacher.x']);
      const [one, other] = await memory.numbers([sums.divergence!, sums.crossEntropy!]);
      found.divergence += one!;
      found.crossEntropy += other!;
    }
    return found;
  }

  async dispose(): Promise<void> {
    this.options.memory.free(...this.taught);
    await this.programs.teacher.dispose();
    await this.programs.student.dispose();
  }
}
