/** What who knows one command knows of all: walks the commands and their options. */
import { type Command, InvalidArgumentError, type Option } from 'commander';
import { describe, expect, test } from 'vitest';
import { wrapped } from '../../src/cli/help.ts';
import { Alias } from '../../src/cli/options.ts';
import { createProgram } from '../../src/cli/program.ts';
import { InputError } from '../../src/util/errors.ts';

const { commands } = await createProgram();
const named = commands.map((command) => [command.name(), command] as const);
const shown = (command: Command) => command.options.filter((option) => !option.hidden);

/** The help as it is printed. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += wrapped(part)), getOutHelpWidth: () => 80 });
  command.outputHelp();
  return text;
}

const PROBES = ['1', '0', '-1', '0.5', '64K', '8GB', '1,4K', 'f16', 'F16', 'cpu', 'info', 'no/such/place'];

const TOKENS = [
  ...['--length', '--short-length', '--tokens', '--context', '--contexts', '--max-context', '--max-tokens'],
  ...['--piece', '--decode-context', '--decode-tokens'],
];

/** What an option makes of texts, messages included. */
function parsed(option: Option): unknown[] {
  return PROBES.map((text) => {
    try {
      return option.parseArg ? option.parseArg(text, undefined) : text;
    } catch (error) {
      if (!(error instanceof InvalidArgumentError || error instanceof InputError)) throw error;
      // What a path or a type has to be may differ.
      return error.message.replace(/[;:.] expected .*|Expected one of .*/, '');
    }
  });
}

test('there are commands', () => {
  expect(named.length).toBeGreaterThan(15);
});

describe.each(named)('%s', (name, command) => {
  test('--json and --quiet', () => {
    expect(shown(command).map(({ long }) => long)).toEqual(expect.arrayContaining(['--json', '--quiet']));
  });

  test('its help has examples, which are commands of its own with options that it has', () => {
    const help = helpOf(command);
    expect(command.description()).toMatch(/^[A-Z].*\.$/s);
    const examples = help.slice(help.indexOf('\nExamples:\n')).replaceAll('\\\n', ' ');
    expect(examples).toMatch(new RegExp(`^ +(\\w+=\\S+ )?postnas ${name}\\b`, 'm'));
    for (const [, other, rest] of examples.matchAll(/postnas (\S+)([^\n&]*)/g)) {
      const its = commands.find((each) => each.name() === other)!;
      const flags = shown(its).flatMap(({ long, short }) => [long, short]);
      for (const [flag] of rest!.matchAll(/(?<= )--?[a-z][\w-]*/g)) expect(flags).toContain(flag);
    }
  });

  test('its help fits 80 columns, but for examples', () => {
    const help = helpOf(command);
    const lines = help.slice(0, help.indexOf('\nExamples:\n')).split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  test('options are told in the same way', () => {
    for (const { long, description } of shown(command)) {
      expect(long).toMatch(/^--[a-z]+(-[a-z]+)*$/);
      expect(description).toMatch(/^[a-z].*[^.]$/s);
    }
  });

  test('what is written goes to --out, with -o', () => {
    const out = command.options.find(({ long }) => long === '--out');
    if (out) expect(out.flags).toBe('-o, --out <path>');
    expect(command.options.filter(({ short }) => short === '-o')).toEqual(out ? [out] : []);
  });
});

test('an option has one form, one description and one parser wherever it is', () => {
  const byName = new Map<string, { command: string; option: Option }[]>();
  for (const [command, { options }] of named) {
    for (const option of options.filter((each) => !(each instanceof Alias))) {
      byName.set(option.long!, [...(byName.get(option.long!) ?? []), { command, option }]);
    }
  }
  const shared = [...byName.values()].filter((all) => all.length > 1);
  expect(shared.length).toBeGreaterThan(15);
  for (const [first, ...others] of shared) {
    for (const { command, option } of others) {
      const where = `${first!.command} and ${command}`;
      // export takes several types at once.
      if (option.long === '--dtype' && option.variadic !== first!.option.variadic) continue;
      // Others train on the text, convert reads it; bench fills the memory, convert keeps within it.
      const another = ['--data', '--memory', '--held-out-share'].includes(option.long!);
      if (another && [command, first!.command].includes('convert')) continue;
      expect({ where, flags: option.flags, description: option.description }).toEqual({
        where,
        flags: first!.option.flags,
        description: first!.option.description,
      });
      if (!option.argChoices)
        expect({ where, parsed: parsed(option) }).toEqual({ where, parsed: parsed(first!.option) });
    }
  }
});

test('types and names are taken in upper and lower case', () => {
  let found = 0;
  for (const [, { options }] of named) {
    for (const { argChoices, parseArg } of options) {
      for (const choice of argChoices ?? []) {
        found++;
        expect(choice).toBe(choice.toLowerCase());
        expect(parseArg!(choice.toUpperCase(), undefined)).toEqual(parseArg!(choice, undefined));
      }
    }
  }
  expect(found).toBeGreaterThan(40);
});

test('every count of tokens takes 64K, every size 8GB', () => {
  const all = named.flatMap(([command, { options }]) => options.map((option) => ({ command, option })));
  for (const name of TOKENS) {
    const having = all.filter(({ option }) => option.long === name);
    expect({ name, commands: having.length > 0 }).toEqual({ name, commands: true });
    for (const { option } of having) expect([option.parseArg!('64K', undefined)].flat()).toEqual([65_536]);
  }
  for (const { option } of all.filter(({ option: { flags } }) => flags.includes('<size>'))) {
    expect(option.parseArg!('8GB', undefined)).toBe(8e9);
  }
});

describe('aliases', () => {
  test.each([
    ['report', '--output', '--out'],
    ['bench', '--report', '--out'],
    ['bench', '--tokens', '--decode-tokens'],
    ['bench', '--rounds', '--decode-rounds'],
    ['bench', '--context', '--contexts'],
    ['serve', '--context', '--max-context'],
    ['eval', '--text', '--held-out'],
    ['eval', '--rows', '--held-out-rows'],
    ['eval', '--objective', '--task'],
    ['search', '--objective', '--task'],
    ['info', '--dtype', '--cache-dtype'],
    ['blocks', '--placement', '--full-layers'],
    ['distill', '--temperature', '--distill-temperature'],
  ])('%s %s stands for %s, and is not shown', (name, alias, canonical) => {
    const command = commands.find((each) => each.name() === name)!;
    const option = command.options.find(({ long }) => long === alias) as Alias;
    expect(option).toBeInstanceOf(Alias);
    expect(option.of.long).toBe(canonical);
    expect(option.hidden).toBe(true);
    expect(helpOf(command)).not.toMatch(new RegExp(`${alias}\\b`));
    const of = command.options.find(({ long }) => long === canonical)!;
    expect(parsed(option)).toEqual(parsed(of));
    expect(option.variadic).toBe(of.variadic);
  });
});
