import { readFileSync } from 'node:fs';
import { Command, type Option } from 'commander';
import { benchCommand } from './commands/bench.ts';
import { blocks, design, dimensions } from './commands/blocks.ts';
import { distillCommand } from './commands/distill.ts';
import { evalCommand } from './commands/eval.ts';
import { exportCommand } from './commands/export.ts';
import { generate } from './commands/generate.ts';
import { importCommand } from './commands/import.ts';
import { infoCommand } from './commands/info.ts';
import { initCommand } from './commands/init.ts';
import { pretrain } from './commands/pretrain.ts';
import { pullCommand } from './commands/pull.ts';
import { quantizeCommand } from './commands/quantize.ts';
import { reportCommand } from './commands/report.ts';
import { run } from './commands/run.ts';
import { search } from './commands/search.ts';
import { serveCommand } from './commands/serve.ts';
import { start } from './commands/start.ts';
import { wrapped } from './help.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** The `postnas` command: one file per subcommand under commands/. */
export function createProgram(): Command {
  const program = new Command('postnas')
    .description(
      'Turn a pre-trained full-attention language model into a hybrid linear-attention model by Post Neural ' +
        'Architecture Search, and run it.',
    )
    .version(version)
    .showHelpAfterError('(--help shows the options, with examples)')
    .configureOutput({
      writeOut: (text) => process.stdout.write(wrapped(text)),
      outputError: (text, write) => write(text.replace(/^error: /, 'postnas: ')),
    })
    .configureHelp({ optionDescription: described })
    .addHelpText(
      'after',
      '\nExamples:\n  postnas start                          all stages on the embedded model, in minutes\n' +
        '  postnas generate models/hybrid --prompt "Story: Tom found the"\n' +
        '  postnas search --help                  the options of a command, with examples',
    );
  const commands = [
    start(),
    run(),
    search(),
    blocks(),
    design(),
    dimensions(),
    distillCommand(),
    reportCommand(),
    pretrain(),
    pullCommand(),
    importCommand(),
    quantizeCommand(),
    exportCommand(),
    evalCommand(),
    initCommand(),
    infoCommand(),
    generate(),
    serveCommand(),
    benchCommand(),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  return program;
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
