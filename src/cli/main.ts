import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { flushDenormals, GraphError } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
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

/** The `postnas` command: one file per subcommand under commands/. */
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('postnas')
  .description(
    'Turn a pre-trained full-attention language model into a hybrid linear-attention model by Post Neural ' +
      'Architecture Search, and run it.',
  )
  .version(version)
  .showHelpAfterError()
  .addCommand(start())
  .addCommand(run())
  .addCommand(search())
  .addCommand(blocks())
  .addCommand(design())
  .addCommand(dimensions())
  .addCommand(distillCommand())
  .addCommand(reportCommand())
  .addCommand(pretrain())
  .addCommand(pullCommand())
  .addCommand(importCommand())
  .addCommand(quantizeCommand())
  .addCommand(exportCommand())
  .addCommand(evalCommand())
  .addCommand(initCommand())
  .addCommand(infoCommand())
  .addCommand(generate())
  .addCommand(serveCommand())
  .addCommand(benchCommand());

// A reader that has seen enough (`| head`) is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

flushDenormals();

/** 0 done; 1 the input or the machine was at fault; 130 stopped by Ctrl-C. */
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  const { name, message, code } = error as Error & { code?: string };
  if (name === 'AbortError') {
    process.stderr.write('stopped; the last good state is kept: run the same command again to go on\n');
    return 130;
  }
  if (code === 'ENOSPC') {
    process.stderr.write(`postnas: the disk is full (${message}); the last good state is kept\n`);
    return 1;
  }
  const known = error instanceof InputError || error instanceof GraphError || code !== undefined;
  process.stderr.write(`postnas: ${known ? message : ((error as Error).stack ?? String(error))}\n`);
  return 1;
}
