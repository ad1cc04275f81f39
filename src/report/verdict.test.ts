import { expect, test } from 'vitest';
import { parsePage } from '../../test/report/markup.ts';
import { sampleResult, wholeOf } from '../../test/report/sample-result.ts';
import type { PlacementResult } from '../search/stages/placement/result.ts';
import { findingsOf } from './findings.ts';
import { renderReport } from './report.ts';
import { placementVerdict } from './verdict.ts';

/** A result in which only the searched placement, uniform and random ones differ, by these scores per seed. */
async function scored(
  searched: number[],
  uniform: number[],
  random: number[],
  drawn?: number[],
): Promise<PlacementResult> {
  const result = await sampleResult({ seeds: searched.length, searchers: ['beam', 'uniform', 'random'] });
  for (const [i, { searchers }] of result.runs.entries()) {
    const [beam, even, best] = searchers as [
      (typeof searchers)[0],
      (typeof searchers)[0],
      (typeof searchers)[0],
    ];
    beam.best.at(-1)!.score = searched[i]!;
    even.best.at(-1)!.score = uniform[i]!;
    best.best = [{ ...best.best[0]!, score: random[i]! }];
    delete best.drawn;
    if (drawn) best.drawn = drawn.map((score) => ({ ...best.best[0]!, score }));
  }
  return result;
}

const said = (placement: PlacementResult) =>
  placementVerdict(findingsOf(placement, wholeOf({ placement }).model))!.replaceAll('\u00a0', ' ');

test('with one seed nothing is decided, and random placements that tie or win are named', async () => {
  expect(said(await scored([0.9], [0.825], [0.9]))).toBe(
    'One seed decides nothing: the searched placement is not distinguishable from uniform placement and the best of 16 random ' +
      'placements (equal). Mean accuracy: searched 90.0 %, uniform placement 82.5 %, the best of 16 random placements 90.0 %.',
  );
  expect(said(await scored([0.9], [0.825], [0.95], [0.9, 0.7]))).toContain(
    'the best of 16 random placements (better here) and the mean of these random placements. Mean accuracy: searched 90.0 %, ' +
      'uniform placement 82.5 %, the best of 16 random placements 95.0 %, the mean of these random placements 80.0 %.',
  );
});

test('it is the first sentence of the report, before any praise', async () => {
  const { document, text } = parsePage(
    renderReport(wholeOf({ placement: await scored([0.9], [0.825], [0.9]) })),
  );
  expect(text('.lead')).toMatch(
    /^One seed decides nothing: the searched placement is not distinguishable from uniform/,
  );
  const shown = document.querySelector('h1')!.nextElementSibling!;
  expect(shown.classList.contains('lead')).toBe(true);
  expect(text('#budget-curve h3')).toBe(
    'Searched and uniform placement cannot be told apart at 2 full layers: one seed decides nothing',
  );
  expect(text('main')).not.toMatch(/points better than uniform at/);
});

test('with several seeds the 95 % interval says what is decided', async () => {
  const some = await scored([0.9, 0.92, 0.94], [0.6, 0.62, 0.66], [0.9, 0.89, 0.86]);
  expect(said(some)).toBe(
    'Over 3 seeds the searched placement is better than uniform placement (+29.3 points, 95 % interval +26.5 to +32.2), not ' +
      'distinguishable from the best of 16 random placements (+3.7 points, 95 % interval −6.4 to +13.7; it does as well in 1 of ' +
      '3 seeds).',
  );
  const worse = await scored([0.6, 0.61], [0.8, 0.81], [0.6, 0.61]);
  expect(said(worse)).toMatch(
    /^Over 2 seeds the searched placement is not distinguishable from the best .*, worse than uniform/,
  );
});
