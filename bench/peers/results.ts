import { median } from '../../src/util/statistics.ts';
import type { Contender, OtherKv, Outcome, Peer, Task } from './contender.ts';
import type { ModelName } from './shapes.ts';

/** What was measured: a block is one task on one shape by all contenders in turns, and stands by itself. */

export interface Entry {
  contender: Contender;
  /** By round; null where the turn failed. */
  rounds: (Outcome | null)[];
  /** Why turns failed; the last of them. */
  failure?: string;
}

export interface Block {
  date: string;
  command: string;
  machine: string;
  /** Of the processor, those that kernels are chosen by: a machine with others is another one. */
  instructions?: string;
  versions: Record<string, string>;
  threads: number;
  task: Task;
  entries: Entry[];
}

/** Names a block's place: one that is measured again takes the place of the old. */
function blockKey({ task, threads, instructions, entries }: Block): string {
  const { shape, dtype } = entries[0]!.contender;
  return [shape, dtype, threads, instructions, task.kind, String(task.context).padStart(8)].join(' ');
}

/** Blocks in order of their keys, with `block` among them. */
export function withBlock(blocks: readonly Block[], block: Block): Block[] {
  const key = blockKey(block);
  return [...blocks.filter((other) => blockKey(other) !== key), block].sort((a, b) =>
    blockKey(a) < blockKey(b) ? -1 : 1,
  );
}

export interface Figure {
  /** Medians over the rounds that did not fail. */
  tokensPerSecond: number;
  tokensPerProcessorSecond: number;
  others: number;
  peakBytes: number;
  rounds: number;
  lowest: number;
  highest: number;
  setUp: string;
}

/** Undefined where every round failed. */
export function figureOf({ rounds }: Entry): Figure | undefined {
  const good = rounds.filter((round) => round !== null);
  if (good.length === 0) return undefined;
  const rates = good.map((round) => round.tokensPerSecond);
  return {
    tokensPerSecond: median(rates),
    tokensPerProcessorSecond: median(good.map((round) => round.tokensPerProcessorSecond)),
    others: median(good.map((round) => round.others)),
    peakBytes: median(good.map((round) => round.peakBytes)),
    rounds: good.length,
    lowest: Math.min(...rates),
    highest: Math.max(...rates),
    setUp: good.at(-1)!.setUp,
  };
}

export function entryOf(block: Block, peer: Peer, model: ModelName, kv?: OtherKv): Entry | undefined {
  return block.entries.find(
    ({ contender }) => contender.peer === peer && contender.model === model && contender.kv === kv,
  );
}

/** The median of the ratios round by round: both sides of each were measured minutes apart. */
export function ratioOf(
  over: Entry | undefined,
  under: Entry | undefined,
  by: 'tokensPerSecond' | 'tokensPerProcessorSecond' = 'tokensPerSecond',
): number | undefined {
  if (!over || !under) return undefined;
  const ratios = over.rounds.flatMap((round, i) => {
    const other = under.rounds[i];
    return round && other ? [round[by] / other[by]] : [];
  });
  return ratios.length > 0 ? median(ratios) : undefined;
}
