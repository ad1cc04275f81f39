/**
 * Makes greedy.json: 200 greedy tokens of the models of the package, by the definition: every mixer token by token, in
 * plain loops of float64. Run by `npx tsx test/golden/make_greedy.ts` (a few minutes).
 *
 * The whole text goes through the definition at once, a continuation that the engine proposes included. Where the
 * definition would have taken another token, it is put in and the text goes through again. In the end every token is
 * the most probable one after those before it: by induction the text that the definition alone writes.
 */
import { writeFileSync } from 'node:fs';
import { evaluate, input } from '../../src/graph/index.ts';
import { ndarray } from '../../src/graph/ndarray.ts';
import { type Checkpoint, openCheckpoint } from '../../src/model/checkpoint.ts';
import { decoder, head, weightInputs } from '../../src/model/decoder.ts';
import { loadTokenizer } from '../../src/model/folder.ts';
import { modelParameters } from '../../src/model/parameters.ts';
import { Model } from '../../src/runtime/model.ts';
import { document } from '../../src/tasks/mixture.ts';
import { Random } from '../../src/util/random.ts';

const TOKENS = 200;

/** How far the second logit must be behind the first, everywhere: rounding of float32 moves logits by about 1e-4. */
const LEAST_MARGIN = 0.004;

/** Logits after every token [T][vocabulary], by the definition. */
function definition({ config, weights }: Checkpoint, ids: readonly number[]): number[][] {
  const T = ids.length;
  const inputs = weightInputs(modelParameters(config));
  const [tokens, positions] = [input('ids', 'int64', [1, T]), input('positions', 'int64', [1, T])];
  const x = decoder(config, tokens, inputs, {
    form: 'recurrent',
    positions,
    maxPositions: config.maxPositionEmbeddings,
  });
  const feeds = new Map([
    [tokens, ndarray([1, T], ids)],
    [positions, ndarray([1, T], [...ids.keys()])],
    ...Object.entries(inputs).map(
      ([name, tensor]) => [tensor, ndarray(weights.info(name).shape, weights.read(name))] as const,
    ),
  ]);
  const [logits] = evaluate([head(config, x, inputs)], feeds);
  return ids.map((_, t) => [...logits!.data.slice(t * config.vocabSize, (t + 1) * config.vocabSize)]);
}

/** The two largest of a row: where the first stands, and by how much it leads. */
function first(row: ArrayLike<number>): { id: number; margin: number } {
  let [best, second] = [0, Number.NEGATIVE_INFINITY];
  for (let i = 1; i < row.length; i++) {
    if (row[i]! > row[best]!) [best, second] = [i, row[best]!];
    else second = Math.max(second, row[i]!);
  }
  return { id: best, margin: row[best]! - second };
}

/** What the engine writes, and the least margin on the way. */
async function proposed(model: Model, prompt: readonly number[]): Promise<{ ids: number[]; margin: number }> {
  const { engine } = model;
  const sequence = engine.start();
  const ids: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (let next: readonly number[] = prompt; ids.length < TOKENS; next = [ids.at(-1)!]) {
    const { id, margin } = first(await engine.append(sequence, next));
    ids.push(id);
    least = Math.min(least, margin);
  }
  sequence.dispose();
  return { ids, margin: least };
}

async function greedy(folder: string) {
  const checkpoint = openCheckpoint(folder);
  const tokenizer = loadTokenizer(folder);
  await using model = await Model.fromPretrained(folder, { threads: 1 });
  for (let seed = 1; ; seed++) {
    // The beginning of a text of the generated world, of a length that no chunk of the engine divides.
    const prompt = tokenizer.encode(document(new Random(seed), 60), { addSpecialTokens: false }).slice(0, 37);
    let { ids, margin } = await proposed(model, prompt);
    console.error(`${folder}, seed ${seed}: ${new Set(ids).size} different tokens, margin ${margin}`);
    if (prompt.length < 37 || margin < LEAST_MARGIN || new Set(ids).size < 20) continue;
    for (let same = false; !same; ) {
      const rows = definition(checkpoint, [...prompt, ...ids.slice(0, -1)]).slice(prompt.length - 1);
      const found = rows.map((row) => first(row));
      const wrong = found.findIndex(({ id }, i) => id !== ids[i]);
      same = wrong < 0;
      // Behind the first other token the rows belong to another text.
      if (!same) ids = [...ids.slice(0, wrong), ...found.slice(wrong).map(({ id }) => id)];
      margin = Math.min(...found.map((each) => each.margin));
    }
    if (margin < LEAST_MARGIN) continue;
    return { prompt, ids, text: tokenizer.decode([...prompt, ...ids]), margin: Number(margin.toFixed(4)) };
  }
}

const models: Record<string, Awaited<ReturnType<typeof greedy>>> = {};
for (const name of ['base', 'hybrid']) models[name] = await greedy(`models/${name}`);
const json = Object.entries(models).map(([name, { prompt, ids, text, margin }]) =>
  [
    `  ${JSON.stringify(name)}: {`,
    `    "prompt": [${prompt.join(', ')}],`,
    `    "ids": [${ids.join(', ')}],`,
    `    "text": ${JSON.stringify(text)},`,
    `    "margin": ${margin}`,
    '  }',
  ].join('\n'),
);
writeFileSync(new URL('./greedy.json', import.meta.url), `{\n${json.join(',\n')}\n}\n`);
