import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { CommanderError } from 'commander';
import { vi } from 'vitest';
import { failureOf } from '../../src/cli/failure.ts';
import { createProgram } from '../../src/cli/program.ts';

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

/**
 * The same from its sources within this process, and without the second that a start takes: for what is refused, and for
 * commands whose start and end another test has as a process.
 */
export async function postnasHere(args: string[]): Promise<Finished> {
  const finished: Finished = { code: 0, stdout: '', stderr: '' };
  const program = await createProgram(args[0]);
  for (const each of [program, ...program.commands]) each.exitOverride();
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      finished[name] += text;
      return true;
    }),
  );
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    const { code, exitCode } = error as CommanderError;
    // What is wrong with the options commander has told by then.
    if (code?.startsWith('commander.')) return { ...finished, code: exitCode };
    const failure = failureOf(error);
    return { ...finished, code: failure.code, stderr: `${finished.stderr}${failure.text}\n` };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return finished;
}
