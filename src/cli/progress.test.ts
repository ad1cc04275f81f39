import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createProgress } from './progress.ts';

/** A stream that remembers what is written to it; a terminal where it has columns. */
function stream(columns?: number) {
  let said = '';
  const target = new Writable({
    write(chunk, _encoding, done) {
      said += chunk;
      done();
    },
  }) as unknown as NodeJS.WriteStream;
  if (columns !== undefined) Object.assign(target, { isTTY: true, columns });
  return { target, said: () => said };
}

const ESC = '\u001b';
const ESCAPES = new RegExp(`${ESC}\\[[0-9;?]*[A-Za-z]`, 'g');
const COLOURS = new RegExp(`${ESC}\\[[0-9;]*m`);
const event = (done: number, loss = 0.5) => ({
  stage: 'seed 1: super network',
  done,
  total: 1e6,
  unit: 'tokens',
  values: { loss },
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

test.each([80, 40])('on a terminal of %i columns no line is as long as that', (columns) => {
  const { target, said } = stream(columns);
  const progress = createProgress({ stream: target });
  for (let done = 0; done <= 1e6; done += 1e5) {
    progress.report(event(done));
    vi.advanceTimersByTime(1000);
  }
  progress.stop();
  const lines = said()
    .replace(ESCAPES, '\n')
    .split(/[\r\n]/);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(columns);
  expect(said()).toMatch(/ 50% {2}5s left {2}.*loss 0\.5000/);
  // Nothing is coloured, with NO_COLOR or without.
  expect(said()).not.toMatch(COLOURS);
});

test('messages come above the bars, at once and whole, also those before the first bar', () => {
  const { target, said } = stream(40);
  const progress = createProgress({ stream: target });
  progress.log(`plan ${'x'.repeat(100)}`);
  expect(said()).toBe(`plan ${'x'.repeat(100)}\n`);
  progress.report(event(1));
  progress.log('stopping');
  progress.stop();
  expect(said().replace(ESCAPES, '')).toContain('stopping\n');
});

test('elsewhere: a first line within two seconds, then now and then, without escapes', () => {
  const { target, said } = stream();
  const progress = createProgress({ stream: target });
  progress.report(event(0));
  vi.advanceTimersByTime(1900);
  expect(said()).toBe('0%  time left unknown  loss 0.5000  seed 1: super network  0/1.00M tokens\n');
  vi.advanceTimersByTime(8100);
  // A part of a step has no loss of its own.
  progress.report({ stage: event(0).stage, done: 1e5, total: 1e6, unit: 'tokens' });
  expect(said().split('\n')).toHaveLength(2);
  // Also when nothing further is heard.
  vi.advanceTimersByTime(7000);
  expect(said().split('\n').slice(1)).toEqual([
    expect.stringMatching(/^10% {2}2m29s left {2}6\.06k tokens\/s {2}loss 0\.5000 {2}seed 1/),
    '',
  ]);
  progress.report(event(1e6, 0.25));
  expect(said()).toMatch(/\n100% {2}0s left {2}58\.8k tokens\/s {2}loss 0\.2500 .*\n$/);
  progress.stop();
  expect(said()).not.toContain(ESC);
});

test('a stage that ends soon is not worth a line', () => {
  const { target, said } = stream();
  const progress = createProgress({ stream: target });
  progress.report(event(0));
  vi.advanceTimersByTime(1000);
  progress.report(event(1e6));
  vi.advanceTimersByTime(60_000);
  progress.stop();
  expect(said()).toBe('');
});

test('a dumb terminal gets lines, a quiet command nothing', () => {
  vi.stubEnv('TERM', 'dumb');
  const dumb = stream(80);
  const progress = createProgress({ stream: dumb.target });
  progress.report(event(0));
  vi.advanceTimersByTime(2000);
  expect(dumb.said()).toMatch(/^0%.*\n$/);
  progress.stop();

  const quiet = stream(80);
  const none = createProgress({ stream: quiet.target, quiet: true });
  none.report(event(0));
  none.log('something');
  none.stop();
  expect(quiet.said()).toBe('');
});
