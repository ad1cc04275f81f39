import { Command } from 'commander';
import type { MixerSpec } from '../../mixers/spec.ts';
import { totalBytes } from '../../mixers/state-bytes.ts';
import { hasWeights, openCheckpoint, openConfig } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { resolveModel } from '../../model/hub.ts';
import { mixerToJson } from '../../model/mixer-json.ts';
import { tensorBytes, WRITTEN_DTYPES, type WrittenDtype } from '../../model/safetensors.ts';
import { summarise } from '../../model/summary.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { action } from '../command.ts';
import { grouped, readable } from '../numbers.ts';
import { addWithAliases, dtypeOption } from '../options.ts';
import { tokenCount } from '../parsers.ts';
import { fileOrFolderToRead } from '../paths.ts';
import { table } from '../table.ts';

/** `postnas info`: what a model is made of, and the memory that a sequence takes. */
export function infoCommand(): Command {
  const command = new Command('info')
    .description("Show a model's architecture, its parameters and the memory that a sequence takes.")
    .argument(
      '<model>',
      'model folder (config.json is enough), a config.json, or a name on the Hub: org/model',
    )
    .option('--context <n>', 'tokens of the sequence', tokenCount, 65_536);
  addWithAliases(
    command,
    dtypeOption(
      WRITTEN_DTYPES,
      '--cache-dtype <type>',
      'type of the keys, values and inputs that are kept',
    ).default('BF16', 'bf16'),
    '--dtype',
  ).addHelpText(
    'after',
    '\nStates of linear blocks are always float32. Where there are weights, they are checked to be those that the ' +
      'configuration describes.\n' +
      '\nExamples:\n  postnas info models/hybrid --context 512\n  postnas info models/base/config.json --json',
  );
  return action<{ context: number; cacheDtype: WrittenDtype }>(
    command,
    async ({ progress, signal, result }, { context, cacheDtype: dtype }, [model = '']) => {
      const path = model.endsWith('.json')
        ? fileOrFolderToRead('<model>', 'a config.json')(model)
        : await resolveModel(model, { onProgress: progress.report, signal });
      const config = openConfig(path);
      const weights = hasWeights(path) ? weightFiles(openCheckpoint(path).weights) : null;
      const summary = summarise(config, context, tensorBytes([1], dtype));
      const { architecture, parameters, embeddingParameters, layers, stateBytes, parent } = summary;
      const ratio = parent.stateBytes / stateBytes;

      result(
        {
          model,
          modelType: config.modelType,
          architecture,
          parameters,
          embeddingParameters,
          weights,
          context,
          contextLength: config.maxPositionEmbeddings,
          dtype,
          layers: layers.map((layer) => ({ ...layer, mixer: mixerToJson(layer.mixer) })),
          stateBytes,
          parent,
          ratio,
        },
        [
          `model         ${config.modelType}, ${layers.length} layers of width ${config.hiddenSize}`,
          `architecture  ${architecture}`,
          `parameters    ${grouped(parameters)}, of them embedding ${grouped(embeddingParameters)}`,
          `context       ${grouped(config.maxPositionEmbeddings)} tokens${scalingText(config)}`,
          `weights       ${weights ? `${weights.dtypes.join(', ')}, ${readable(weights.bytes)}` : 'none here'}`,
          ...mixerLines(layers.map((layer) => layer.mixer)),
          '',
          table(['layers', 'mixer', 'parameters of each', 'in the mixer', 'state'], layerRows(layers)),
          '',
          `state of a sequence of ${grouped(context)} tokens, caches in ${dtype}, recurrent states in F32:`,
          ...beyondContext(context, config),
          table(
            ['', 'parameters', 'bytes', ''],
            [
              ['this model', grouped(parameters), grouped(stateBytes), readable(stateBytes)],
              [
                'with attention in all layers',
                grouped(parent.parameters),
                grouped(parent.stateBytes),
                readable(parent.stateBytes),
              ],
              ['attention : this model', '', ratio.toFixed(ratio < 10 ? 2 : 1), ''],
            ],
          ),
        ].join('\n'),
      );
    },
  );
}

function weightFiles(weights: TensorSource): { dtypes: string[]; bytes: number } {
  const infos = weights.names().map((name) => weights.info(name));
  return {
    dtypes: [...new Set(infos.map(({ dtype }) => dtype))],
    bytes: infos.reduce((sum, { shape, dtype }) => sum + tensorBytes(shape, dtype), 0),
  };
}

/** How far beyond what it was first trained on its rotations are scaled, if they are. */
function scalingText({ ropeScaling }: ModelConfig): string {
  if (!ropeScaling) return '';
  const { type, factor } = ropeScaling;
  const from =
    'originalMaxPositionEmbeddings' in ropeScaling
      ? `, from ${grouped(ropeScaling.originalMaxPositionEmbeddings)}`
      : '';
  return ` (max_position_embeddings; RoPE scaling ${type}, factor ${factor}${from})`;
}

/** Said where the sequence is longer than the model reads. */
function beyondContext(tokens: number, { maxPositionEmbeddings }: ModelConfig): string[] {
  if (tokens <= maxPositionEmbeddings) return [];
  return [
    `(longer than this model's context of ${grouped(maxPositionEmbeddings)} tokens: this is the memory it would take, but the`,
    ' model was not trained for such texts, and generate and serve stop at its context)',
  ];
}

/** A row for all layers that are alike: '0-6, 8-29'. */
function layerRows(layers: ReturnType<typeof summarise>['layers']): string[][] {
  const alike = layers.map(({ mixer, parameters, mixerParameters, state }) =>
    JSON.stringify([mixer, parameters, mixerParameters, state]),
  );
  return [...layersBy(alike).values()].map((numbers) => {
    const { mixer, parameters, mixerParameters, state } = layers[numbers[0]!]!;
    return [
      ranges(numbers),
      mixer.kind,
      grouped(parameters),
      grouped(mixerParameters),
      readable(totalBytes(state)),
    ];
  });
}

/** A line for every mixer with the layers that have it: 'gla heads=4 ... rope=true, layers 0-2, 4'. */
function mixerLines(mixers: readonly MixerSpec[]): string[] {
  const texts = mixers.map((mixer) => {
    const { kind, ...rest } = mixerToJson(mixer);
    return [kind, ...Object.entries(rest).map(([name, value]) => `${name}=${value}`)].join(' ');
  });
  return [...layersBy(texts)].map(([text, layers], i) => {
    const title = i === 0 ? 'mixers' : '';
    return `${title.padEnd(14)}${text}, ${layers.length === 1 ? 'layer' : 'layers'} ${ranges(layers)}`;
  });
}

/** The layers that have the same text, counted from 0 as checkpoints name them (`model.layers.0`). */
function layersBy(texts: readonly string[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const [layer, text] of texts.entries()) found.set(text, [...(found.get(text) ?? []), layer]);
  return found;
}

/** Ascending numbers, runs of them by their ends: [1, 2, 3, 5] -> '1-3, 5' */
function ranges(numbers: readonly number[]): string {
  const starts = numbers.filter((n) => !numbers.includes(n - 1));
  const ends = numbers.filter((n) => !numbers.includes(n + 1));
  return starts.map((start, i) => (start === ends[i] ? start : `${start}-${ends[i]}`)).join(', ');
}
