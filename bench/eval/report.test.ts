import { expect, test } from 'vitest';
import { evalMarkdown, type Measured } from './report.ts';

const measured = (task: string, documents: number, seconds: number[][]): Measured => ({
  task,
  documents,
  difference: 1e-5,
  turns: Object.fromEntries(
    ['lm-eval', 'postnas f32', 'postnas q8'].map((name, i) => [
      name,
      { seconds: seconds[i]!, processorSeconds: seconds[i]!.map((s) => 2 * s) },
    ]),
  ),
});

test('rates are those of medians, ratios below their targets stand out', () => {
  const text = evalMarkdown({
    date: '2026-01-01',
    command: 'x',
    machine: 'y',
    instructions: 'AVX2',
    versions: { torch: '1' },
    threads: 2,
    batch: 8,
    tasks: [
      measured('first', 10, [
        [10, 90, 10],
        [4, 5, 100],
        [4, 4, 4],
      ]),
      measured('second', 30, [[30], [10], [6]]),
    ],
  });
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()));
  expect(cells[2]!.slice(1, 8)).toEqual(['first', '10', '1.00', '2.00', '2.50', '2.00', '**2.50**']);
  expect(cells[3]!.slice(1, 8)).toEqual(['second', '30', '1.00', '3.00', '5.00', '3.00', '5.00']);
  // 40 documents in 40, 15 and 10 seconds.
  expect(cells[4]!.slice(1, 8)).toEqual(['all', '40', '1.00', '2.67', '4.00', '2.67', '4.00']);
});
