import type { ComparedModel, CompareResult, RecallMap } from '../../src/search/compare/result.ts';
import { THRESHOLDS, verdictOf } from '../../src/search/compare/verdict.ts';
import { wilson } from '../../src/util/statistics.ts';

/** A comparison with figures of choice, for verdicts, cards and pages. */

export interface Wanted {
  change?: number;
  /** Share of the questions found, by length. */
  recall?: Record<number, number>;
  bytes?: number;
  /** Share of the task's score above chance. */
  share?: number | null;
  /** Of the task. */
  examples?: number;
}

const DEPTHS = [0, 0.25, 0.5, 0.75, 1];

function modelOf(
  name: string,
  role: ComparedModel['role'],
  { change = 0, recall = { 512: 1, 1024: 1 }, bytes = 1e6, share = 1, examples = 2000 }: Wanted,
): ComparedModel {
  const maps = ['needle', 'keys'].map((map): RecallMap => {
    return {
      name: map,
      cells: Object.entries(recall).flatMap(([length, found]) =>
        DEPTHS.map((depth) => ({
          length: Number(length),
          depth,
          right: Math.round(20 * found),
          examples: 20,
        })),
      ),
    };
  });
  return {
    ...{ name, role, architecture: role === 'parent' ? 'AAAA' : 'WWAW' },
    ...(role === 'baseline' && { of: 1, window: 100, sinks: 4 }),
    ...{ mixers: ['attention, 4 layers'], parameters: 1e6, stateBytes: bytes },
    text: {
      ...{
        loss: 3 + change,
        change,
        margin: 0.01,
        agreement: 0.9,
        kl: { mean: 0.05, margin: 0.01, tokens: 300 },
      },
      positions: [
        { from: 0, to: 16, tokens: 30, loss: 4 + change },
        { from: 16, to: 1024, tokens: 2000, loss: 3 + change },
      ],
    },
    recall: maps,
    tasks: [
      {
        name: 'arc_easy',
        examples,
        accuracy: 0.25 + 0.3 * (share ?? 0),
        interval: wilson(0.25 + 0.3 * (share ?? 0), examples),
        chance: 0.25,
        goldLoss: 1.2,
        share,
      },
    ],
    answers: [`An answer of <${name}> & others`],
    speed: [1024, 65_536].map((context) => ({
      ...{ context, prefillTokensPerSecond: context > 4096 ? null : 300, decodeTokensPerSecond: 20 },
      ...{ stateBytes: bytes * (context / 1024), formulaBytes: bytes },
    })),
  };
}

export function sampleComparison(hybrid: Wanted, baseline?: Wanted): CompareResult {
  const models = [
    modelOf('parent', 'parent', { bytes: 4e6 }),
    modelOf('hybrid', 'hybrid', hybrid),
    ...(baseline ? [modelOf('parent cut to windows of 100 + 4 tokens', 'baseline', baseline)] : []),
  ];
  const context = 1024;
  return {
    ...{
      format: 'postnas-compare-1',
      created: '2026-01-02T03:04:05.000Z',
      command: 'postnas compare parent hybrid',
    },
    machine: { processor: 'A processor', cores: 2, node: 'v20', onnxruntime: '1.30' },
    ...{
      dtype: 'as stored',
      threads: null,
      context,
      prompts: ['Why?'],
      models,
      notes: ['a note'],
      seconds: 100,
    },
    data: { name: 'novels.txt', rows: 2, tokens: 2030 },
    ...{ thresholds: THRESHOLDS, verdicts: [verdictOf({ models, context }, 1)] },
  };
}
