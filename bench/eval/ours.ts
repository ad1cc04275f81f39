import { createInterface } from 'node:readline';
import { Model } from '../../src/runtime/model.ts';
import { EngineScorer } from '../../src/tasks/engine-scorer.ts';
import type { Row } from '../../src/tasks/harness.ts';
import type { Requests } from './contenders.ts';

/**
 * This package as a contender: given the requests, it answers each set as often as it is asked, tokenisation included. One
 * line of JSON each way. Arguments: the model's folder, the type of the weights, threads.
 */
const [folder, dtype, threads] = process.argv.slice(2) as [string, 'f32' | 'q8', string];
const model = await Model.fromPretrained(folder, { dtype, threads: Number(threads), scoring: true });
const scorer = new EngineScorer(model.engine);
const tell = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);

/** As lm-evaluation-harness does: trailing spaces of a context belong to the continuation. */
function rowOf(context: string, continuation: string): Row {
  const encode = (text: string) => model.tokenizer!.encode(text, { addSpecialTokens: false });
  const ids = encode(context + continuation);
  return { ids, spans: [{ from: encode(context.trimEnd()).length, to: ids.length }] };
}

let sets: Requests[] | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  if (!sets) {
    sets = JSON.parse(line) as Requests[];
    tell({});
    continue;
  }
  const [start, used] = [performance.now(), process.cpuUsage()];
  const rows = sets[Number(line)]!.map(([, context, continuation]) => rowOf(context, continuation));
  const scores = await scorer.score(rows);
  const { user, system } = process.cpuUsage(used);
  tell({
    seconds: (performance.now() - start) / 1000,
    processorSeconds: (user + system) / 1e6,
    logProbs: scores.map(([score]) => score!.logProb),
  });
}
await model.dispose();
