import {
  gradients,
  type HandOver,
  handOver,
  input,
  type Node,
  type Program,
  type Tensor,
  type Value,
  type Values,
} from '../../graph/index.ts';
import type { MixerSpec } from '../../mixers/spec.ts';
import { decoderLayer, weightInputs } from '../../model/decoder.ts';
import type { LayerPrograms } from '../../model/layer-programs.ts';
import { layerParameters } from '../../model/parameters.ts';
import { relativeError } from '../train/align.ts';

/** What a layer is asked for. */
interface Asked {
  spec: MixerSpec;
  /** Its weights that get a gradient, by their names in the layer. */
  trained: readonly string[];
  /** Its output is compared with a target. */
  compared: boolean;
  /** Its window counts in some rows only. */
  windowKept: boolean;
}

/**
 * A layer forwards and backwards. What the backward pass needs of the forward pass is either computed again, so that nothing
 * but the layer's input is held, or handed over: then the large products are not computed twice.
 */
export class LayerPass {
  private readonly graph: HandOver;
  private readonly key: string;
  /** What is handed over, where that is asked for. */
  readonly bytes: number;

  constructor(
    private readonly programs: LayerPrograms,
    private readonly asked: Asked,
    large = LARGE,
  ) {
    const { spec, trained, compared, windowKept } = asked;
    this.key = `${compared} ${windowKept} ${trained} ${JSON.stringify(spec)}`;
    const { y, whole } = this.record();
    this.graph = handOver({ y }, whole, (node) => termsOf(node) >= large, { y });
    const sizes = Object.values(this.graph.handed).map(({ shape }) =>
      (shape as number[]).reduce((a, b) => a * b, 4),
    );
    this.bytes = sizes.reduce((a, b) => a + b, 0);
  }

  private record(): { y: Tensor; whole: Record<string, Tensor> } {
    const { programs } = this;
    const { spec, trained, compared, windowKept } = this.asked;
    const { config } = programs;
    const x = programs.hidden('x');
    const weights = weightInputs(layerParameters(config, spec));
    const { y } = decoderLayer(config, spec, x, weights, {
      form: 'chunk',
      ...(windowKept && { windowKept: programs.windowKept() }),
    });
    const loss = compared && relativeError(y, programs.hidden('target'));
    const [below, ...found] = gradients(
      [
        { output: y, seed: programs.hidden('above') },
        ...(loss ? [{ output: loss, seed: input('weight', 'float32', []) }] : []),
      ],
      [x, ...trained.map((name) => weights[name]!)],
    );
    const named = trained.map((name, i) => [`grad.${name}`, found[i]!]);
    return { y, whole: { ...(loss ? { loss } : {}), below: below!, ...Object.fromEntries(named) } };
  }

  /**
   * Hidden states after the layer.
   *
   * @param feeds x, the layer's weights, window_kept where it is asked for
   * @returns y, and what `backward` is to be given beside the feeds; to be freed
   */
  async forward(feeds: Values): Promise<{ y: Value; handed: Values }> {
    const program = await this.programs.compiled(`forward ${this.key}`, () => this.graph.first);
    const { y, ...handed } = await this.run(program, feeds);
    return { y: y!, handed };
  }

  /**
   * From the gradient of the output, and the layer's own loss, to the gradient of the input, and those of the weights.
   *
   * @param feeds as above, and `above`; where its output is compared `target` and the weight of that loss
   * @param handed what `forward` gave, and y; without it the forward pass is computed again
   * @param into the places of the weights' gradients, `grad.` and their names
   */
  async backward(
    feeds: Values,
    handed: Values | undefined,
    into: Readonly<Values>,
  ): Promise<{ loss: Value | undefined; below: Value }> {
    const program = await (handed
      ? this.programs.compiled(`backward, handed ${this.key}`, () => this.graph.second)
      : this.programs.compiled(`backward ${this.key}`, () => this.record().whole));
    const { loss, below } = await this.run(program, { ...feeds, ...handed }, into);
    return { loss, below: below! };
  }

  /** Runs a program with what it takes of the feeds. */
  private async run(program: Program, feeds: Values, into?: Readonly<Values>): Promise<Values> {
    const { memory } = this.programs;
    const taken = (isPassing: boolean): Values =>
      Object.fromEntries(
        program.inputNames
          .filter((name) => PASSING.includes(name) === isPassing)
          .map((name) => [name, feeds[name]!]),
      );
    return memory.run(program, { ...(await memory.place(taken(false))), ...taken(true) }, into);
  }
}

/** Small feeds that are made anew for each call: a device would keep a copy of every one that is placed. */
const PASSING = ['weight', 'window_kept'];

/** A product whose sums have as many terms takes longer to compute again than it is worth in memory: those with weights do. */
const LARGE = 256;

/** Terms of the sums of a product; 0 for all other nodes, and where that is not known. */
function termsOf({ op, inputs: [a], attributes: { transA } }: Node): number {
  if (op.name !== 'matmul') return 0;
  const inner = a!.shape[a!.rank - (transA ? 2 : 1)]!;
  return typeof inner === 'number' ? inner : 0;
}
