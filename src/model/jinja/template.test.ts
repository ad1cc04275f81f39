import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../util/errors.ts';
import { Template } from './template.ts';
import { strftime } from './time.ts';

const folder = new URL('../../../test/golden/text/', import.meta.url);

/** Made by test/golden/make_templates.py. */
interface Golden {
  data: Record<string, unknown>;
  snippets: [template: string, result: string | null][];
  variables: Record<string, unknown>[];
  chats: Record<string, (string | null)[]>;
  times: [moment: [number, number, number, number, number, number], format: string, result: string][];
}
const golden: Golden = JSON.parse(readFileSync(new URL('templates.json', folder), 'utf8'));

const render = (template: string, variables: Record<string, unknown> = {}) =>
  new Template(template).render(variables);

/** The text, or null where it is refused. */
function rendered(template: string, variables: Record<string, unknown>): string | null {
  try {
    return render(template, variables);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return null;
  }
}

describe('as transformers renders it, byte by byte', () => {
  test('snippets', () => {
    for (const [template, result] of golden.snippets) {
      expect([template, rendered(template, golden.data)]).toEqual([template, result]);
    }
  });

  test.each(Object.entries(golden.chats))('conversations in %s', (name, results) => {
    const template = readFileSync(new URL(`templates/${name}.jinja`, folder), 'utf8');
    expect(golden.variables.map((variables) => rendered(template, variables))).toEqual(results);
    expect(results.filter((result) => result !== null).length).toBeGreaterThan(2);
  });

  test.each(golden.times)('the time %j', ([year, month, ...rest], format, result) => {
    expect(strftime(format, new Date(year, month - 1, ...rest))).toBe(result);
  });

  test('the time now, in local time', () => {
    const now = new Date(2026, 10, 29, 8, 7, 6);
    expect(new Template("{{ strftime_now('%A %d %b %Y %H:%M:%S') }}").render({}, now)).toBe(
      'Sunday 29 Nov 2026 08:07:06',
    );
    expect(render("{{ strftime_now('%Y') }}")).toBe(String(new Date().getFullYear()));
  });
});

describe('what is refused', () => {
  test.each([
    ["{{ raise_exception('Only user and assistant') }}", 'Only user and assistant'],
    ['\n\n{% if %}', 'line 3: unexpected end of the tag'],
    ['{{ x', "line 1: '{{' has no end"],
    ["{% include 'other' %}", 'line 1: {% include %} is not supported'],
    ["{% import 'other' as o %}", '{% import %} is not supported'],
    ["{% extends 'other' %}", '{% extends %} is not supported'],
    ['{{ x | urlize }}', "there is no filter 'urlize'"],
    ['{{ x is prime }}', "there is no test 'prime'"],
    ['{{ messages[0].content }}', "'messages' is undefined"],
    ["{{ 'a' + 1 }}", "'+' is not for 'str' and 'int'"],
    ['{{ [].append(1) }}', "attribute 'append' of 'list' object is unsafe"],
    ["{{ ''.__class__.__mro__ }}", "'str' object has no attribute or item '__class__'"],
    ['{{ 2 ** 64 }}', 'a whole number goes beyond 2^53'],
  ])('%j', (template, message) => {
    expect(() => render(template)).toThrow(InputError);
    expect(() => render(template)).toThrow(message);
  });

  test('nothing of JavaScript can be reached', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'prototype', 'valueOf', 'hasOwnProperty']) {
      for (const value of ["'a'", '{}', '[]', '1', 'range(2)', 'namespace()', 'raise_exception', '(1, 2)']) {
        expect(render(`{{ ${value}.${name} }}|{{ ${value}['${name}'] }}`)).toBe('|');
      }
      expect(render(`{{ ${name} }}`)).toBe('');
      expect(() => render(`{{ 1 | ${name} }}`)).toThrow(`there is no filter '${name}'`);
      expect(() => render(`{{ 1 is ${name} }}`)).toThrow(`there is no test '${name}'`);
    }
    expect(render('{{ a.__proto__ }}{{ a.constructor }}', { a: JSON.parse('{"__proto__": 5}') })).toBe('5');
    expect(render('{% set ns = namespace(constructor=1) %}{{ ns.constructor }}')).toBe('1');
  });
});

describe('work is bounded', () => {
  const loops = (n: number) =>
    Array.from({ length: n }, (_, i) => `{% for i${i} in range(100000) %}`).join('') +
    'x' +
    '{% endfor %}'.repeat(n);
  test.each([
    ['{% for i in range(1000000000) %}{% endfor %}', 'range() of 1000000000 numbers: at most 100000'],
    [loops(2), 'too much work'],
    [loops(6), 'too much work'],
    ["{{ 'a' * 10 ** 9 }}", 'too much work'],
    ["{{ 'a' * 1000000 * 1000000 }}", 'too much work'],
    ['{{ [0] * 10 ** 9 }}', 'too much work'],
    ["{{ 'a' | center(1000000000) }}", 'too much work'],
    ["{{ 'a'.ljust(1000000000) }}", 'too much work'],
    ["{{ 'a'.zfill(1000000000) }}", 'too much work'],
    ["{{ 'a\\nb' | indent(1000000000) }}", 'too much work'],
    ["{{ '\\t'.expandtabs(1000000000) }}", 'too much work'],
    ['{{ [1] | tojson(indent=1000000000) }}', 'too much work'],
    ["{{ '%1000000000d' % 1 }}", 'a width of at most'],
    ["{{ '{:1000000000}'.format(1) }}", 'a width of at most'],
    ["{{ '%*d' % (1000000000, 1) }}", 'a width of at most'],
    ['{{ [1] | slice(1000000000) | list }}', 'too much work'],
    ['{{ [1] | batch(1000000000, 0) | list }}', 'too much work'],
    ['{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', /nested too deeply|too much work/],
    ['{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}', /nested too deeply|too much work/],
    ['{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}', /nested too deeply|too much work/],
    [
      "{% set ns = namespace(s='a') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      '64 million',
    ],
    [
      "{% set ns = namespace(s='aa') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', ns.s) %}{% endfor %}",
      'too much work',
    ],
    [
      "{% set ns = namespace(s=['a']) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
      'too much work',
    ],
    [
      "{% set ns = namespace(s=['a']) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      'too much work',
    ],
    ["{% set s = 'ab' * 500000 %}{% for i in range(100000) %}{{ s in s }}{% endfor %}", 'too much work'],
    ["{% set s = 'ab' * 500000 %}{% for i in range(100000) %}{{ s | upper }}{% endfor %}", 'too much work'],
    ['{{ (range(9999) | list) | join(range(9999) | join) }}', 'too much work'],
    ['{{ range(100000) | unique | list }}', 'too much work'],
    [`{{ ${'('.repeat(100_000)}1${')'.repeat(100_000)} }}`, 'nested too deeply'],
    [`{{ ${'not '.repeat(100_000)}1 }}`, 'nested too deeply'],
    ['x'.repeat(1_000_001), 'more than a million characters'],
    [`{{ ${'['.repeat(100_000)}${']'.repeat(100_000)} }}`, 'nested too deeply'],
    ['{% if x %}'.repeat(90_000), 'nested too deeply'],
  ])('%s', (template, message) => {
    const before = performance.now();
    expect(() => render(template)).toThrow(message);
    expect(performance.now() - before).toBeLessThan(5000);
  });

  const grow = (start: string, step: string) =>
    `{% set ns = namespace(s=${start}) %}{% for i in range(60) %}{% set ns.s = ${step} %}{% endfor %}`;
  const again = (step: string) =>
    `{% set s = 'a' * 1000000 %}{% for i in range(10000) %}{% set t = ${step} %}{% endfor %}`;
  test.each([
    grow("'a'", "ns.s.replace('a', 'aa')"),
    grow("'a'", "ns.s | replace('a', 'aa')"),
    grow("'a'", "ns.s.replace('', 'a')"),
    grow("'a'", "ns.s.replace('a', 'aa', 100000000)"),
    grow("'a'", 'ns.s + ns.s'),
    grow("'a'", 'ns.s ~ ns.s'),
    grow("'a'", 'ns.s * 2'),
    grow("'a'", '[ns.s, ns.s] | join'),
    grow("'a'", "''.join([ns.s, ns.s])"),
    grow("'a'", "'%s%s' % (ns.s, ns.s)"),
    grow("'a'", '(ns.s + ns.s) | title'),
    `${grow('[1]', '[ns.s, ns.s]')}{{ ns.s | tojson }}`,
    `${grow('[1]', '[ns.s, ns.s]')}{{ ns.s }}`,
    again("s.replace('a', 'b')"),
    again("s.replace('a', 'b', 5)"),
    again('s.title()'),
    again('s.swapcase()'),
    again("s.count('a')"),
    again("s.strip('a')"),
    again("s.startswith('a', 1)"),
    again('s | reverse'),
    again('s | truncate(5)'),
  ])('soon: %s', (template) => {
    const before = process.cpuUsage();
    expect(() => render(template)).toThrow(/too much work|64 million/);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(2); // about half a second, where nothing else collects garbage
  });

  test.each([
    ["'abcb'.replace('b', '-')", 'a-c-'],
    ["'abcb'.replace('b', '-', 1)", 'a-cb'],
    ["'abcb'.replace('b', '-', 0)", 'abcb'],
    ["'aaa'.replace('aa', 'b')", 'ba'],
    ["'ab'.replace('', '-')", '-a-b-'],
    ["'ab'.replace('', '-', 0)", 'ab'],
    ["'ab'.replace('', '-', 2)", '-a-b'],
    ["'ab'.replace('', '-', 3)", '-a-b-'],
    ["''.replace('', '-')", '-'],
    ["'x\u{1f600}y\u{1f600}x'.strip('x\u{1f600}')", 'y'],
    ["'aaa'.strip('a')", ''],
    ["'aba'.rstrip('a')", 'ab'],
    ["'aba'.lstrip('a')", 'ba'],
    ["'aaa'.count('aa')", '1'],
    ["'\u{1f600}BC'.capitalize()", '\u{1f600}bc'],
  ])('%s as in Python', (expression, expected) => {
    expect(render(`{{ ${expression} }}`)).toBe(expected);
  });

  test('a long conversation is no problem', () => {
    const template = readFileSync(new URL('templates/thinking.jinja', folder), 'utf8');
    const content = 'word '.repeat(2000);
    const messages = Array.from({ length: 2000 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content,
    }));
    expect(render(template, { messages, tools: null }).length).toBeGreaterThan(2000 * content.length);
  });

  test('any text is a template or refused, quickly', () => {
    const pieces = fc.constantFrom(
      ...[
        '{{',
        '}}',
        '{%',
        '%}',
        '{#',
        '#}',
        '-',
        '|',
        "'",
        '"',
        '\\',
        '(',
        ')',
        '[',
        ']',
        '{',
        '}',
        ':',
        ',',
      ],
      ...[
        ' ',
        '\n',
        'for',
        'in',
        'if',
        'endif',
        'endfor',
        'set',
        'macro',
        'a',
        '1',
        '.',
        '=',
        '~',
        'is',
        'raw',
      ],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        rendered(parts.join(''), { a: { b: [1, 'x', null] } });
      }),
      { numRuns: 2000 },
    );
  });
});
