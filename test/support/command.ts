import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';

/** The `postnas` command as a process, built as for users: it starts in half the time that its sources would take. */
export const root = resolve(import.meta.dirname, '../..');
export const command = join(root, 'bin/postnas.js');

// It builds itself where the sources are newer, and says so: not within a test.
execFileSync(process.execPath, [command, '--version'], { stdio: 'ignore' });

export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `postnas ...args`. `started` is given the process, to send it signals. */
export function postnas(args: string[], started?: (child: ChildProcess) => void): Promise<Finished> {
  return new Promise((done) => {
    const child = execFile(process.execPath, [command, ...args], { cwd: root }, (error, stdout, stderr) =>
      done({ code: (error?.code as number | undefined) ?? 0, stdout, stderr }),
    );
    started?.(child);
  });
}
