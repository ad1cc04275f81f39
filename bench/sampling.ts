import { createSampler, type SamplingOptions } from '../src/runtime/sampler.ts';
import { Random } from '../src/util/random.ts';

/** What choosing a token costs: `npm run bench -- sampling [VOCABULARY]`, 151,936 tokens unless given. */

const ROUNDS = 7;
const TOKENS = 40;

const WAYS: Record<string, SamplingOptions> = {
  greedy: { temperature: 0 },
  'temperature 0.7': { temperature: 0.7 },
  'top-k 20, top-p 0.8': { temperature: 0.7, topK: 20, topP: 0.8 },
  'top-k 20, top-p 0.8, penalties': {
    ...{ temperature: 0.7, topK: 20, topP: 0.8, repetitionPenalty: 1.1, presencePenalty: 1 },
  },
  'top-p 0.95': { temperature: 1, topP: 0.95 },
  'min-p 0.05': { temperature: 1, minP: 0.05 },
};

export async function main([vocabulary = '151936']: string[]): Promise<void> {
  const random = new Random(1);
  const logits = Array.from({ length: 8 }, () =>
    Float32Array.from({ length: Number(vocabulary) }, () => 3 * random.normal()),
  );
  const text = Array.from({ length: 2000 }, () => random.below(Number(vocabulary)));
  console.log(`milliseconds of CPU a token, the median of ${ROUNDS} rounds, ${vocabulary} tokens\n`);
  console.log('| sampling | ms |\n|---|---|');
  for (const [name, options] of Object.entries(WAYS)) {
    const sample = createSampler({ ...options, seed: 1 });
    const times = Array.from({ length: ROUNDS + 1 }, () => {
      const before = process.cpuUsage();
      for (let i = 0; i < TOKENS; i++) sample(logits[i % logits.length]!, text, 1000);
      return process.cpuUsage(before).user / 1000 / TOKENS;
    }).slice(1);
    const median = times.sort((a, b) => a - b)[ROUNDS >> 1]!;
    console.log(`| ${name} | ${median.toFixed(2)} |`);
  }
}
