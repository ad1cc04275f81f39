import { expect, test } from 'vitest';
import { linearWeight, vector } from '../mixers/mixer.ts';
import { ParameterVector } from './parameters.ts';

const parameters = () =>
  new ParameterVector([
    vector('0.norm', 3, 1),
    linearWeight('0.square', 2, 2),
    linearWeight('0.wide', 2, 5),
    vector('1.norm', 3, 1),
    linearWeight('1.square', 2, 2),
    linearWeight('1.wide', 2, 5),
  ]);

test('decaying weights come first, those of one shape together; every element has one place', () => {
  const all = parameters();
  expect(all.parameters.map(({ name }) => name)).toEqual([
    '0.square',
    '1.square',
    '0.wide',
    '1.wide',
    '0.norm',
    '1.norm',
  ]);
  expect([all.size, all.decayed]).toEqual([34, 28]);
  for (const [i, { name }] of all.parameters.entries()) all.view(name).fill(i + 1);
  const count = (x: number) => all.data.filter((value) => value === x).length;
  expect([1, 2, 3, 4, 5, 6].map(count)).toEqual([4, 4, 10, 10, 3, 3]);
  expect(all.start('1.wide')).toBe(18);
});

test('what is updated alike stands together: decay first, then by learning rate', () => {
  const slow = { rate: 0.1 };
  const all = new ParameterVector([
    vector('norm', 3, 1),
    { ...linearWeight('slow', 2, 5), ...slow },
    linearWeight('fast', 2, 2),
    { ...vector('slow norm', 2, 1), ...slow },
    { ...linearWeight('slow too', 2, 2), ...slow },
    linearWeight('fast too', 1, 2),
  ]);
  const ranges = [
    { from: 0, to: 14, decay: true, rate: 0.1 },
    { from: 14, to: 20, decay: true, rate: 1 },
    { from: 20, to: 23, decay: false, rate: 1 },
    { from: 23, to: 25, decay: false, rate: 0.1 },
  ];
  expect(all.ranges).toEqual(ranges);
  expect(all.like().ranges).toEqual(ranges);
  expect([all.start('slow'), all.start('fast'), all.decayed]).toEqual([0, 14, 20]);
});

test('values are views, by prefix and by what they lie below', () => {
  const all = parameters();
  all.data.forEach((_, i) => {
    all.data[i] = i;
  });
  const values = all.values('grad.', '1.');
  expect(Object.keys(values).sort()).toEqual(['grad.norm', 'grad.square', 'grad.wide']);
  expect(values['grad.square']!.dims).toEqual([2, 2]);
  all.view('1.square')[3] = -1;
  expect([...(values['grad.square']!.data as Float32Array)]).toEqual([4, 5, 6, -1]);
  expect(Object.keys(all.values())).toEqual(all.parameters.map(({ name }) => name));
  expect(all.like().values()['0.norm']!.data).toEqual(new Float32Array(3));
});

test('mistakes are named', () => {
  expect(() => new ParameterVector([vector('a', 2, 0)], new Float32Array(3))).toThrow('3 values for 2');
  expect(() => new ParameterVector([vector('a', 2, 0), vector('a', 2, 0)])).toThrow('two parameters');
  expect(() => parameters().view('2.norm')).toThrow('no parameter 2.norm');
});
