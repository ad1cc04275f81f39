import { type ChildProcess, execFile } from 'node:child_process';
import { join, resolve } from 'node:path';

/** The `postnas` command run from source, as a process. */
const root = resolve(import.meta.dirname, '../..');

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `postnas ...args`. `started` is given the process, to send it signals. */
export function postnas(args: string[], started?: (child: ChildProcess) => void): Promise<Finished> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', join(root, 'src/cli/main.ts'), ...args],
      { cwd: root },
      (error, stdout, stderr) => done({ code: (error?.code as number | undefined) ?? 0, stdout, stderr }),
    );
    started?.(child);
  });
}
