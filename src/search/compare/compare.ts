import { join } from 'node:path';
import { showArchitecture } from '../../mixers/registry.ts';
import { mixerGroups } from '../../model/mixer-lines.ts';
import { countParameters, modelParameters } from '../../model/parameters.ts';
import { defined } from '../../util/defined.ts';
import { InputError } from '../../util/errors.ts';
import { writeFileAtomic } from '../../util/files.ts';
import type { OnProgress } from '../../util/progress.ts';
import { thisMachine } from '../machine.ts';
import { promptsOf } from './answers.ts';
import { type Measured, measureSubject, type Work } from './measured.ts';
import { COMPARED, type CompareOptions, checkOptions, contextOf } from './options.ts';
import { planRecall } from './recall.ts';
import { COMPARE_FORMAT, type ComparedModel, type CompareResult, compareSchema } from './result.ts';
import { speedContexts } from './speed.ts';
import { bytesOf, openSubjects, type Subject } from './subjects.ts';
import { withShare } from './tasks-measure.ts';
import { textResult } from './text-measure.ts';
import { tasksOf, textsOf } from './texts.ts';
import { THRESHOLDS, verdictOf } from './verdict.ts';

/**
 * Compares hybrids with their parent, and with the parent cut to windows of as many bytes, untrained: text by position, recall
 * by length and depth, tasks, answers, memory and speed. One model is in memory at a time; what was measured is kept in
 * `out` and not measured again. Writes `result.json` there.
 *
 * @throws InputError for models that are not there or have different tokenizers, for texts and tasks that cannot be read, and
 * for a context that a model does not have
 */
export async function compare(options: CompareOptions): Promise<CompareResult> {
  checkOptions(options);
  const { parent, hybrids, placements = [], out, dtype, threads, onProgress, signal, command } = options;
  const { heldOutRows, examples, recallTexts, answers, speed = true } = { ...COMPARED, ...defined(options) };
  const opened = await openSubjects(
    { parent, hybrids, placements },
    (config) => contextOf(config, options.context),
    { onProgress, signal },
  );
  const { subjects, tokenizer, context, notes, eosTokenIds } = opened;
  for (const { name, config } of subjects) {
    if (config.maxPositionEmbeddings >= context) continue;
    throw new InputError(
      `${name} has a context of ${config.maxPositionEmbeddings} tokens, expected at least the ${context} that are compared; --context ${config.maxPositionEmbeddings} would fit it`,
    );
  }
  const texts = await textsOf(tokenizer, options, { rows: heldOutRows, length: context });
  const { rows } = texts;
  const prompts = promptsOf(tokenizer, rows, context, answers);
  const recall = planRecall(texts.encode, texts.read, texts.ofTheWorld, context, recallTexts);
  if (recall.length === 0) notes.push(`a text of ${context} tokens does not hold the questions of recall`);
  const configs = subjects.map(({ config }) => config);
  const machine = thisMachine();
  const work: Work = {
    ...{ folder: join(out, 'measured'), tokenizer, rows, prompts, eosTokenIds, dtype, threads, signal },
    recall,
    plans: await tasksOf(tokenizer, texts, { ...options, examples, context }),
    contexts: speed ? speedContexts(configs) : [],
    machine: { ...machine },
  };
  const measured: Measured[] = [];
  for (const [i, subject] of subjects.entries()) {
    const own = { ...work, onProgress: toldOf(onProgress, subject, i, subjects.length) };
    measured.push(await measureSubject(subject, own, i === 0 ? undefined : subjects[0]!));
  }
  const models = subjects.map((subject, i) => modelResult(subject, measured[i]!, measured[0]!, context));
  // As it will be read from the file.
  const result = compareSchema.parse({
    format: COMPARE_FORMAT,
    ...(command !== undefined && { command }),
    created: new Date().toISOString(),
    ...{ machine, dtype: dtype ?? 'as stored', threads: threads ?? null, context, models, notes },
    data: { name: texts.name, rows: rows.length, tokens: rows.reduce((sum, row) => sum + row.length - 1, 0) },
    prompts: prompts.map(({ text }) => text),
    verdicts: models.flatMap(({ role }, i) => (role === 'hybrid' ? [verdictOf({ models, context }, i)] : [])),
    thresholds: THRESHOLDS,
    seconds: measured.reduce((sum, { seconds }) => sum + seconds, 0),
  } satisfies CompareResult);
  writeFileAtomic(join(out, 'result.json'), `${JSON.stringify(result, null, 1)}\n`);
  return result;
}

/** Progress that says which model it is of. */
function toldOf(onProgress: OnProgress | undefined, { name }: Subject, i: number, count: number) {
  return (onProgress &&
    ((event) => onProgress({ ...event, stage: `${name} (${i + 1} of ${count}): ${event.stage}` }))) as
    | OnProgress
    | undefined;
}

function modelResult(subject: Subject, found: Measured, parent: Measured, context: number): ComparedModel {
  const { config, name, role, of, window, sinks, placed } = subject;
  const { recall, tasks, answers, speed } = found;
  return {
    ...{ name, role },
    ...(role === 'baseline' && { of, window, sinks }),
    ...(placed && { placed }),
    architecture: showArchitecture(config.layers),
    // 'sliding_window window=128 sinks=4, 30 layers'
    mixers: mixerGroups(config.layers).map(
      ({ text, layers }) => `${text}, ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`,
    ),
    parameters: countParameters(modelParameters(config)),
    stateBytes: bytesOf(config, context),
    text: textResult(found.text, parent.text),
    ...{ recall, answers, speed },
    tasks: tasks.map((task, i) => withShare(task, parent.tasks[i]!)),
  };
}
