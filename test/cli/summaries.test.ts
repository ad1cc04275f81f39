/** What the commands print for people: kinds of measure, verdicts, the next command. */
import { describe, expect, test } from 'vitest';
import { blocksSummary } from '../../src/cli/blocks-summary.ts';
import { distillSummary } from '../../src/cli/distill-summary.ts';
import { runSummary } from '../../src/cli/run-summary.ts';
import { searchSummary } from '../../src/cli/search-summary.ts';
import { comparisonOf } from '../../src/report/comparison.ts';
import { findingsOf } from '../../src/report/findings.ts';
import type { FinalResult } from '../../src/search/stages/final/result.ts';
import type { PlacementResult } from '../../src/search/stages/placement/result.ts';
import { sampleResult } from '../report/sample-result.ts';
import { sampleBlocks, sampleRun } from '../report/sample-run.ts';

/** Held-out text beside an accuracy, as the guide's command has it. */
async function onText(seeds: number): Promise<PlacementResult> {
  const text = JSON.stringify(await sampleResult({ seeds, objective: 'mixed' }));
  return JSON.parse(text.replaceAll('held-out text', 'held-out-loss')) as PlacementResult;
}

const model = { path: 'models/base', layers: 8, parameters: 1_712_384 };
const summary = (placement: PlacementResult, out: string, next: string) =>
  searchSummary(findingsOf(placement, model), out, next);

describe('a search', () => {
  test('led by the loss of text: nats and perplexity beside the parent’s, a verdict, the next command', async () => {
    const result = await onText(1);
    const shown = summary(result, 'runs/x', '--data novels.txt');
    const [header, , parent, searched] = shown.split('\n');
    expect(header).toMatch(
      /^seed +placement +full layers +score +held-out-loss \(nats\) +perplexity +recall \(%\) +choice \(%\)$/,
    );
    expect(parent).toMatch(/^ +parent +all +-?\d\.\d{3} +3\.021 +20\.51 +98\.5 +94\.0$/);
    const { placement, tasks } = result.runs[0]!.searchers[0]!.best.at(-1)!;
    const loss = tasks['held-out-loss']!.goldLossPerToken;
    expect(searched).toMatch(
      new RegExp(`^ +1 +searched: beam search \\(width 4\\) +${placement.join(' ')} `),
    );
    expect(searched).toContain(` ${loss.toFixed(3)} `);
    expect(searched).toContain(` ${Math.exp(loss).toFixed(2)} `);
    expect(shown).toContain(
      'The score, which the search maximised, is the mean of minus the loss of held-out-loss (in nats per token), ' +
        'the accuracy of recall (from 0 to 1) and the accuracy of choice (from 0 to 1): higher is better.',
    );
    expect(shown).toContain(
      'One seed decides nothing: the searched placement is not distinguishable from uniform placement, the best of 16 ' +
        'random placements (equal) and the mean of these random placements.',
    );
    expect(shown).toMatch(/\nAgainst the parent: held-out loss \+0\.\d{3} nats, /);
    expect(shown).toContain('\n  postnas distill models/base runs/x/seed-1/hybrid --data novels.txt\n');
    expect(shown).not.toMatch(/held-out-loss %|[\u00a0\u2212]/);
  });

  test('of accuracies with three seeds: what is decided is said to be, by intervals', async () => {
    const shown = summary(await sampleResult(), 'runs/x', '');
    expect(shown).toMatch(
      /\nOver 3 seeds the searched placement is better than uniform placement \(\+\d+\.\d points, 95 % interval \+\d/,
    );
    expect(shown).toContain('The search maximised the mean accuracy.');
    expect(shown).toContain('Layers are numbered from 0, as in model.layers.0.');
  });

  test('is compared on unseen examples where there are any', async () => {
    const result = await sampleResult({ seeds: 1, searchers: ['beam', 'uniform'] });
    expect(summary(result, 'x', '')).toContain('that the placements were chosen on: that favours');
    const [run] = result.runs;
    const [beam, uniform] = run!.searchers.map(({ best }) => best.at(-1)!);
    const other = (judged: typeof beam, accuracy: number) => ({
      ...judged!,
      score: accuracy,
      tasks: Object.fromEntries(
        Object.entries(judged!.tasks).map(([name, task]) => [name, { ...task, accuracy }]),
      ),
    });
    result.unseen = {
      objective: result.objective.map((task) => ({ ...task, examples: 99 })),
      base: other(result.base, 0.875),
    };
    run!.unseen = [other(beam, 0.625), other(uniform, 0.75)];
    const shown = summary(result, 'x', '');
    expect(shown).toContain('on 99 examples per task that the search did not see');
    expect(shown).toContain('not distinguishable from uniform placement (better here)');
    expect(shown).toMatch(/searched: beam search \(width 4\) .* 62\.5 /);
    expect(shown).toMatch(/parent +all +87\.5 /);
  });
});

test('a comparison of blocks names what the taken one beats, and with one seed nothing', async () => {
  const shown = blocksSummary(comparisonOf('blocks', await sampleBlocks('blocks')), model, 'runs/b', '');
  expect(shown).toMatch(/\nOver 3 seeds JetBlock is better than .*, not distinguishable from KDA/);
  expect(shown).toContain('numbered from 0');
  expect(shown).toContain('\n  postnas distill models/base runs/b/hybrid\n');
  const { blocks } = await sampleRun({ seeds: 1, stages: ['blocks'] });
  expect(blocksSummary(comparisonOf('blocks', blocks!), model, 'runs/b', '')).toMatch(
    /\nOne seed decides nothing: .* is not distinguishable from the 7 others\.\n/,
  );
});

test('a run says what windows cost, and counts layers from 0', async () => {
  const result = await sampleRun();
  const shown = runSummary(result, 'runs/r');
  expect(shown).toContain(`full attention, layers from 0  ${result.chosen!.placement.join(' ')}`);
  expect(shown).toContain('\nWindows gain: ');
  expect(shown).toMatch(/\nbase +98\.5 +94\.0 +88\.0 +91\.0\n/);
});

test('distillation is told by the measure of each task, against the teacher', async () => {
  const judged = (loss: number, accuracy: number) => ({
    ...{ placement: [], score: 0 },
    tasks: {
      'held-out-loss': { accuracy: 0, goldLoss: 9, goldLossPerToken: loss },
      recall: { accuracy, goldLoss: 9, goldLossPerToken: 2 },
    },
  });
  const run = await sampleRun();
  const final: FinalResult = {
    ...run.final!,
    objective: [
      { task: 'held-out-loss', metric: 'loss', examples: 4 },
      { task: 'recall', metric: 'accuracy', examples: 4 },
    ],
    base: judged(3, 0.5),
    runs: [
      {
        ...{ seed: 1, hybrid: 'runs/x/hybrid' },
        stages: [
          { ...{ name: 'search', steps: 0, tokens: 0, seconds: 0, loss: 0 }, judged: judged(3.5, 0) },
          {
            ...{ name: 'features', steps: 7, tokens: 70, seconds: 3, loss: 0.5 },
            judged: judged(3.25, 0.25),
          },
        ],
      },
    ],
  };
  const lines = distillSummary({ ...run, final }, { out: 'runs/x' })
    .split('\n')
    .map((line) => line.replace(/ +/g, ' ').trim());
  expect(lines.slice(0, 5)).toEqual([
    'held-out-loss (nats) perplexity recall (%)',
    expect.stringMatching(/^-/),
    'teacher 3.000 20.09 50.0',
    'hybrid 3.500 33.12 0.0',
    'after features 3.250 25.79 25.0',
  ]);
  expect(lines[5]).toMatch(
    /^Against the teacher: held-out loss \+0\.250 nats, recall accuracy -25\.0 points \(one training/,
  );
  expect(lines).toContain('features: 7 steps, loss 0.5000');
  expect(lines).toContain('70 tokens in 3s');
  expect(lines).toContain('hybrid: runs/x/hybrid');
});
