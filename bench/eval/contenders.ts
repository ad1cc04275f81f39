import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Requests of a set: the document, the context, the continuation. */
export type Requests = [document: number, context: string, continuation: string][];

export interface Outcome {
  seconds: number;
  /** Over all threads. */
  processorSeconds: number;
  logProbs: number[];
}

const fileOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** A process that has a model loaded and answers a line of JSON with one. */
export class Contender {
  private readonly lines: AsyncIterator<string>;
  private complaint = '';

  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
  ) {
    child.stderr!.on('data', (chunk: Buffer) => {
      this.complaint = (this.complaint + chunk.toString()).slice(-2000);
    });
    this.lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** @param python a virtual environment's folder with lm-eval[hf] */
  static harness(python: string, args: readonly string[]): Contender {
    return new Contender('lm-eval', spawn(`${python}/bin/python`, [fileOf('harness.py'), ...args]));
  }

  static ours(dtype: 'f32' | 'q8', model: string, threads: number): Contender {
    const args = ['--import', 'tsx', fileOf('ours.ts'), model, dtype, String(threads)];
    return new Contender(`postnas ${dtype}`, spawn(process.execPath, args));
  }

  tell(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  async answer<T>(): Promise<T> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.name} ended: ${this.complaint}`);
    return JSON.parse(value) as T;
  }

  ask(set: number): Promise<Outcome> {
    this.tell(String(set));
    return this.answer();
  }

  end(): void {
    this.child.stdin!.end();
    this.child.kill();
  }
}
