import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Player, Turn } from './contender.ts';
import { noise } from './noise.ts';
import { onnxFolder } from './onnx-models.ts';
import { SHAPES } from './shapes.ts';

/** transformers.js on onnxruntime-node: `model.generate` with a cache. What of it is used here: */
interface TransformersJs {
  env: { allowRemoteModels: boolean; localModelPath: string };
  AutoModelForCausalLM: { from_pretrained(path: string, options: object): Promise<TransformersModel> };
  Tensor: new (type: string, data: ArrayLike<number> | BigInt64Array, dims: number[]) => object;
  DynamicCache: new (entries?: Record<string, object>) => object;
}
interface TransformersModel {
  sessions: { model: { inputMetadata: readonly { name: string; shape: (number | string)[] }[] } };
  generate(options: object): Promise<unknown>;
}

/** Enough for any measurement: the process ends with the measurement. */
const MANY = 4096;

export async function openTransformers({ contender, threads, cache }: Turn): Promise<Player> {
  const shape = SHAPES.find(({ name }) => name === contender.shape)!;
  const models = join(cache, 'models');
  const folder = onnxFolder(models, shape, contender.model, contender.dtype);
  const entry = join(cache, 'node_modules/@huggingface/transformers/dist/transformers.node.mjs');
  const { env, AutoModelForCausalLM, Tensor, DynamicCache } = (await import(
    pathToFileURL(entry).href
  )) as TransformersJs;
  env.allowRemoteModels = false;
  env.localModelPath = models;
  const model = await AutoModelForCausalLM.from_pretrained(folder, {
    dtype: contender.dtype,
    device: 'cpu',
    use_external_data_format: true,
    session_options: { intraOpNumThreads: threads },
  });
  const { vocabSize } = shape.config;

  /** Greedy decoding after prompt `ids`, of which `past` may hold all but the last. */
  const generate = (ids: readonly number[], options: object) => {
    const tensor = (values: readonly number[]) =>
      new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
    return model.generate({
      inputs: tensor(ids),
      attention_mask: tensor(ids.map(() => 1)),
      do_sample: false,
      ...options,
    });
  };

  const arrivals = new Arrivals();
  return {
    async deepen(length) {
      const entries: Record<string, object> = {};
      for (const { name, shape: dims } of model.sessions.model.inputMetadata) {
        if (!name.startsWith('past_')) continue;
        const sizes = dims.map((dim) =>
          typeof dim === 'number' ? dim : dim === 'batch_size' ? 1 : length - 1,
        );
        const size = sizes.reduce((a, b) => a * b, 1);
        entries[name] = new Tensor('float32', noise(size, name.includes('recurrent') ? 0.1 : 1), sizes);
      }
      const ids = Array.from({ length }, (_, i) => (i * 7919 + 13) % vocabSize);
      const past_key_values = new DynamicCache(entries);
      arrivals.watch(generate(ids, { past_key_values, max_new_tokens: MANY, streamer: arrivals }));
      return 'cache drawn';
    },
    step: () => arrivals.next(),
    async read(ids) {
      await generate(ids, { max_new_tokens: 1 });
    },
  };
}

/** A streamer that tells of tokens as they come. The generation does not wait for whoever listens. */
class Arrivals {
  private arrived = 0;
  private asked = 0;
  private wake: (() => void) | undefined;
  private failure: unknown;
  private prompt = true;

  /** Called by transformers.js with the prompt and then with every token. */
  put(_ids: unknown): void {
    if (this.prompt) this.prompt = false;
    else this.arrived++;
    this.wake?.();
  }

  end(): void {}

  watch(generation: Promise<unknown>): void {
    generation.catch((error: unknown) => {
      this.failure = error;
      this.wake?.();
    });
  }

  async next(): Promise<void> {
    this.asked++;
    while (this.arrived < this.asked) {
      if (this.failure) throw this.failure;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
