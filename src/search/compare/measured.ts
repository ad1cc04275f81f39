import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WeightDtype } from '../../model/quantized-tensors.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { Engine } from '../../runtime/engine.ts';
import type { Plan } from '../../tasks/harness.ts';
import { noticeBy, type OnProgress } from '../../util/progress.ts';
import { hashOf, type Identity } from '../../util/store/identity.ts';
import { remember } from '../../util/store/kept.ts';
import { measureAnswers, type Prompt, WRITTEN } from './answers.ts';
import { measureRecall, type RecallPlan } from './recall.ts';
import { keepReference, recallReference } from './reference.ts';
import type { RecallMap, SpeedFound } from './result.ts';
import { measureSpeed } from './speed.ts';
import type { Subject } from './subjects.ts';
import { measureTask, type TaskScored } from './tasks-measure.ts';
import { measureText, type Reference, sampledPlaces, sampleStride, type TextFound } from './text-measure.ts';

/** All measurements of a model, each kept by what it depends on; the model is in memory only while one is made. */

export interface Work {
  /** Where measurements are kept. */
  folder: string;
  tokenizer: Tokenizer;
  rows: readonly (readonly number[])[];
  recall: readonly RecallPlan[];
  plans: readonly Plan[];
  prompts: readonly Prompt[];
  /** At which an answer ends. */
  eosTokenIds: readonly number[];
  /** Lengths at which speed is measured. */
  contexts: readonly number[];
  /** Of the machine that it is measured on. */
  machine: Identity;
  dtype: WeightDtype | undefined;
  threads: number | undefined;
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
}

export interface Measured {
  text: TextFound;
  recall: RecallMap[];
  tasks: TaskScored[];
  answers: string[];
  speed: SpeedFound[];
  seconds: number;
}

/** @param parent is what the others are compared with; undefined for the parent itself */
export async function measureSubject(subject: Subject, work: Work, parent?: Subject): Promise<Measured> {
  const { config, weights } = subject;
  const { folder, rows, dtype, threads, onProgress, signal } = work;
  mkdirSync(folder, { recursive: true });
  let opened: Promise<Engine> | undefined;
  const engine = () => {
    opened ??= Engine.create(config, weights, {
      ...(dtype && { dtype }),
      ...(threads !== undefined && { threads }),
      ...(signal && { signal }),
    });
    return opened;
  };
  let seconds = 0;
  /** What `make` gives, with the time that it took, unless it is kept. */
  const kept = async <T>(
    what: string,
    own: Identity,
    make: () => Promise<T>,
    isWhole: () => boolean = () => true,
  ): Promise<T> => {
    const identity: Identity = { what, model: subject.identity, dtype: dtype ?? null, ...own };
    const path = join(folder, `${what}-${hashOf(identity)}.json`);
    const timed = async () => {
      const begun = performance.now();
      return { value: await make(), seconds: (performance.now() - begun) / 1000 };
    };
    const onNotice = noticeBy(onProgress, `${what} of ${subject.name}`);
    const found = await remember(path, identity, timed, { onNotice, isWhole });
    seconds += found.seconds;
    return found.value;
  };
  const control = { onProgress, signal };
  try {
    const text = await textOf(subject, work, engine, kept, parent);
    const recall: RecallMap[] = [];
    for (const plan of work.recall) {
      recall.push(
        await kept(`recall-${plan.name}`, { texts: hashOf(plan) }, async () =>
          measureRecall(await engine(), plan, control),
        ),
      );
    }
    const tasks: TaskScored[] = [];
    for (const plan of work.plans) {
      tasks.push(
        await kept(`task-${plan.name}`, { plan: hashOf(plan) }, async () =>
          measureTask(await engine(), plan, control),
        ),
      );
    }
    const { prompts, eosTokenIds, tokenizer, contexts, machine } = work;
    const answers = await kept(
      'answers',
      { prompts: hashOf(prompts), eosTokenIds, written: WRITTEN },
      async () => measureAnswers(await engine(), prompts, tokenizer, eosTokenIds, control),
    );
    // Speed has an engine of its own, which is stretched: there are no two at a time.
    await (await opened)?.dispose();
    opened = undefined;
    const speed =
      contexts.length === 0
        ? []
        : await kept('speed', { contexts, machine, threads: threads ?? null }, () =>
            measureSpeed(config, weights, contexts, { dtype, threads, ...control }),
          );
    return { text, recall, tasks, answers, speed, seconds };
  } finally {
    await (await opened)?.dispose();
  }

  async function textOf(
    ...[, , , , other]: [Subject, Work, typeof engine, typeof kept, Subject | undefined]
  ) {
    const { vocabSize } = config;
    const stride = sampleStride(rows, vocabSize);
    const length = sampledPlaces(rows, stride) * vocabSize;
    const shared = { rows: hashOf(rows), stride };
    const source = other ?? subject;
    const identity: Identity = { model: source.identity, dtype: dtype ?? null, ...shared };
    const path = join(folder, `parent-${hashOf(identity)}.safetensors`);
    const own = { ...shared, ...(other && { parent: other.identity }) };
    const measure = async (): Promise<TextFound> => {
      const reference: Reference =
        (other && recallReference(path, identity, length)) ?? new Float32Array(length);
      const found = await measureText(await engine(), rows, {
        stride,
        reference,
        isParent: !other,
        ...control,
      });
      if (!other) keepReference(path, identity, reference);
      return found;
    };
    return kept(
      'text',
      own,
      measure,
      () => other !== undefined || recallReference(path, identity, length) !== undefined,
    );
  }
}
