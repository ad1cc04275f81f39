import {
  add,
  float32,
  gradients,
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
  type Values,
} from '../../../graph/index.ts';
import { head, weightInputs } from '../../../model/decoder.ts';
import { headParameters, headValues, type LayerPrograms } from '../../../model/layer-programs.ts';
import { divergenceOfLogits, topDivergence } from '../../../train/losses.ts';
import type { Network } from '../../network/network.ts';

/** What is minimised at the head: of the next token's distribution. */
export interface VocabularyLosses {
  /** Weight of KL(teacher || student), times the square of the temperature. */
  divergence: number;
  /** By which both models' logits are divided for it. */
  temperature: number;
  /** Weight of the cross-entropy on the next token of the row. */
  crossEntropy: number;
}

/** The teacher's most probable tokens of each position, [N, k]. */
export interface TopTokens {
  ids: Int32Array;
  /** At the losses' temperature. */
  logProbs: Float32Array;
  k: number;
}

/**
 * 48 MB of logits, 256 rows of a vocabulary of 49,152; some five tensors of this size are alive at a time. With fewer rows
 * the weights are read more often than it pays. A GPU wants more work at a time: 128 MB.
 */
const LOGITS = { cpu: 3 << 22, webgpu: 1 << 25 };

/** Rows of hidden states that go through the head at a time, as few chunks as may be and all alike. */
export function chunkRows(
  rows: number,
  vocabulary: number,
  { device }: Pick<Memory, 'device'>,
  logits = LOGITS[device],
): number {
  return Math.ceil(rows / Math.ceil((rows * vocabulary) / logits));
}

/** What is computed of a batch: hidden states after the last layer, and whose they are. */
interface Given {
  ids: Int32Array;
  /** Hidden states of the student [B, T, D]. */
  x: Value;
  /** The student's norm and head. */
  student: Network;
  /** The teacher and its hidden states, or what it was known to say. */
  teacher: { network: Network; x: Value } | TopTokens;
  /** Where gradients of the head's weights are added to: those of the trained ones. */
  into: Values;
  /** By place, its weight in the means, where not all count alike [N]; what is said behind a row counts 0. */
  counted?: Float32Array | undefined;
}

/**
 * The losses at the head and their gradients. The vocabulary is wide: rows go through in chunks, in which the
 * teacher's logits are computed too, so that logits of a whole batch are never held.
 *
 * @returns the weighted loss, its parts per token, and the gradient of the student's hidden states
 */
export async function vocabularyGradient(
  programs: LayerPrograms,
  losses: VocabularyLosses,
  { ids, x, student, teacher, into, counted }: Given,
  logits?: number,
): Promise<{ loss: number; parts: Record<string, number>; below: Value }> {
  const { config } = student;
  const trained = Object.keys(into);
  const length = programs.shape.length;
  const rows = ids.length;
  const taught = losses.divergence > 0;
  const known = 'k' in teacher;
  const source = !taught ? 'none' : known ? `top ${teacher.k}` : 'teacher';
  const key = `head ${source} ${!!counted} ${trained} ${JSON.stringify(losses)}`;
  const program = await programs.compiled(key, () => {
    const hidden = input('x', 'float32', ['R', config.hiddenSize]);
    const weights = weightInputs(headParameters(config));
    const said = head(config, hidden, weights);
    const { temperature } = losses;
    const tempered = (z: Tensor) => (temperature === 1 ? z : mul(z, 1 / temperature));
    const parts: Record<string, Tensor> = {};
    const terms: Tensor[] = [];
    if (taught) {
      const each = known
        ? topDivergence(
            input('top.ids', 'int64', ['R', teacher.k]),
            input('top.logProbs', 'float32', ['R', teacher.k]),
            logSoftmax(tempered(said)),
          )
        : divergenceOfLogits(tempered(teacherLogits(teacher.network)), tempered(said));
      parts.divergence = counted
        ? sum(mul(each, input('counted', 'float32', ['R'])))
        : mul(sum(each), 1 / rows);
      terms.push(mul(parts.divergence, losses.divergence * temperature ** 2));
    }
    if (losses.crossEntropy > 0) {
      const targets = pick(logSoftmax(said), unsqueeze(input('targets', 'int64', ['R']), -1));
      parts.crossEntropy = sum(mul(targets, unsqueeze(input('asked', 'float32', ['R']), -1)));
      terms.push(mul(parts.crossEntropy, losses.crossEntropy));
    }
    const loss = terms.reduce((a, b) => add(a, b));
    const [below, ...found] = gradients(
      [{ output: loss }],
      [hidden, ...trained.map((name) => weights[name]!)],
    );
    const sums = trained.map((name, i) => {
      const before = input(`sum.${name}`, 'float32', weights[name]!.shape);
      return [`grad.${name}`, add(before, found[i]!)] as const;
    });
    return { ...parts, loss, below: below!, ...Object.fromEntries(sums) };
  });

  const { memory } = programs;
  const belows: Value[] = [];
  const targets = nextTokens(ids, length, counted);
  const weights = await memory.place(headValues(config, student.outer));
  const told: Record<'loss' | 'divergence' | 'crossEntropy', Value[]> = {
    loss: [],
    divergence: [],
    crossEntropy: [],
  };
  const size = chunkRows(rows, config.vocabSize, memory, logits);
  for (let from = 0; from < rows; from += size) {
    const to = Math.min(rows, from + size);
    const own = { x: await memory.rows(x, from, to) };
    const feeds: Values = { ...own, ...weights, ...(await memory.place(named('sum.', into))) };
    if (taught && known) {
      const { k } = teacher;
      feeds['top.ids'] = int64(teacher.ids.subarray(from * k, to * k), [to - from, k]);
      feeds['top.logProbs'] = float32(teacher.logProbs.subarray(from * k, to * k), [to - from, k]);
    } else if (taught && !known) {
      const { network, x: hidden } = teacher;
      Object.assign(feeds, await teacherFeeds(memory, network, hidden, from, to));
    }
    if (taught && counted) feeds.counted = float32(counted.slice(from, to), [to - from]);
    if (losses.crossEntropy > 0) {
      feeds.targets = int64(targets.ids.subarray(from, to), [to - from]);
      feeds.asked = float32(targets.asked.subarray(from, to), [to - from]);
    }
    const { below, ...parts } = await memory.run(program, feeds, named('grad.', into));
    memory.free(own.x, feeds['teacher.x']);
    belows.push(below!);
    for (const name of Object.keys(told) as (keyof typeof told)[]) {
      if (parts[name]) told[name].push(parts[name]);
    }
  }
  const totals: Record<string, number> = {};
  for (const [name, values] of Object.entries(told)) {
    if (values.length > 0) totals[name] = (await memory.numbers(values)).reduce((a, b) => a + b, 0);
  }
  const { loss, ...parts } = totals;
  return { loss: loss!, parts, below: await memory.join(belows, x.dims) };
}

/** The teacher's logits of rows of its hidden states, its inputs named `teacher.` */
export function teacherLogits({ config }: Network): Tensor {
  const weights = headParameters(config).map(
    ({ name, shape }) => [name, input(`teacher.${name}`, 'float32', shape)] as const,
  );
  return head(config, input('teacher.x', 'float32', ['R', config.hiddenSize]), Object.fromEntries(weights));
}

/**
 * Values for the inputs of `teacherLogits`: the weights, and rows `from` to `to` of hidden states as `teacher.x`,
 * which the caller frees.
 */
export async function teacherFeeds(
  memory: Memory,
  { config, outer }: Network,
  x: Value,
  from: number,
  to: number,
): Promise<Values> {
  const weights = await memory.place(named('teacher.', headValues(config, outer)));
  return { 'teacher.x': await memory.rows(x, from, to), ...weights };
}

function named(prefix: string, values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
}

/**
 * The token after each, and what it counts for in the mean: minus its weight, or minus one over all tokens that have one;
 * nothing for the last of a row.
 */
function nextTokens(
  ids: Int32Array,
  length: number,
  counted: Float32Array | undefined,
): { ids: Int32Array; asked: Float32Array } {
  const asked = Float32Array.from(ids, (_, i) => {
    if (i % length === length - 1) return 0;
    return counted ? -counted[i]! : -length / (ids.length * (length - 1));
  });
  return { ids: ids.map((_, i) => ids[i % length === length - 1 ? i : i + 1]!), asked };
}
