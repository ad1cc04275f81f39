import { flushDenormals } from '../graph/index.ts';
import { reportFailure } from './failure.ts';
import { createProgram } from './program.ts';

/** The `postnas` command as a process. bin/postnas.js starts it. */

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough (`| head`) is no fault.
  process.exit(error.code === 'EPIPE' ? 0 : reportFailure(error));
});
process.on('uncaughtException', (error) => process.exit(reportFailure(error)));

flushDenormals();

try {
  await (await createProgram(process.argv[2])).parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
