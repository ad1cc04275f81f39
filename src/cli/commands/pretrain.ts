import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { saveCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { loadTokenizer, tokenizerIdentity } from '../../model/folder.ts';
import { MemoryTensors } from '../../model/memory-tensors.ts';
import { modelParameters } from '../../model/parameters.ts';
import { bounds, checkBound } from '../../search/bounds.ts';
import { PathScorer } from '../../search/judge/scorer.ts';
import { Network } from '../../search/network/network.ts';
import { dataHash } from '../../search/train/settings.ts';
import { planTask, type TaskScore } from '../../tasks/harness.ts';
import { beginning, fillRows, mixture, worldTasks } from '../../tasks/mixture.ts';
import { buildWorldTokenizer, cachedEncode } from '../../tasks/world-tokenizer.ts';
import { LanguageModelTraining } from '../../train/language-model.ts';
import { ParameterVector } from '../../train/parameters.ts';
import { type Objective, train } from '../../train/trainer.ts';
import { InputError } from '../../util/errors.ts';
import { Random } from '../../util/random.ts';
import { resumingAction } from '../command.ts';
import {
  lengthOption,
  otherwise,
  outArgument,
  outFolder,
  outOf,
  seedOption,
  threadsOption,
} from '../options.ts';
import { positive, share, tokenCount, wholeNumber } from '../parsers.ts';
import { LEFTOVERS } from '../restart.ts';
import { table } from '../table.ts';

interface Options {
  out?: string;
  steps: number;
  tokens: number;
  length: number;
  shortLength: number;
  shortShare: number;
  rate: number;
  seed: number;
  layers: number;
  width: number;
  threads: number;
  evaluateEvery: number;
}

/** `postnas pretrain`: the base model that the package ships, from generated data only. */
export function pretrain(): Command {
  const command = new Command('pretrain')
    .description('Train the small base model of the package from generated text.')
    .addArgument(outArgument())
    .addOption(otherwise(outFolder(), 'runs/pretrain'))
    .option('--steps <n>', 'training steps', wholeNumber, 6000)
    .option('--tokens <n>', 'tokens of a step', tokenCount, 2048)
    .addOption(lengthOption().default(256))
    .option('--short-length <n>', 'tokens of a row in the first part of the training', tokenCount, 64)
    .option('--short-share <x>', 'that part of the steps', share, 0.3333)
    .option('--rate <x>', 'highest learning rate', positive, 2e-3)
    .option('--layers <n>', 'layers of the model', wholeNumber, 8)
    .option('--width <n>', 'width of the model, a multiple of 32', wholeNumber, 128)
    .addOption(seedOption().default(1))
    .addOption(threadsOption())
    .option('--evaluate-every <n>', 'steps between two evaluations', wholeNumber, 500)
    .addHelpText(
      'after',
      '\nWith the defaults it makes the model of models/base, in about an hour on two cores.\n' +
        '\nExamples:\n  postnas pretrain\n  postnas pretrain --out /tmp/try --steps 200',
    );
  const folderOf = ({ out }: Options, [given]: string[]) =>
    out === undefined && given === undefined ? 'runs/pretrain' : outOf(out, given, 'the model');
  return resumingAction<Options>(
    command,
    LEFTOVERS.pretrain,
    folderOf,
    async ({ progress, signal, result }, options, args, begin) => {
      checkOptions(options);
      begin();
      const folder = folderOf(options, args);
      const { steps, tokens, length, shortLength, layers, width, threads = 0 } = options;
      const shortSteps = Math.round(steps * options.shortShare);
      const model = join(folder, 'model');
      mkdirSync(model, { recursive: true });
      if (!existsSync(join(model, 'tokenizer.json'))) {
        const files = buildWorldTokenizer();
        writeFileSync(join(model, 'tokenizer.json'), `${JSON.stringify(files.tokenizer)}\n`);
        writeFileSync(join(model, 'tokenizer_config.json'), `${JSON.stringify(files.config, null, 2)}\n`);
      }
      const tokenizer = loadTokenizer(model);
      const encode = cachedEncode((text) => tokenizer.encode(text, { addSpecialTokens: false }));
      const endOfText = tokenizer.eosIds[0]!;
      const config = baseConfig({ layers, width, vocabSize: tokenizer.vocabSize, endOfText });

      const parameters = new ParameterVector(modelParameters(config));
      initialise(parameters, options.seed);
      const phases = await Promise.all(
        [shortLength, length].map(async (rowLength, i) => {
          const shape = { batch: Math.max(1, Math.floor(tokens / rowLength)), length: rowLength };
          return {
            ...shape,
            weights: i === 0 ? beginning : mixture,
            language: await LanguageModelTraining.create(config, parameters, { ...shape, threads }),
            rows: new Int32Array(shape.batch * (rowLength + 1)),
          };
        }),
      );
      const objective: Objective = {
        async gradient(random, gradient, step) {
          const phase = phases[step < shortSteps ? 0 : 1]!;
          fillRows(phase.rows, phase.length + 1, random, encode, endOfText, phase.weights);
          return { loss: await phase.language.gradient(parameters, phase.rows, gradient) };
        },
      };

      const data = dataHash(
        {
          identity: tokenizerIdentity(model),
          fill: (rows, rowLength, random) => fillRows(rows, rowLength, random, encode, endOfText),
        },
        length,
      );
      const plans = worldTasks.map((task) => planTask(task, 256, 7, encode));
      const evaluate = async (): Promise<TaskScore[]> => {
        const scorer = new PathScorer(new Network(config, inMemory(parameters)), { threads });
        const path = config.layers.map(() => 0);
        try {
          const scores: TaskScore[] = [];
          for (const plan of plans) scores.push(...(await scorer.scoreTask([path], plan, { signal })));
          return scores;
        } finally {
          await scorer.dispose();
        }
      };
      const show = (scores: readonly TaskScore[]) =>
        table(
          ['ability', 'accuracy', 'gold loss per token'],
          scores.map(({ name, accuracy, goldLossPerToken }) => [
            name,
            `${(100 * accuracy).toFixed(1)} %`,
            goldLossPerToken.toFixed(3),
          ]),
        );

      let scores: TaskScore[] = [];
      const schedule = {
        peak: options.rate,
        warmup: 200,
        steps,
        decay: 'cosine',
        final: 0.05,
      } as const;
      const trained = await train({
        stage: 'pretrain',
        parameters,
        objective,
        schedule,
        seed: options.seed,
        optimizer: { weightDecay: 0.05, muon: 10 },
        tokensPerStep: tokens,
        folder,
        fingerprint: { layers, width, tokens, length, shortLength, shortSteps, data },
        evaluateEvery: options.evaluateEvery,
        evaluate: async (step) => {
          scores = await evaluate();
          progress.log(`step ${step}\n${show(scores)}`);
          return Object.fromEntries(scores.map(({ name, accuracy }) => [name, accuracy]));
        },
        onProgress: progress.report,
        signal,
      });
      if (scores.length === 0) scores = await evaluate();
      await saveCheckpoint(model, config, inMemory(parameters), { dtype: 'F16' });
      for (const { language } of phases) await language.dispose();
      result({ model, parameters: parameters.size, ...trained, scores }, `${show(scores)}\nmodel: ${model}`);
    },
  );
}

/** @throws InputError for numbers beyond what a training can have */
function checkOptions(options: Options): void {
  const { steps, tokens, length, shortLength, layers, width } = options;
  checkBound('--steps', steps, bounds.steps);
  checkBound('--layers', layers, bounds.layers);
  checkBound('--tokens', tokens, bounds.tokens);
  checkBound('--seed', options.seed, bounds.seed);
  checkBound('--rate', options.rate, bounds.rate);
  for (const [flag, value] of [
    ['--length', length],
    ['--short-length', shortLength],
  ] as const) {
    checkBound(flag, value, bounds.length);
    if (value > CONTEXT)
      throw new InputError(`${flag} ${value}: the model has a context of ${CONTEXT} tokens`);
  }
  if (width % HEAD_DIM !== 0 || width > 65_536) {
    throw new InputError(`--width ${width}: expected a multiple of ${HEAD_DIM} up to 65,536`);
  }
}

const HEAD_DIM = 32;
const CONTEXT = 512;

function baseConfig(size: {
  layers: number;
  width: number;
  vocabSize: number;
  endOfText: number;
}): ModelConfig {
  const headDim = HEAD_DIM;
  return {
    modelType: 'qwen3',
    vocabSize: size.vocabSize,
    hiddenSize: size.width,
    // Two thirds of 4 x width, as Llama has it, to a multiple of 32.
    intermediateSize: Math.round((size.width * 8) / 3 / 32) * 32,
    numHeads: size.width / headDim,
    numKvHeads: size.width / headDim,
    headDim,
    rmsNormEps: 1e-5,
    ropeTheta: 10_000,
    ropeScaling: null,
    qkvBias: false,
    oBias: false,
    qkNorm: true,
    mlpBias: false,
    tieWordEmbeddings: true,
    maxPositionEmbeddings: CONTEXT,
    initializerRange: 0.15,
    bosTokenId: null,
    eosTokenIds: [size.endOfText],
    layers: Array.from({ length: size.layers }, () => ({ kind: 'attention' })),
  };
}

/**
 * Fresh weights. Matrices are scaled to the size of their inputs, which a narrow model needs. The embedding is small
 * against what the layers write, so that a layer can soon read what the one before wrote: with it at 0.5, or with
 * the writing matrices scaled down as GPT-2 does, recall took more than twice the tokens to appear (docs/LOG.md).
 */
function initialise(parameters: ParameterVector, seed: number): void {
  const random = new Random(seed);
  for (const { name, shape, init } of parameters.parameters) {
    const values = parameters.view(name);
    if (shape.length === 1 || name === 'model.embed_tokens.weight') {
      values.set(init(random));
      continue;
    }
    const residual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
    const deviation = shape[1]! ** -0.5 * (residual ? 0.7 : 1);
    for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
  }
}

/** The trained weights as a checkpoint, without a copy. */
function inMemory(parameters: ParameterVector): MemoryTensors {
  return new MemoryTensors(
    parameters.parameters.map(({ name, shape }) => [name, { shape, data: parameters.view(name) }]),
  );
}
