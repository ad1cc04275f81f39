import { readFileSync } from 'node:fs';
import { Command, type Option, type OutputConfiguration } from 'commander';
import { wrapped } from './help.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** A file per command, in the order of the help. All of them together take a second to load, each alone half of it. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./commands/start.ts')).start(),
  run: async () => (await import('./commands/run.ts')).run(),
  search: async () => (await import('./commands/search.ts')).search(),
  blocks: async () => (await import('./commands/blocks.ts')).blocks(),
  design: async () => (await import('./commands/blocks.ts')).design(),
  dimensions: async () => (await import('./commands/blocks.ts')).dimensions(),
  distill: async () => (await import('./commands/distill.ts')).distillCommand(),
  report: async () => (await import('./commands/report.ts')).reportCommand(),
  pretrain: async () => (await import('./commands/pretrain.ts')).pretrain(),
  pull: async () => (await import('./commands/pull.ts')).pullCommand(),
  import: async () => (await import('./commands/import.ts')).importCommand(),
  quantize: async () => (await import('./commands/quantize.ts')).quantizeCommand(),
  export: async () => (await import('./commands/export.ts')).exportCommand(),
  eval: async () => (await import('./commands/eval.ts')).evalCommand(),
  convert: async () => (await import('./commands/convert.ts')).convertCommand(),
  compare: async () => (await import('./commands/compare.ts')).compareCommand(),
  init: async () => (await import('./commands/init.ts')).initCommand(),
  info: async () => (await import('./commands/info.ts')).infoCommand(),
  generate: async () => (await import('./commands/generate.ts')).generate(),
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  bench: async () => (await import('./commands/bench.ts')).benchCommand(),
};

/**
 * The `postnas` command.
 *
 * @param only the one command that is wanted; all when it is none of them
 */
export async function createProgram(only?: string): Promise<Command> {
  const program = new Command('postnas')
    .description(
      'Turn a pre-trained full-attention language model into a hybrid linear-attention model by Post Neural ' +
        'Architecture Search, and run it.',
    )
    .version(version)
    .showHelpAfterError('(--help shows the options, with examples)')
    .configureOutput({
      writeOut: (text) => process.stdout.write(wrapped(text)),
      outputError,
    })
    .configureHelp({ optionDescription: described })
    .addHelpText(
      'after',
      '\nExamples:\n  postnas start                          all stages on the embedded model, in minutes\n' +
        '  postnas generate models/hybrid --prompt "Story: Tom found the"\n' +
        '  postnas search --help                  the options of a command, with examples',
    );
  const load =
    only !== undefined && Object.hasOwn(COMMANDS, only) ? [COMMANDS[only]!] : Object.values(COMMANDS);
  for (const command of await Promise.all(load.map((each) => each()))) {
    program.addCommand(command.copyInheritedSettings(program).configureOutput(sayingWhere(command)));
  }
  return program;
}

const outputError: NonNullable<OutputConfiguration['outputError']> = (text, write) =>
  write(text.replace(/^error: /, 'postnas: '));

/** An argument behind an option that takes all that follows is taken with it. */
function sayingWhere({ options }: Command): OutputConfiguration {
  const takers = options.filter(({ variadic, hidden }) => variadic && !hidden).map(({ long }) => long);
  if (takers.length === 0) return {};
  const where = `; it stands before ${takers.join(', ')}: such an option takes all that follows`;
  return {
    outputError: (text, write) =>
      outputError(text.replace(/missing required argument '[^']*'/, `$&${where}`), write),
  };
}

/** As commander has it, and also the defaults that are values of no option, such as "the model's own". */
function described(option: Option): string {
  const { description, argChoices, defaultValue, defaultValueDescription, envVar } = option;
  const shown = defaultValueDescription ?? shownDefault(defaultValue);
  const notes = [
    ...(argChoices ? [argChoices.join(', ')] : []),
    ...(shown === undefined ? [] : [`default: ${shown}`]),
    ...(envVar === undefined ? [] : [`env: ${envVar}`]),
  ];
  return notes.length > 0 ? `${description} (${notes.join('; ')})` : description;
}

function shownDefault(value: unknown): string | undefined {
  if (value === undefined || value === false || (Array.isArray(value) && value.length === 0))
    return undefined;
  return Array.isArray(value) ? value.join(' ') : String(value);
}
