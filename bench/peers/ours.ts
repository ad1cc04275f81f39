import { flushDenormals } from '../../src/graph/index.ts';
import { Subject } from '../../src/runtime/bench/subject.ts';
import type { Player, Turn } from './contender.ts';
import { NoiseWeights } from './noise-weights.ts';
import { modelConfig, SHAPES } from './shapes.ts';

/** This project's engine, as the command `postnas` runs it. */
export async function openOurs({ contender, threads }: Turn): Promise<Player> {
  flushDenormals();
  const shape = SHAPES.find(({ name }) => name === contender.shape)!;
  const config = modelConfig(shape, contender.model);
  const { dtype, kv } = contender;
  const subject = await Subject.open(config, new NoiseWeights(config), { dtype, kvDtype: kv, threads });
  return {
    async deepen(context) {
      await subject.fill(1, context);
      return 'states and caches drawn';
    },
    step: () => subject.step(),
    read: (ids) => subject.prefill(1, ids.length),
  };
}
