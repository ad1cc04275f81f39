import { describe, expect, test } from 'vitest';
import type { PlacementResult } from '../search/stages/placement/result.ts';
import type { Judged } from '../search/stages/placement/searcher.ts';
import { spreadOf } from '../util/statistics.ts';
import { keptShare, overallMeasure, taskMeasures } from './measure.ts';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

function resultOf(...objective: [string, 'accuracy' | 'loss'][]): PlacementResult {
  return { objective: objective.map(([task, metric]) => ({ task, metric, examples: 8 })) } as PlacementResult;
}

function judged(score: number, tasks: Record<string, [accuracy: number, loss: number]> = {}): Judged {
  const values = Object.entries(tasks).map(([name, [accuracy, goldLossPerToken]]) => [
    name,
    { accuracy, goldLossPerToken, goldLoss: 2 * goldLossPerToken },
  ]);
  return { placement: [], score, tasks: Object.fromEntries(values) };
}

describe('a task', () => {
  const [recall, text] = taskMeasures(resultOf(['recall', 'accuracy'], ['text', 'loss']));

  test('is measured by what was maximised of it', () => {
    const one = judged(0, { recall: [0.75, 1.5], text: [0.25, 3.5] });
    expect([recall!.of(one), text!.of(one)]).toEqual([0.75, 3.5]);
    expect(recall!.of(judged(0))).toBeUndefined();
  });

  test('judged by both metrics has two names', () => {
    const both = taskMeasures(resultOf(['recall', 'accuracy'], ['recall', 'loss'], ['text', 'loss']));
    expect(both.map(({ name }) => name)).toEqual(['recall by accuracy', 'recall by loss', 'text']);
  });

  test('is shown in its unit', () => {
    expect(plain(recall!.show(0.8812))).toBe('88.1 %');
    expect(plain(text!.show(3.0214))).toBe('3.021 nats');
    expect(plain(recall!.showSpread(spreadOf([0.8, 0.9])!))).toBe('85.0 ± 7.1 %');
    expect(plain(recall!.showSpread(spreadOf([0.8])!))).toBe('80.0 %');
    expect(plain(recall!.showChange(0.169))).toBe('+16.9 points');
    expect(plain(text!.showChange(-0.1))).toBe('−0.100 nats');
    expect(recall!.heading).toBe('recall (%)');
  });

  test('gains are positive when better: more accuracy, less loss', () => {
    expect(recall!.gain(0.9, 0.5)).toBeCloseTo(0.4);
    expect(text!.gain(3, 3.4)).toBeCloseTo(0.4);
  });

  test('the gap closed runs from all linear to the base', () => {
    expect(recall!.closed(0.5, 0.2, 0.8)).toBeCloseTo(0.5);
    expect(text!.closed(3.1, 3.4, 3)).toBeCloseTo(0.75);
    expect(recall!.closed(0.1, 0.2, 0.8)).toBeLessThan(0);
    expect(recall!.closed(0.5, 0.8, 0.8)).toBeUndefined();
    expect(text!.closed(3, 2.9, 3)).toBeUndefined();
  });
});

describe('the whole objective', () => {
  test('has the unit of its tasks if they agree', () => {
    const accuracy = overallMeasure(resultOf(['recall', 'accuracy'], ['choice', 'accuracy']));
    const loss = overallMeasure(resultOf(['text', 'loss'], ['mmlu', 'loss']));
    const mixed = overallMeasure(resultOf(['recall', 'accuracy'], ['text', 'loss']));
    const single = overallMeasure(resultOf(['recall', 'accuracy']));
    expect([accuracy, loss, mixed, single].map(({ phrase }) => phrase)).toEqual([
      'mean accuracy',
      'mean gold loss',
      'score',
      'recall accuracy',
    ]);
    expect([accuracy.of(judged(0.7)), loss.of(judged(-2.5)), mixed.of(judged(-0.4))]).toEqual([
      0.7, 2.5, -0.4,
    ]);
  });

  test('is the mean of the tasks that guide', () => {
    const { objective } = resultOf(['recall', 'accuracy'], ['choice', 'accuracy'], ['text', 'loss']);
    const without = (...silent: string[]) =>
      overallMeasure({
        objective: objective.map((entry) =>
          silent.includes(entry.task) ? { ...entry, guides: false } : { ...entry, guides: true },
        ),
      });
    expect(
      [without('text'), without('text', 'choice'), without('choice'), without()].map((m) => m.phrase),
    ).toEqual(['mean accuracy of recall and choice', 'recall accuracy', 'score', 'score']);
    expect(without('text').heading).toBe('mean of recall and choice (%)');
  });

  test('the share kept is that of mean accuracies', () => {
    const tasks = taskMeasures(resultOf(['a', 'accuracy'], ['b', 'accuracy'], ['c', 'loss']));
    const base = judged(0, { a: [0.8, 0], b: [0.4, 0], c: [0.5, 1] });
    const hybrid = judged(0, { a: [0.6, 0], b: [0.3, 0], c: [0.5, 2] });
    expect(keptShare(tasks, hybrid, base)).toBeCloseTo(0.75);
    expect(keptShare(tasks.slice(2), hybrid, base)).toBeUndefined();
  });
});
