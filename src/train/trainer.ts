import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Memory, memoryOf } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { removeLeftovers, writeFileAtomic } from '../util/files.ts';
import { withFolder } from '../util/folder-lock.ts';
import type { OnProgress, ProgressEvent } from '../util/progress.ts';
import { Random } from '../util/random.ts';
import type { Identity } from '../util/store/identity.ts';
import { systemMeaning } from '../util/system-errors.ts';
import { type AdamWOptions, freshMoments } from './adamw.ts';
import { optimizerFor } from './device-adamw.ts';
import type { ParameterVector } from './parameters.ts';
import { loadRunState, type RunState, saveRunState } from './run-state.ts';
import { learningRate, type Schedule } from './schedule.ts';

/** What is minimised. */
export interface Objective {
  /**
   * Draws a batch and computes the gradient of its loss.
   *
   * @param random the only source of randomness, so that a resumed run draws what the first would have
   * @param gradient receives the gradient, every element of it, where the training's memory has it
   * @param onPart may be told how much of it is done, from 0 to 1
   * @returns the loss, and what else is worth logging
   */
  gradient(
    random: Random,
    gradient: ParameterVector,
    step: number,
    onPart?: (part: number) => void,
  ): Promise<{ loss: number; [value: string]: number }>;
}

export interface TrainOptions {
  /** What is trained, for progress lines. */
  stage: string;
  parameters: ParameterVector;
  objective: Objective;
  /** Where the objective leaves gradients and reads weights; host memory unless told. */
  memory?: Memory;
  schedule: Schedule;
  seed: number;
  optimizer?: Partial<AdamWOptions>;
  /** Threads of the optimiser; 0 or nothing for all cores. */
  threads?: number;
  /** Batches whose gradients are averaged in one step. */
  accumulate?: number;
  /** Tokens of one step, for rates. */
  tokensPerStep: number;
  /**
   * Folder of the run: state.safetensors (to resume from), the state before it and log.jsonl. Nothing is saved without
   * it; one training at a time may have it.
   */
  folder?: string;
  /** Seconds between two saves of the state. */
  saveEvery?: number;
  /** Everything that makes this run this run, beside schedule and seed; a saved state of another is refused. */
  fingerprint?: Identity;
  /** Prepares the parameters of a training that begins: one that goes on has what it left. */
  begin?: () => Promise<void>;
  /** Called every `evaluateEvery` steps and after the last; what it returns is logged. */
  evaluate?: (step: number) => Promise<Record<string, number>>;
  evaluateEvery?: number;
  /** Told of every step, with its loss; of parts of a step that takes long without. */
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

export interface TrainResult {
  step: number;
  /** Mean loss of the last tenth of all steps, those of earlier processes included. */
  loss: number;
  /** Of all steps, those of earlier processes included. */
  seconds: number;
}

/** Seconds of a step after which its parts are told of. */
const LONG = 2;

/** Consecutive steps without a finite gradient before a run is given up. */
const MAX_BAD_STEPS = 10;

/**
 * Runs an objective through its schedule with AdamW. On abort the state of the last whole step is saved before
 * the AbortError is thrown; run again with the same options, it goes on bit for bit. A saved state that was damaged
 * since is laid aside with a notice, and the one before it taken.
 *
 * @throws InputError when another process is training in the folder, when the folder holds the state of another run
 *   or cannot be written, or when the gradient was not finite for many steps in a row: what was saved last is still
 *   there
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { folder, stage } = options;
  return folder ? withFolder(folder, `training: ${stage}`, () => trainAlone(options)) : trainAlone(options);
}

/** The training, with the folder for itself. */
async function trainAlone(options: TrainOptions): Promise<TrainResult> {
  const {
    stage,
    parameters,
    objective,
    memory = memoryOf('cpu'),
    schedule,
    accumulate = 1,
    tokensPerStep,
    folder,
    saveEvery = 60,
  } = options;
  const identity: Identity = { schedule, seed: options.seed, accumulate, ...options.fingerprint };
  const state: RunState = {
    step: 0,
    parameters,
    moments: freshMoments(parameters),
    random: new Random(options.seed),
  };
  const statePath = folder && join(folder, 'state.safetensors');
  let told = performance.now();
  const tell = (steps: number, more: Pick<ProgressEvent, 'values' | 'notice'> = {}) => {
    told = performance.now();
    options.onProgress?.({
      stage,
      done: steps * tokensPerStep,
      total: schedule.steps * tokensPerStep,
      unit: 'tokens',
      ...more,
    });
  };
  if (statePath) {
    removeLeftovers(statePath);
    loadRunState(statePath, state, identity, (notice) => tell(state.step, { notice }));
  }
  if (state.step === 0) await options.begin?.();
  const log = new StepLog(folder && join(folder, 'log.jsonl'), state.step);
  // What an earlier training left on the device is not what this one starts from.
  memory.drop(parameters.data);
  const save = async () => {
    if (!statePath) return;
    const { m, v } = state.moments;
    for (const { data } of [parameters, m, v]) await memory.fetch(data);
    saveRunState(statePath, state, identity);
  };

  const optimizer = await optimizerFor(memory, options.optimizer, options.threads);
  const gradient = parameters.like();
  const part = accumulate > 1 ? parameters.like() : gradient;
  let saved = performance.now();
  let bad = 0;
  try {
    while (state.step < schedule.steps) {
      const begun = performance.now();
      const randomBefore: Random['state'] = [...state.random.state];
      if (accumulate > 1) memory.clear(gradient.data);
      const values: Record<string, number> = {};
      try {
        for (let i = 0; i < accumulate; i++) {
          options.signal?.throwIfAborted();
          const batch = await objective.gradient(state.random, part, state.step, (done) => {
            if (performance.now() - told > 1000 * LONG) tell(state.step + (i + done) / accumulate);
          });
          for (const [name, value] of Object.entries(batch)) {
            values[name] = (values[name] ?? 0) + value / accumulate;
          }
          if (accumulate > 1) await memory.accumulate(gradient.values(), part.values());
        }
      } catch (error) {
        // The step did not happen: what is saved must draw its batch again.
        state.random.state = randomBefore;
        await save();
        throw error;
      }
      const rate = learningRate(schedule, state.step);
      const norm = await optimizer.step(parameters, gradient, state.moments, rate, 1 / accumulate);
      bad = Number.isFinite(norm) ? 0 : bad + 1;
      if (bad >= MAX_BAD_STEPS) {
        throw new InputError(
          `${stage}: the gradient was not finite for ${bad} steps in a row, the last of them step ` +
            `${state.step + 1} with loss ${values.loss}: try a lower learning rate`,
        );
      }
      state.step++;
      const seconds = (performance.now() - begun) / 1000;
      log.add({
        step: state.step,
        ...values,
        norm,
        rate,
        seconds: Number(seconds.toFixed(4)),
        tokensPerSecond: Math.round(tokensPerStep / seconds),
      });
      const last = state.step === schedule.steps;
      if (
        options.evaluate &&
        (last || state.step % (options.evaluateEvery ?? Number.POSITIVE_INFINITY) === 0)
      ) {
        await memory.fetch(parameters.data);
        log.add({ step: state.step, evaluation: await options.evaluate(state.step) });
      }
      if (last || performance.now() - saved > saveEvery * 1000) {
        await save();
        saved = performance.now();
      }
      tell(state.step, { values: { loss: values.loss! } });
    }
    await memory.fetch(parameters.data);
  } finally {
    await optimizer.dispose();
    for (const { data } of [state.moments.m, state.moments.v, gradient, part]) memory.drop(data);
  }
  return {
    step: state.step,
    loss: log.loss(Math.ceil(schedule.steps / 10)),
    seconds: log.seconds,
  };
}

/** A line of JSON per step. Lines after the step a run resumes from are dropped: they will be written again. */
class StepLog {
  /** The loss of each step so far; NaN where it was not finite. */
  private readonly losses: number[] = [];
  /** What the steps so far took. */
  seconds = 0;

  constructor(
    private readonly path: string | undefined,
    resumedAt: number,
  ) {
    if (!path) return;
    const before = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    const kept = before.filter((line) => {
      const entry = parsed(line);
      if (!entry || entry.step > resumedAt) return false;
      this.note(entry);
      return true;
    });
    writeFileAtomic(path, kept.map((line) => `${line}\n`).join(''));
  }

  add(entry: LogEntry): void {
    this.note(entry);
    if (!this.path) return;
    try {
      appendFileSync(this.path, `${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw new InputError(`cannot write ${this.path}: ${systemMeaning(error) ?? (error as Error).message}`);
    }
  }

  private note({ loss, seconds = 0 }: LogEntry): void {
    this.seconds += seconds;
    // JSON has null for what is not finite.
    if (loss !== undefined) this.losses.push(loss ?? Number.NaN);
  }

  /** The mean of those of the last `count` losses that are finite; 0 without any. */
  loss(count: number): number {
    const tail = this.losses.slice(-Math.max(1, count)).filter(Number.isFinite);
    return tail.reduce((a, b) => a + b, 0) / Math.max(1, tail.length);
  }
}

interface LogEntry {
  step: number;
  loss?: number | null;
  seconds?: number;
  [value: string]: unknown;
}

/** The entry of a line; null for the end of the file, or for a line that a kill or a full disk cut off. */
function parsed(line: string): LogEntry | null {
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return null;
  }
}
