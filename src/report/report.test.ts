import { beforeAll, describe, expect, test } from 'vitest';
import { idMistakes, markupMistakes, parsePage, plain } from '../../test/report/markup.ts';
import { wholeOf } from '../../test/report/sample-result.ts';
import { type SampleRunOptions, sampleBlocks, sampleRun } from '../../test/report/sample-run.ts';
import type { Result } from '../search/result.ts';
import type { BlocksResult } from '../search/stages/blocks/result.ts';
import { average } from '../util/statistics.ts';
import { renderReport } from './report.ts';
import { designName } from './run/design-name.ts';

const SEARCH = ['abilities', 'heat-map', 'budget-curve', 'ability-curves', 'alignment', 'cost'];
const STAGES = ['mlps', 'blocks', 'design', 'pareto', 'throughput', 'windows-alone', 'windows-curve'];

const CASES: Record<string, SampleRunOptions> = {
  '8 layers, 3 seeds': {},
  '30 layers, accuracy and loss, 4 seeds': {
    layers: 30,
    budget: 4,
    seeds: 4,
    objective: 'mixed',
    searchers: ['beam', 'uniform'],
  },
  'loss, 1 seed': { seeds: 1, objective: 'loss' },
  'placement alone': { seeds: 1, stages: [] },
};

const parse = (result: Result) => parsePage(renderReport(result));
const figures = ({ document }: ReturnType<typeof parse>) =>
  [...document.querySelectorAll('figure')].map(({ id }) => id);
const claims = ({ table }: ReturnType<typeof parse>) =>
  new Map(
    table('claims-table')
      .slice(1)
      .map(([says, found, verdict]) => [says, { found, verdict }]),
  );

describe.each(Object.entries(CASES))('%s', (_, options) => {
  let result: Result;
  let report: ReturnType<typeof parse>;
  beforeAll(async () => {
    result = await sampleRun(options);
    report = parse(result);
  });

  test('is well-formed, its ids are unique and its references lead somewhere', () => {
    expect(markupMistakes(report.page)).toEqual([]);
    expect(idMistakes(report.page)).toEqual([]);
  });

  test('needs nothing from elsewhere and runs nothing', () => {
    expect(report.document.querySelectorAll('script, link, img, iframe, object, embed')).toHaveLength(0);
    expect(report.page).not.toMatch(/\b(?:https?:)?\/\/(?!www\.w3\.org)|@import|url\(|\son\w+="/);
  });

  test('leaves no hole in its sentences and drawings', () => {
    const visible = report.page.replace(/<style>[\s\S]*?<\/style>|href="data:[^"]*"/g, '');
    expect(visible).not.toMatch(/undefined|NaN|Infinity|\[object|null/);
  });

  test('every figure has a title, a caption, described drawings and its data', () => {
    for (const figure of report.document.querySelectorAll('figure')) {
      expect(figure.querySelector('h3')!.textContent).not.toBe('');
      expect(figure.querySelector('figcaption')!.textContent).not.toBe('');
      expect(figure.querySelectorAll('details table tbody tr').length).toBeGreaterThan(0);
      expect(report.file(`${figure.id}-data.csv`).split('\r\n').length).toBeGreaterThan(2);
      for (const svg of figure.querySelectorAll('svg[role=img]')) {
        expect(svg.querySelector('desc')!.textContent).not.toBe('');
      }
    }
  });

  test('charts draw only what lies inside of them', () => {
    for (const svg of report.document.querySelectorAll('svg[role=img]')) {
      const [, , width, height] = svg.getAttribute('viewBox')!.split(' ').map(Number);
      for (const dot of svg.querySelectorAll('circle')) {
        const [x, y] = ['cx', 'cy'].map((name) => Number(dot.getAttribute(name)));
        expect(x! >= 0 && x! <= width! && y! >= 0 && y! <= height!).toBe(true);
      }
    }
  });

  test('the files behind it are the result and the recipe', () => {
    expect(JSON.parse(report.file('result.json'))).toEqual(JSON.parse(JSON.stringify(result)));
    expect(JSON.parse(report.file('recipe.json'))).toEqual(result.recipe);
  });
});

describe('8 layers, 3 seeds', () => {
  let result: Result;
  let report: ReturnType<typeof parse>;
  beforeAll(async () => {
    result = await sampleRun();
    report = parse(result);
  });

  test('has every figure, in order', () => {
    expect(figures(report)).toEqual(['final', ...SEARCH, ...STAGES, 'run-cost']);
  });

  test('opens with the answer', () => {
    const { architecture, base, runs, cost } = result.final!;
    const blocks = [...report.document.querySelectorAll('header .architecture .block b')];
    expect(blocks.map((block) => block.textContent).join('')).toBe(architecture);
    expect(report.text('.key')).toBe('J: JetBlock W: window of 64 tokens A: full attention');
    const names = Object.keys(base.tasks);
    const accuracy = (tasks: typeof base.tasks) => average(names.map((name) => tasks[name]!.accuracy));
    const last = runs.map(({ stages }) => accuracy(stages.at(-1)!.judged.tasks));
    const kept = (100 * average(last)) / accuracy(base.tasks);
    expect(report.text('h1')).toContain(`full attention in 2 of 8 layers, ${kept.toFixed(1)} %`);
    const cards = report.text('.cards');
    expect(cards).toContain(`−${(100 * (accuracy(base.tasks) - average(last))).toFixed(1)} points`);
    expect(cards).toContain(`${Math.round((100 * cost.hybrid.stateBytes) / cost.base.stateBytes)} %`);
    expect(cards).toContain(`${(402 / 293).toFixed(2)}×`);
    expect(cards).toContain('2 h 45 min');
    const decided = report.table('decisions').slice(1);
    const [, , , goesOn] = decided;
    expect(decided.map((row) => row.slice(0, 3))).toEqual([
      ['1 Placement', 'full attention in layers 4 and 6 of 8', result.chosen!.rule],
      ['2 Block', 'JetBlock', result.blocks!.choice.rule],
      ['3 Design of the JetBlock', designName(result.design!.choice.name), result.design!.choice.rule],
      goesOn!.slice(0, 3),
      [
        '4 Heads and widths',
        result.dimensions!.choice.name.replace(
          /(\d+)x(\d+)x(\d+)/,
          '$1 heads, keys $2 and values $3 wide, 4 taps',
        ),
        result.dimensions!.choice.rule,
      ],
      ['Windows', '64 tokens in layers 1 and 3', result.windows!.rule],
    ]);
    expect(decided[0]![3]).toMatch(
      /^Over 3 seeds the searched placement is better than uniform placement \(\+/,
    );
    expect(decided[1]![3]).toMatch(/^Over 3 seeds JetBlock is better than .*, not distinguishable from KDA/);
  });

  test('tables hold means of the data', () => {
    const rows = report.table('blocks-table');
    expect(rows[0]!.slice(0, 6)).toEqual([
      'Block',
      'Data-dependent gate',
      'Delta rule',
      'Training tok/s',
      'Decode tok/s',
      'mean (%)',
    ]);
    for (const { name, runs, decode, train, parameters, stateBytes } of result.blocks!.candidates) {
      const row = rows.find(([first]) => first === name)!;
      expect(row[3]).toBe([...train].sort((a, b) => a - b)[1]);
      expect(row[4]).toBe([...decode].sort((a, b) => a - b)[1]);
      expect(row[5]).toBeCloseTo(average(runs.map(({ judged }) => judged.score)), 12);
      expect(row.slice(-2)).toEqual([parameters, stateBytes]);
    }
    expect(rows.find(([name]) => name === 'gla')!.slice(1, 3)).toEqual(['yes', 'no']);
    expect(rows.find(([name]) => name === 'deltanet')!.slice(1, 3)).toEqual(['no', 'yes']);
    const [released, ...designs] = result.design!.candidates;
    const design = report.table('design-table');
    for (const { name, runs } of designs) {
      const differences = runs.map(({ judged }, i) => judged.score - released!.runs[i]!.judged.score);
      expect(design.find(([first]) => first === name)![1]).toBeCloseTo(average(differences), 12);
    }
    expect(
      report
        .table('dimensions-table')
        .find(([name]) => name === '4x16x64')!
        .slice(1, 4),
    ).toEqual([4, 16, 64]);
    expect(report.table('mlps-best')).toHaveLength(11);
    const { base, runs } = result.final!;
    const recall = report.table('final-table').find(([name]) => name === 'recall (%)')!;
    const change = average(
      runs.map(({ stages }) => stages.at(-1)!.judged.tasks.recall!.accuracy - base.tasks.recall!.accuracy),
    );
    expect(recall[4]).toBeCloseTo(change, 12);
    expect(recall[5]).toBe('yes');
    const costs = report.table('run-cost-data');
    expect(costs.find(([name]) => name === 'blocks')!.slice(1)).toEqual([1234.5, 614_400 * 8 * 3]);
    expect(costs.at(-1)!.slice(1)).toEqual([result.seconds, result.tokens]);
  });

  test('every claim of the paper has its verdict', () => {
    const found = claims(report);
    expect(found.size).toBe(10);
    expect([...found.values()].map(({ verdict }) => verdict)).not.toContain('not measured');
    // Ahead on average, but with three seeds the 95 % interval of the difference holds 0.
    expect(found.get('JetBlock is better than Gated DeltaNet')!.verdict).toBe('undecided');
    expect(found.get('At the same size of the state, all dimensions decode equally fast')).toEqual({
      found: expect.stringContaining('differs by 5.2'),
      verdict: 'does not hold',
    });
  });

  test('is the same each time', () => {
    expect(renderReport(result)).toBe(report.page);
  });
});

describe('what it says follows from the data', () => {
  const score = (result: BlocksResult, name: string, change: (score: number, seed: number) => number) => {
    for (const { seed, judged } of result.candidates.find((each) => each.name === name)!.runs)
      judged.score = change(judged.score, seed);
  };

  test('an order other than the paper’s is said not to hold, one within the spread to be undecided', async () => {
    const result = await sampleRun({ stages: ['blocks'] });
    score(result.blocks!, 'gla', (value) => value + 0.3);
    score(result.blocks!, 'jet_block', () => 0.8);
    score(result.blocks!, 'gated_deltanet', (_, seed) => 0.8 + (seed - 2) * 0.01);
    const report = parse(result);
    const found = claims(report);
    const best = found.get('Gated DeltaNet is the best of the six blocks from the literature')!;
    expect(best.verdict).toBe('does not hold');
    expect(best.found).toContain('GLA');
    expect(found.get('JetBlock is better than Gated DeltaNet')!.verdict).toBe('undecided');
    expect(report.text('#blocks h3')).toMatch(/^GLA keeps most, \d+\.\d points better than/);
  });

  test('a difference is decided by the 95 % interval of the seeds, not by a standard error', async () => {
    const verdictOf = async (gains: readonly number[]) => {
      const result = await sampleRun({ stages: ['blocks'], seeds: gains.length });
      score(result.blocks!, 'gated_deltanet', () => 0.8);
      score(result.blocks!, 'jet_block', (_, seed) => 0.8 + gains[seed - 1]!);
      return claims(parse(result)).get('JetBlock is better than Gated DeltaNet')!.verdict;
    };
    // Standard errors of 0.0058, and 4.303 of them to each side.
    expect(await verdictOf([0.01, 0.02, 0.03])).toBe('undecided');
    expect(await verdictOf([0.02, 0.03, 0.04])).toBe('holds');
    expect(await verdictOf([-0.02, -0.03, -0.04])).toBe('does not hold');
    expect(await verdictOf([0.1])).toBe('undecided');
  });

  test('of the block and the design goes on what scores higher; a difference within the spread is told', async () => {
    const result = await sampleRun({ stages: ['blocks', 'design'] });
    result.blocks!.choice.name = 'kda';
    result.design!.choice.name = 'released';
    const decided = () => parse(result).table('decisions').slice(1)[3] as string[];
    score(result.blocks!, 'kda', () => 0.9);
    score(result.design!, 'released', () => 0.8);
    expect(decided().slice(0, 2)).toEqual(['Taken into stage 4', 'KDA']);
    expect(decided()[2]).toMatch(
      /^the higher mean score .*: released 80\.0 .*, KDA 90\.0 .*; −10\.0 ± 0\.0 points over 3 seeds$/,
    );
    score(result.design!, 'released', (_, seed) => 0.9 + (seed - 2) * 0.05);
    expect(decided()[1]).toBe('the JetBlock');
    expect(decided()[2]).toMatch(/within the spread of the seeds, so that another run might take the other$/);
    delete result.design;
    expect(decided()).toBeUndefined();
  });

  test('static convolutions that help are not superfluous', async () => {
    const result = await sampleRun({ stages: ['design'] });
    score(result.design!, 'qConv-kConv-static', (value) => value + 0.2);
    const report = parse(result);
    const claim = claims(report).get('A dynamic convolution on v makes static ones on q and k superfluous')!;
    expect(claim.verdict).toBe('does not hold');
    expect(plain(claim.found as string)).toMatch(/\+\d+\.\d ± \d\.\d points over 3 seeds/);
    expect(report.text('#design h3')).toMatch(
      /^static convolutions on q and k too is .* better than the released design/,
    );
  });

  test('rankings that differ, speeds that follow parameters', async () => {
    const result = await sampleRun({ stages: ['mlps', 'throughput'] });
    for (const run of result.mlps!.runs) run.rankCorrelation = 0.2;
    for (const point of result.throughput!.points) point.decode = [1e9 / point.parameters];
    const report = parse(result);
    const found = claims(report);
    expect(
      found.get('Frozen MLPs are enough for the search: placements rank as with trained ones')!.verdict,
    ).toBe('does not hold');
    expect(report.text('#mlps h3')).toBe('Placements rank differently with frozen and with trained MLPs');
    expect(report.text('#throughput h3')).toMatch(/^Decode speed follows the parameters/);
  });

  test('an ability that is lost is named', async () => {
    const result = await sampleRun({ stages: ['final'] });
    for (const { stages } of result.final!.runs) stages.at(-1)!.judged.tasks.choice!.accuracy = 0.5;
    const report = parse(result);
    const claim = claims(report).get('The final hybrid keeps the abilities of the base model')!;
    expect(claim.verdict).toBe('does not hold');
    expect(claim.found).toContain('choice (−44.0)');
    expect(report.text('#final h3')).toContain('keeps 3 of 4 abilities within 3 points');
  });

  test('windows are told by what they cost, too', async () => {
    const result = await sampleRun({ stages: ['windows'] });
    const { windows } = result;
    windows!.objective = windows!.objective.map((task) =>
      task.task === 'choice' ? { ...task, metric: 'loss' } : { ...task, guides: false },
    );
    for (const { searchers, alone, seed } of windows!.runs) {
      const chosen = searchers[0]!.best.at(-1)!;
      const value = (accuracy: number, loss = 1) => ({ accuracy, goldLoss: loss, goldLossPerToken: loss });
      alone[0]!.tasks = {
        recall: value(0.94 + seed / 100),
        choice: value(0.98, 0.07),
        arithmetic: value(0.96),
        tracking: value(0.5),
      };
      chosen.tasks = {
        recall: value(0.74 + (seed === 2 ? 0.6 : 0)),
        choice: value(1, 0.004),
        arithmetic: value(0.27 + seed / 100),
        tracking: value(0.5),
      };
      alone[0]!.score = -0.07;
      chosen.score = -0.004;
    }
    const report = parse(result);
    const balance =
      'They gain: choice gold loss 0.070 to 0.004 nats. ' +
      'They cost: arithmetic accuracy 96.0 to 29.0 % and recall accuracy 96.0 to 94.0 % (undecided).';
    expect(report.text('#windows p')).toContain(balance);
    expect(report.table('decisions').at(-1)!.at(-1)).toBe(balance);
    const rows = report.table('windows-table').slice(1);
    expect(rows.map(([name, led, , , , verdict]) => [name, led, verdict])).toEqual([
      ['recall (%)', 'no', 'undecided'],
      ['choice (nats)', 'yes', 'better'],
      ['arithmetic (%)', 'no', 'worse'],
      ['tracking (%)', 'no', 'undecided'],
    ]);
  });

  test('uniform windows that are better are said to be', async () => {
    const result = await sampleRun({ stages: ['windows'] });
    for (const { searchers } of result.windows!.runs) searchers[1]!.best[0]!.score = 0.99;
    expect(parse(result).text('#windows-curve h3')).toMatch(/worse than uniform ones at 2 windows/);
  });
});

describe('less than everything', () => {
  test('sections of absent stages are left out, their claims not measured', async () => {
    const report = parse(await sampleRun({ stages: [] }));
    expect(figures(report)).toEqual([...SEARCH, 'run-cost']);
    expect([...report.document.querySelectorAll('main section')].map(({ id }) => id)).toEqual([
      'claims',
      'placement',
      'cost-of-all',
      'reproduce',
      'placement-settings',
      'terms',
    ]);
    expect(report.text('h1')).toBe('Full attention stays in layers 4 and 6 of 8');
    const verdicts = [...claims(report).values()].map(({ verdict }) => verdict);
    expect(verdicts[0]).toBe('holds');
    expect(new Set(verdicts.slice(1))).toEqual(new Set(['not measured']));
  });

  test('one seed: no spread', async () => {
    const report = parse(await sampleRun({ seeds: 1 }));
    const { document } = report;
    for (const note of document.querySelectorAll('.note')) note.remove();
    for (const terms of document.querySelectorAll('#terms')) terms.remove();
    expect(report.text('body')).not.toContain('±');
  });

  test('names cannot do anything but be read', async () => {
    const text = JSON.stringify(await sampleRun({ seeds: 1, modelPath: '<script>' }));
    const evil = JSON.parse(
      text.replaceAll('"recall"', '"<b onclick=\'x\'>&"').replaceAll('-static"', '-<i>"'),
    );
    const { page, document } = parse(evil as Result);
    expect(markupMistakes(page)).toEqual([]);
    expect(document.querySelectorAll('script, b[onclick]')).toHaveLength(0);
  });
});

describe.each(['blocks', 'design', 'dimensions'] as const)('a comparison by itself: %s', (stage) => {
  test('is a page of its own', async () => {
    const result = await sampleBlocks(stage);
    const report = parse(wholeOf({ [stage]: result }));
    expect(markupMistakes(report.page)).toEqual([]);
    expect(idMistakes(report.page)).toEqual([]);
    expect(figures(report)).toEqual([stage === 'dimensions' ? 'pareto' : stage]);
    expect(report.text('.lead')).toContain(result.choice.rule);
    expect(JSON.parse(report.file('result.json'))[stage]).toEqual(JSON.parse(JSON.stringify(result)));
    expect(report.document.querySelector('#claims, #cost-of-all')).toBeNull();
  });

  test('of one candidate and one seed', async () => {
    const result = await sampleBlocks(stage, { seeds: 1 });
    result.candidates = result.candidates.slice(0, 1);
    result.choice.name = result.candidates[0]!.name;
    const { page } = parse(wholeOf({ [stage]: result }));
    expect(markupMistakes(page)).toEqual([]);
    expect(page.replace(/<style>[\s\S]*?<\/style>|href="data:[^"]*"/g, '')).not.toMatch(
      /undefined|NaN|Infinity/,
    );
  });
});

describe('a final training by itself', () => {
  test('has the page of its model, without claims of a search', async () => {
    const { final } = await sampleRun();
    const report = parse(wholeOf({ final }));
    expect(markupMistakes(report.page)).toEqual([]);
    expect(idMistakes(report.page)).toEqual([]);
    expect(figures(report)).toEqual(['final']);
    expect([...report.document.querySelectorAll('main section')].map(({ id }) => id)).toEqual([
      'final-model',
      'reproduce',
      'terms',
    ]);
    expect(report.text('h1')).toMatch(/^With full attention in 2 of 8 layers, \d+\.\d % of the base model/);
    const visible = report.page.replace(/<style>[\s\S]*?<\/style>|href="data:[^"]*"/g, '');
    expect(visible).not.toMatch(/undefined|NaN|Infinity|\[object|null/);
  });
});

test('comparisons at a placement that was given have a page together', async () => {
  const { blocks, design } = await sampleRun();
  const report = parse(wholeOf({ blocks, design }));
  expect(markupMistakes(report.page)).toEqual([]);
  expect(idMistakes(report.page)).toEqual([]);
  expect(figures(report)).toEqual(['blocks', 'design', 'run-cost']);
  expect(report.text('h1')).toBe('Full attention stays in layers 4 and 6 of 8');
  expect(claims(report).get('Searched placement of full attention beats uniform placement')!.verdict).toBe(
    'not measured',
  );
});

test('a result without any stage is refused', async () => {
  const result = { ...(await sampleRun({ stages: [] })), placement: undefined, recipe: undefined };
  expect(() => renderReport(result)).toThrow('result: expected at least one stage');
});
