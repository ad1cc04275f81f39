import { expect, test } from 'vitest';
import { commandLine } from './command-line.ts';

test('a command line repeats what was asked for, and not what was there before', () => {
  expect(
    commandLine('search', 'a model', {
      out: 'runs/x',
      task: ['recall', 'choice:loss'],
      restart: true,
      json: true,
    }),
  ).toBe("postnas search 'a model' --out runs/x --task recall choice:loss");
});
