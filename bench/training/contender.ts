import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Task } from './cases.ts';

/** What a contender says of a step. */
export interface Step {
  seconds: number;
  /** Of processor time, all threads. */
  processor: number;
  loss: number;
  /** Most memory so far [MB]. */
  peak: number;
}

/**
 * A process that trains, step by step as it is told to: it reads a line before each step and writes one of JSON after
 * it. So contenders that stand side by side take turns.
 */
export class Contender {
  private readonly lines: AsyncIterator<string>;

  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
  ) {
    this.lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  static start(
    name: string,
    command: string,
    args: readonly string[],
    task: Task,
    env: object = {},
  ): Contender {
    const child = spawn(command, [...args, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    child.on('error', (error) => console.error(`${name}: ${error.message}`));
    return new Contender(name, child);
  }

  /** @throws Error where the process has ended */
  async step(): Promise<Step> {
    this.child.stdin!.write('step\n');
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.name} ended`);
    return JSON.parse(value) as Step;
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('close', resolve));
    this.child.kill('SIGKILL');
    if (this.child.exitCode === null && this.child.signalCode === null) await ended;
  }
}
