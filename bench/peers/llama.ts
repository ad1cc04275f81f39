import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Player, Turn } from './contender.ts';
import { ggufFile } from './gguf-models.ts';
import { expandState } from './llama-state.ts';
import { SHAPES } from './shapes.ts';

/** llama.cpp as JavaScript uses it: node-llama-cpp's `sequence.evaluate`. What of it is used here: */
interface NodeLlamaCpp {
  getLlama(options: object): Promise<{
    loadModel(options: object): Promise<{
      createContext(options: object): Promise<{ getSequence(): LlamaSequence }>;
    }>;
  }>;
}
interface LlamaSequence {
  readonly nextTokenIndex: number;
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number, void, undefined>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  clearHistory(): Promise<void>;
  saveStateToFile(path: string): Promise<object>;
  loadStateFromFile(path: string, risk: { acceptRisk: true }): Promise<void>;
}

/** Tokens that are really read for a state that is expanded. */
const READ = 64;
/** Room after the context. */
const ROOM = 256;
// A sequence of random weights must not end by itself.
const GREEDY = { temperature: 0, yieldEogToken: true };

export async function openLlama({ contender, task, threads, cache }: Turn): Promise<Player> {
  const shape = SHAPES.find(({ name }) => name === contender.shape)!;
  const modelPath = ggufFile(join(cache, 'models'), shape, contender.model, contender.dtype);
  const entry = join(cache, 'node_modules/node-llama-cpp/dist/index.js');
  const { getLlama } = (await import(pathToFileURL(entry).href)) as NodeLlamaCpp;
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: threads });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  // Values in few bits need the flash form; without it they are kept the other way round.
  const kv = contender.kv
    ? { flashAttention: true, experimentalKvCacheKeyType: 'Q8_0', experimentalKvCacheValueType: 'Q8_0' }
    : {};
  const context = await model.createContext({ contextSize: task.context + ROOM, threads, ...kv });
  const sequence = context.getSequence();
  const { vocabSize } = shape.config;
  const drawn = (count: number) => Array.from({ length: count }, (_, i) => (i * 7919 + 13) % vocabSize);
  let tokens: AsyncGenerator<number, void, undefined> | undefined;
  return {
    async deepen(length) {
      if (length <= 512) {
        tokens = sequence.evaluate(drawn(length), GREEDY);
        return `${length} tokens read`;
      }
      const states = join(cache, 'states');
      const name = [contender.shape, contender.model, contender.dtype, contender.kv]
        .filter(Boolean)
        .join('-');
      const short = join(states, `${name}-${READ}.state`);
      mkdirSync(states, { recursive: true });
      if (!existsSync(short)) {
        await sequence.evaluateWithoutGeneratingNewTokens(drawn(READ));
        await sequence.saveStateToFile(short);
        await sequence.clearHistory();
      }
      const long = join(states, `${name}-${length}-${process.pid}.state`);
      // All but the last token, which is read before the first is written.
      try {
        expandState(short, long, length - 1, contender.model !== 'full');
        await sequence.loadStateFromFile(long, { acceptRisk: true });
      } finally {
        rmSync(long, { force: true });
      }
      if (sequence.nextTokenIndex !== length - 1)
        throw new Error('llama.cpp did not take the expanded state');
      tokens = sequence.evaluate([1], GREEDY);
      return `state of ${READ} tokens repeated`;
    },
    async step() {
      const { done } = await tokens!.next();
      if (done) throw new Error('llama.cpp ended the sequence');
    },
    async read(ids) {
      await sequence.clearHistory();
      for await (const _ of sequence.evaluate([...ids], GREEDY)) break;
    },
  };
}
