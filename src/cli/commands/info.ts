import { Command } from 'commander';
import { totalBytes } from '../../mixers/state-bytes.ts';
import { hasWeights, openConfig } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { Folder } from '../../model/folder.ts';
import { resolveModel } from '../../model/hub.ts';
import { mixerToJson } from '../../model/mixer-json.ts';
import { fullHeadsOf, headMap, mixerGroups } from '../../model/mixer-lines.ts';
import { openPlaced } from '../../model/placed-folder.ts';
import { isPlacementName } from '../../model/placement.ts';
import { tensorBytes, WRITTEN_DTYPES, type WrittenDtype } from '../../model/safetensors.ts';
import { summarise } from '../../model/summary.ts';
import type { TensorSource } from '../../model/tensor-source.ts';
import { weightsHash } from '../../model/weights-hash.ts';
import { InputError } from '../../util/errors.ts';
import { action } from '../command.ts';
import { grouped, readable } from '../numbers.ts';
import { addWithAliases, dtypeOption, placementOption } from '../options.ts';
import { tokenCount } from '../parsers.ts';
import { fileOrFolderToRead } from '../paths.ts';
import { placementsOf, placementTable } from '../placement-table.ts';
import { table } from '../table.ts';

/** `postnas info`: what a model is made of, and the memory that a sequence takes. */
export function infoCommand(): Command {
  const command = new Command('info')
    .description("Show a model's architecture, its parameters and the memory that a sequence takes.")
    .argument(
      '<model>',
      'model folder (config.json is enough), a config.json, or a name on the Hub: org/model',
    )
    .addOption(placementOption())
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
      'configuration describes. The hash of the weights is what placements name.\n' +
      '\nExamples:\n  postnas info models/hybrid --context 512\n  postnas info models/base/config.json --json',
  );
  return action<{ context: number; cacheDtype: WrittenDtype; placement?: string }>(
    command,
    async ({ progress, signal, result }, { context, cacheDtype: dtype, placement }, [model = '']) => {
      const fetching = { onProgress: progress.report, signal };
      const named = placement !== undefined && isPlacementName(placement) ? placement : undefined;
      const path = model.endsWith('.json')
        ? fileOrFolderToRead('<model>', 'a config.json')(model)
        : await resolveModel(model, { ...fetching, placement: named });
      const own = openConfig(path);
      if (placement !== undefined && !hasWeights(path)) {
        throw new InputError(`${model} has no weights: expected those that placement ${placement} is for`);
      }
      const opened = hasWeights(path) ? await openPlaced(path, { placement, ...fetching }) : null;
      const config = opened?.checkpoint.config ?? own;
      const weights = opened && {
        ...weightFiles(opened.checkpoint.weights),
        hash: await weightsHash(opened.checkpoint),
      };
      const valueBytes = tensorBytes([1], dtype);
      const summary = summarise(config, context, valueBytes);
      const { architecture, parameters, embeddingParameters, layers, stateBytes, parent } = summary;
      const ratio = parent.stateBytes / stateBytes;
      const heads = config.layers.map((mixer) => fullHeadsOf(mixer, config));
      const placements = weights
        ? placementsOf(new Folder(path), { config: own, hash: weights.hash, context, valueBytes })
        : [];

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
          ...(opened?.placement && { placement: opened.placement }),
          layers: layers.map((layer, i) => ({
            ...layer,
            mixer: mixerToJson(layer.mixer),
            fullHeads: heads[i],
          })),
          stateBytes,
          parent,
          ratio,
          placements,
        },
        [
          `model         ${config.modelType}, ${layers.length} layers of width ${config.hiddenSize}`,
          `architecture  ${architecture}`,
          `parameters    ${grouped(parameters)}, of them embedding ${grouped(embeddingParameters)}`,
          `context       ${grouped(config.maxPositionEmbeddings)} tokens${scalingText(config)}`,
          `weights       ${weights ? `${weights.dtypes.join(', ')}, ${readable(weights.bytes)}, hash ${weights.hash}` : 'none here'}`,
          ...(placement === undefined ? [] : [`placement     ${placement}`]),
          ...mixerLines(config),
          ...headLines(config, heads),
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
          ...(placements.length === 0
            ? []
            : ['', 'placements (--placement NAME):', placementTable(placements)]),
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

/** A row for all layers that are alike, whichever heads see all tokens: '0-6, 8-29'. */
function layerRows(layers: ReturnType<typeof summarise>['layers']): string[][] {
  const alike = layers.map(({ mixer, parameters, mixerParameters, state }) =>
    JSON.stringify([
      mixer.kind === 'head_attention' ? { ...mixer, fullHeads: mixer.fullHeads.length } : mixer,
      ...[parameters, mixerParameters, state],
    ]),
  );
  return [...layersBy(alike).values()].map((numbers) => {
    const { mixer, parameters, mixerParameters, state } = layers[numbers[0]!]!;
    const full = mixer.kind === 'head_attention' ? `, full heads: ${mixer.fullHeads.length}` : '';
    return [
      ranges(numbers),
      `${mixer.kind}${full}`,
      grouped(parameters),
      grouped(mixerParameters),
      readable(totalBytes(state)),
    ];
  });
}

/** A line for every mixer with the layers that have it: 'gla heads=4 ... rope=true, layers 0-2, 4'. */
function mixerLines({ layers: mixers }: ModelConfig): string[] {
  return mixerGroups(mixers).map(({ text, layers }, i) => {
    const title = i === 0 ? 'mixers' : '';
    return `${title.padEnd(14)}${text}, ${layers.length === 1 ? 'layer' : 'layers'} ${ranges(layers)}`;
  });
}

/** Which heads see all tokens, where some of a layer do and others don't. */
function headLines(config: ModelConfig, heads: readonly (readonly number[] | null)[]): string[] {
  if (!config.layers.some(({ kind }) => kind === 'head_attention')) return [];
  const full = heads.reduce((sum, own) => sum + (own?.length ?? 0), 0);
  const all = heads.filter((own) => own !== null).length * config.numKvHeads;
  return [
    `KV heads      ${full} of ${all} see all tokens (#), the others a window (.)`,
    ...headMap(config).map((line) => `${' '.repeat(14)}${line}`),
  ];
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
