import { join } from 'node:path';
import { type Memory, memoryOf } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { removeLeftovers } from '../util/files.ts';
import { withFolder } from '../util/folder-lock.ts';
import type { OnProgress, ProgressEvent } from '../util/progress.ts';
import { Random } from '../util/random.ts';
import type { Identity } from '../util/store/identity.ts';
import { type AdamWOptions, freshMoments } from './adamw.ts';
import { BestWeights } from './best-weights.ts';
import { optimizerFor } from './device-adamw.ts';
import { type HeldOut, Measurements } from './held-out.ts';
import type { ParameterVector } from './parameters.ts';
import { loadRunState, type RunState, saveRunState } from './run-state.ts';
import { learningRate, type Schedule } from './schedule.ts';
import { type Measurement, StepLog } from './step-log.ts';

/** What is minimised. */
export interface Objective {
  /**
   * Draws a batch and computes the gradient of its loss.
   *
   * @param random the only source of randomness, so that a resumed run draws what the first would have
   * @param gradient receives the gradient, every element of it, where the training's memory has it
   * @param onPart may be told how much of it is done, from 0 to 1
   * @param over how much of the run is over before the step, from 0 to 1
   * @returns the loss, and what else is worth logging
   */
  gradient(
    random: Random,
    gradient: ParameterVector,
    step: number,
    onPart?: (part: number) => void,
    over?: number,
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
  /** Seconds between two saves of the state; a minute, or as many as keep saving cheap, unless told. */
  saveEvery?: number;
  /** Everything that makes this run this run, beside schedule and seed; a saved state of another is refused. */
  fingerprint?: Identity;
  /**
   * Seconds after which the run ends, whatever its steps: the learning rate falls over them. The time of earlier processes
   * counts, that of steps which were lost does not. A run that has ended goes on when it is given more.
   */
  seconds?: number;
  heldOut?: HeldOut;
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
  /** Of the weights that are left. */
  step: number;
  /** Steps taken. */
  steps: number;
  /** Mean loss of the last tenth of all steps, those of earlier processes included. */
  loss: number;
  /** Of all steps, those of earlier processes included. */
  seconds: number;
  /** In order, those of earlier processes included. */
  heldOut: readonly Measurement[];
  /** Why it ended. */
  ended: 'steps' | 'time' | 'patience';
}

/** Seconds between two saves, and the most of the time that may go into them: large states are saved less often. */
const SAVE_EVERY = 60;
const SAVING = 0.03;

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
    saveEvery,
    seconds: limit,
    heldOut,
  } = options;
  // How long it may take is no part of it: with more time it goes on.
  const identity: Identity = { schedule, seed: options.seed, accumulate, ...options.fingerprint };
  const state: RunState = {
    step: 0,
    seconds: 0,
    parameters,
    moments: freshMoments(parameters),
    random: new Random(options.seed),
  };
  const statePath = folder && join(folder, 'state.safetensors');
  const spentAt = (seconds: number) => (limit === undefined ? undefined : Math.min(1, seconds / limit));
  let told = performance.now();
  const tell = (steps: number, more: Pick<ProgressEvent, 'values' | 'notice'> = {}) => {
    told = performance.now();
    const done = Math.round(steps * tokensPerStep);
    const spent = spentAt(state.seconds);
    const total =
      spent === undefined ? schedule.steps * tokensPerStep : Math.max(done, Math.round(done / (spent || 1)));
    options.onProgress?.({ stage, done, total, unit: 'tokens', ...more });
  };
  if (statePath) {
    removeLeftovers(statePath);
    loadRunState(statePath, state, identity, (notice) => tell(state.step, { notice }));
  }
  if (state.step === 0) await options.begin?.();
  const log = new StepLog(folder && join(folder, 'log.jsonl'), state.step);
  // What an earlier training left on the device is not what this one starts from.
  memory.drop(parameters.data);
  let saved = performance.now();
  let saving = 0;
  const save = async () => {
    if (!statePath) return;
    const { m, v } = state.moments;
    const begun = performance.now();
    for (const { data } of [parameters, m, v]) await memory.fetch(data);
    saveRunState(statePath, state, identity);
    saved = performance.now();
    saving = saved - begun;
  };
  const best = new BestWeights(folder && join(folder, 'best.safetensors'));
  const part = (step: number, seconds: number) => spentAt(seconds) ?? step / schedule.steps;
  const judged = heldOut && new Measurements(heldOut, log, best, part);
  const ended = (): TrainResult['ended'] | undefined => {
    if (state.step >= schedule.steps) return 'steps';
    if (limit !== undefined && state.seconds >= limit) return 'time';
    return judged?.isHopeless ? 'patience' : undefined;
  };
  const measure = async () => {
    const { step, seconds } = state;
    const moment = { step, seconds, isLast: ended() !== undefined };
    if (!judged?.isDue(moment)) return;
    await memory.fetch(parameters.data);
    await judged.measure(moment, parameters);
  };

  const optimizer = await optimizerFor(memory, options.optimizer, options.threads);
  const gradient = parameters.like();
  const own = accumulate > 1 ? parameters.like() : gradient;
  let bad = 0;
  let since = performance.now();
  /** Adds the time since it was asked before. */
  const count = () => {
    const now = performance.now();
    state.seconds += (now - since) / 1000;
    since = now;
  };
  const tryOrSave = async <T>(work: () => Promise<T>): Promise<T> => {
    const random: Random['state'] = [...state.random.state];
    try {
      return await work();
    } catch (error) {
      // The step did not happen: what is saved must draw its batch again.
      state.random.state = random;
      await save();
      throw error;
    }
  };
  try {
    await tryOrSave(measure);
    since = performance.now();
    while (!ended()) {
      const begun = performance.now();
      const values: Record<string, number> = {};
      await tryOrSave(async () => {
        if (accumulate > 1) memory.clear(gradient.data);
        for (let i = 0; i < accumulate; i++) {
          options.signal?.throwIfAborted();
          const onPart = (done: number) => {
            if (performance.now() - told > 1000 * LONG) tell(state.step + (i + done) / accumulate);
          };
          const over = part(state.step, state.seconds);
          const batch = await objective.gradient(state.random, own, state.step, onPart, over);
          for (const [name, value] of Object.entries(batch)) {
            values[name] = (values[name] ?? 0) + value / accumulate;
          }
          if (accumulate > 1) await memory.accumulate(gradient.values(), own.values());
        }
      });
      const rate = learningRate(schedule, state.step, spentAt(state.seconds));
      const norm = await optimizer.step(parameters, gradient, state.moments, rate, 1 / accumulate);
      bad = Number.isFinite(norm) ? 0 : bad + 1;
      if (bad >= MAX_BAD_STEPS) {
        throw new InputError(
          `${stage}: the gradient was not finite for ${bad} steps in a row, the last of them step ` +
            `${state.step + 1} with loss ${values.loss}: try a lower learning rate`,
        );
      }
      state.step++;
      count();
      const seconds = (performance.now() - begun) / 1000;
      log.add({
        step: state.step,
        ...values,
        norm,
        rate,
        seconds: Number(seconds.toFixed(4)),
        tokensPerSecond: Math.round(tokensPerStep / seconds),
      });
      const isAsked = state.step % (options.evaluateEvery ?? Number.POSITIVE_INFINITY) === 0;
      if (options.evaluate && (isAsked || state.step === schedule.steps)) {
        await memory.fetch(parameters.data);
        log.add({ step: state.step, evaluation: await options.evaluate(state.step) });
      }
      await tryOrSave(measure);
      count();
      const isDone = ended() !== undefined;
      // Measuring may have used up the time.
      if (isDone) await tryOrSave(measure);
      const pause = saveEvery === undefined ? Math.max(1000 * SAVE_EVERY, saving / SAVING) : 1000 * saveEvery;
      if (isDone || performance.now() - saved > pause) await save();
      tell(state.step, { values: { loss: values.loss! } });
    }
    await memory.fetch(parameters.data);
  } finally {
    await optimizer.dispose();
    for (const { data } of [state.moments.m, state.moments.v, gradient, own]) memory.drop(data);
  }
  const { step, lost } = judged?.restore(state.step, parameters) ?? { step: state.step, lost: undefined };
  if (lost !== undefined) {
    tell(state.step, {
      notice: `the weights of step ${lost}, which were the best, are lost: the last are taken`,
    });
  }
  if (step !== state.step) memory.drop(parameters.data);
  return {
    step,
    steps: state.step,
    loss: log.loss(Math.ceil(state.step / 10)),
    seconds: log.seconds,
    heldOut: log.measurements,
    ended: ended()!,
  };
}
