import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { idMistakes, markupMistakes, parsePage, plain } from '../../../test/report/markup.ts';
import { sampleRun } from '../../../test/report/sample-run.ts';
import type { StageName } from '../../search/run/stage.ts';
import { renderPage } from '../page.ts';
import { LiveRun } from './live-run.ts';
import { TrainLogs } from './train-logs.ts';

let folder: string;
let now: number;
let run: LiveRun;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-live-'));
  now = Date.now();
  const stages: StageName[] = ['placement', 'blocks', 'final'];
  const plan = { recipe: 'r.json', model: 'models/base', report: 'runs/r/report.html', stages, tokens: 1000 };
  run = new LiveRun({ ...plan, seconds: 600 }, new TrainLogs(folder), () => now);
});
afterEach(() => rmSync(folder, { recursive: true }));

const parse = () => parsePage(renderPage(run.page(), { script: '', style: '' }));
const unit = (id: string) => ({ id, tokens: 400, run: async () => {} });
const whole = (done: number) => run.onProgress({ stage: 'whole run', done, total: 1000, unit: 'tokens' });
const writeLog = (path: string, losses: number[]) => {
  mkdirSync(join(folder, path), { recursive: true });
  const lines = losses.map((loss, i) => `${JSON.stringify({ step: i + 1, loss })}\n`);
  writeFileSync(join(folder, path, 'log.jsonl'), lines.join(''));
};

test('before anything is found: the stage, how much is done, the time left by the estimate', () => {
  expect(parse().text('.now b')).toBe('Getting ready');
  expect(parse().text('.left')).toContain('about 10 min 00 s left');
  run.begin('placement', [unit('placement/seed-1'), unit('placement/seed-2')]);
  run.unitDone(unit('placement/seed-1'));
  whole(0);
  now += 2000;
  whole(250);
  const { text, document } = parse();
  expect(text('.now b')).toBe('Stage 1: where full attention stays');
  expect(text('[aria-current]')).toContain('1 of 2 parts');
  expect(document.querySelector('progress')!.getAttribute('value')).toBe('0.2500');
  // Too early for a rate of its own: three quarters of the estimate.
  expect(text('.left')).toBe('25 % · about 7 min 30 s left · 2.0 s so far');
  expect(text('h1')).toBe('Nothing is decided yet');
});

test('the time left by the rate of this call, which a resumed run does not begin at 0', () => {
  whole(400);
  now += 20_000;
  whole(600);
  expect(parse().text('.left')).toContain('60 % · about 40 s left');
});

test('what is under way, until it is done or its stage is', async () => {
  run.begin('placement', []);
  const event = { stage: 'seed 1: align', done: 100, total: 400, unit: 'tokens', values: { loss: 0.25 } };
  run.onProgress({ ...event, done: 50 });
  now += 2000;
  run.onProgress(event);
  run.onProgress({ stage: 'beam search', done: 0, total: 2, unit: 'layers' });
  const running = () =>
    [...parse().document.querySelectorAll('.running li')].map((li) => plain(li.textContent));
  expect(running()).toEqual([
    'seed 1: align 25 % of 400 tokens · 25.0 tokens/s · loss 0.2500',
    'beam search 0 % of 2 layers',
  ]);
  run.onProgress({ ...event, done: 400 });
  expect(running()).toEqual(['beam search 0 % of 2 layers']);
  run.found(await sampleRun({ stages: [] }));
  expect(running()).toEqual([]);
});

test('losses as curves, those of an earlier call too; the stage at work comes first', () => {
  writeLog('placement/seed-1/align', [1, 0.5, 0.25, 0.1]);
  writeLog('blocks/seed-1/gla/train', [0.4, 0.3]);
  const { document, table, page } = parse();
  expect([...document.querySelectorAll('main section')].map(({ id }) => id)).toEqual([
    'losses-blocks',
    'losses-placement',
  ]);
  const [, row] = table('loss-placement-data');
  expect(row).toEqual(['seed 1', 'alignment of single layers', 4, 1, 0.1, 'under way']);
  expect(document.querySelector('#loss-placement svg title')!.textContent).toContain('seed 1: 0.100 after');
  expect(markupMistakes(page)).toEqual([]);
  expect(idMistakes(page)).toEqual([]);
  // A training that has not moved for a while is done.
  now += 60_000;
  expect(parse().table('loss-placement-data')[1]!.at(-1)).toBe('done');
});

test('the report of the stages that are done, and all of it at the end', async () => {
  run.begin('placement', []);
  run.found(await sampleRun({ stages: [] }));
  run.begin('blocks', []);
  const sections = () => [...parse().document.querySelectorAll('main section')].map(({ id }) => id);
  expect(sections()).toContain('placement');
  expect(sections()).not.toContain('block');
  expect(parse().text('.stages .done')).toBe('✓ Stage 1: where full attention stays (done)');
  run.found(await sampleRun({ stages: ['blocks'] }));
  expect(sections()).toContain('block');
  run.found(await sampleRun({ stages: ['blocks', 'final'] }));
  now += 5000;
  run.ended('finished');
  const { text, page } = parse();
  expect(text('.badge')).toBe('finished');
  expect(text('.now b')).toBe('The report is in runs/r/report.html');
  expect(text('h1')).toMatch(/base model’s accuracy/);
  expect(markupMistakes(page)).toEqual([]);
  expect(idMistakes(page)).toEqual([]);
});

test('a stopped run says how it goes on', () => {
  run.ended('stopped');
  expect(parse().text('#connection')).toContain('postnas run r.json --watch goes on where it was');
});
