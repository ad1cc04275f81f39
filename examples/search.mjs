// A hybrid in a few seconds, by the library: a search of the layers that keep full attention, a distillation of what it found,
// and a text. A model that is to be used takes a text of its own (`data`, `heldOut`) and the steps that are the default.
import { Model } from 'postnas';
import { distill, search } from 'postnas/search';

const [out = 'runs/example', model = 'models/base'] = process.argv.slice(2);
const shared = { model, tasks: ['recall:accuracy:8', 'choice:loss:8'], rows: 2, length: 64 };
const onProgress = ({ stage, done, total }) => {
  if (stage === 'whole run') console.error(`${done} of ${total} tokens`);
};

const found = await search({
  ...{ ...shared, onProgress, out: `${out}/search` },
  ...{ budget: 2, alignSteps: 8, supernetSteps: 8, beam: 1, random: 2 },
});
console.log(`full attention stays in layers ${found.placement.runs[0].placement.join(' and ')}`);

const trained = await distill({
  ...{
    ...shared,
    onProgress,
    out: `${out}/distilled`,
    hybrid: found.hybrid,
    decode: { rounds: 1, tokens: 8 },
  },
  ...{ featureSteps: 8, logitSteps: 8, allSteps: 8, examples: 8 },
});
const { base, runs } = trained.final;
console.log(
  `recall: ${base.tasks.recall.accuracy} before, ${runs[0].stages.at(-1).judged.tasks.recall.accuracy} after`,
);

const hybrid = await Model.fromPretrained(trained.hybrid);
for await (const { text } of hybrid.generate('Story: Tom found the', { maxNewTokens: 16 }))
  process.stdout.write(text);
console.log();
await hybrid.dispose();
