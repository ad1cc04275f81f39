import { type CompileOptions, Program, type Tensor } from '../graph/index.ts';

/** Programs without weights, compiled when they are first asked for. One that fails to compile can be asked for again. */
export class KeptPrograms {
  private readonly programs = new Map<string, Promise<Program>>();

  constructor(private readonly options: CompileOptions) {}

  get(key: string, record: () => Record<string, Tensor>, options = this.options): Promise<Program> {
    const known = this.programs.get(key);
    if (known) return known;
    const program = Program.compile(record(), options);
    program.catch(() => this.programs.delete(key));
    this.programs.set(key, program);
    return program;
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await (await program).dispose();
    this.programs.clear();
  }
}
