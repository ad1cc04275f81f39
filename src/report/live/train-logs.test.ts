import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeFileAtomic } from '../../util/files.ts';
import { TrainLogs } from './train-logs.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const line = (step: number, loss: number | null) => `${JSON.stringify({ step, loss, norm: 1 })}\n`;
const log = (path: string) => {
  mkdirSync(join(folder, path), { recursive: true });
  return join(folder, path, 'log.jsonl');
};

test('every training of a run by its stage, name and phase', () => {
  for (const path of ['placement/seed-2/supernet', 'blocks/seed-1/gla+rope/align', 'final/seed-1/all']) {
    writeFileSync(log(path), line(1, 0.5));
  }
  const found = new TrainLogs(folder).read();
  expect(found.map(({ stage, name, phase }) => [stage, name, phase])).toEqual([
    ['blocks', 'gla+rope, seed 1', 'align'],
    ['final', 'seed 1', 'all'],
    ['placement', 'seed 2', 'supernet'],
  ]);
});

test('what is added is read on, also a line that came in two parts; losses that are none are left out', () => {
  const file = log('blocks/seed-1/gla/train');
  const logs = new TrainLogs(folder);
  const points = () => logs.read()[0]?.points;
  writeFileSync(file, line(1, 0.9));
  expect(points()).toEqual([{ step: 1, loss: 0.9 }]);
  const [whole, half] = [line(2, 0.8), line(3, 0.7)];
  appendFileSync(file, whole + half.slice(0, 9));
  expect(points()).toHaveLength(2);
  appendFileSync(
    file,
    `${half.slice(9) + line(4, null)}{"step":4,"evaluation":{"recall":1}}\n${line(5, 0.5)}`,
  );
  expect(points()!.map(({ step }) => step)).toEqual([1, 2, 3, 5]);
});

test('a log that a resumed training wrote anew, with steps taken back, is read anew', () => {
  const file = log('final/seed-1/logits');
  const logs = new TrainLogs(folder);
  writeFileSync(file, line(1, 0.9) + line(2, 0.8) + line(3, 0.7));
  expect(logs.read()[0]!.points).toHaveLength(3);
  writeFileAtomic(file, line(1, 0.9) + line(2, 0.8));
  appendFileSync(file, line(3, 0.65) + line(4, 0.6));
  expect(logs.read()[0]!.points.map(({ loss }) => loss)).toEqual([0.9, 0.8, 0.65, 0.6]);
  rmSync(file);
  expect(logs.read()).toEqual([]);
});

test('a folder that is not there yet', () => {
  expect(new TrainLogs(join(folder, 'later')).read()).toEqual([]);
});
