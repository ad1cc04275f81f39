import {
  add,
  float32,
  input,
  int64,
  type Memory,
  memoryOf,
  reshape,
  scatterAddRows,
  type Tensor,
  type Value,
  type Values,
  zeros,
} from '../../graph/index.ts';
import { type BatchShape, LayerPrograms } from '../../model/layer-programs.ts';
import { layerParameters } from '../../model/parameters.ts';
import type { ParameterVector } from '../../train/parameters.ts';
import type { Path } from '../judge/scorer.ts';
import {
  type TopTokens,
  type VocabularyLosses,
  vocabularyGradient,
} from '../stages/final/vocabulary-loss.ts';
import { LayerPass } from './layer-pass.ts';
import type { Network } from './network.ts';
import type { NetworkWeight, TrainedWeights } from './trained-weights.ts';

/** What a path is trained for, beside a teacher. */
export interface PathLosses {
  /** Hidden states after layers as the teacher's: relative squared error, the mean over layers. */
  features?: {
    /** Weight of the last layer's features against that mean; the head sees only the last. */
    lastWeight: number;
  };
  vocabulary?: VocabularyLosses;
}

export interface PathGradientOptions {
  /** A network whose branches 0 are the teacher; may be the one that is trained. */
  teacher: Network;
  student: Network;
  /** Which of the student's weights are trained. */
  trained: TrainedWeights;
  shape: BatchShape;
  losses: PathLosses;
  /** Where weights, hidden states and gradients lie; host memory unless told. */
  memory?: Memory;
  threads?: number;
  signal?: AbortSignal;
  /**
   * Bytes of activations that are held from the forward to the backward pass, so that they are not computed twice; of
   * layers that find no room the forward pass is recomputed. 0 for none.
   */
  activations?: number;
  /** Terms of the sums of a product that is handed over; 256 unless told. */
  largeProducts?: number;
  /** Logits computed at a time: what bounds the memory of the head. */
  logits?: number;
  /** What the teacher says of a batch, where that is known; if not, `teach` gives its last hidden states. */
  topTokens?: (ids: Int32Array, teach: () => Promise<Value>) => Promise<TopTokens>;
}

/** About the part of the work that is done forwards, half of it by the teacher. */
const FORWARD = 0.5;

/** Of activations: a model of 135 M parameters takes 0.7 GB for 1,024 tokens. */
const ACTIVATIONS = 2 * 2 ** 30;

const EMBEDDING = 'model.embed_tokens.weight';
const MIXER = 'self_attn.';

/** Trained weights by their names in a layer or at the head: their names in the vector. */
type Named = ReadonlyMap<string, string>;

/** Where the gradients of weights belong. */
function placesOf(trained: Named, gradient: ParameterVector): Values {
  const places = gradient.values();
  return Object.fromEntries([...trained].map(([name, own]) => [name, places[own]!]));
}

/** What is handed from the forward to the backward pass, by layer. */
type Handed = Map<number, Values>;

/**
 * The gradient of one path through a network, layer by layer: hidden states forwards, then each layer backwards with
 * what its forward pass has handed over, or with that pass recomputed where memory is short.
 */
export class PathGradient {
  private readonly programs: LayerPrograms;
  private readonly teacherPrograms: LayerPrograms;
  /** Per layer and branch: whether it is the teacher's layer, and what is trained in it. */
  private readonly layers: { teachers: boolean; trained: Named }[][];
  private readonly head: Named;
  /** The embedding's name in the vector, if it is trained. */
  private readonly embedded: string | undefined;
  private readonly memory: Memory;
  private readonly passes = new Map<string, LayerPass>();
  /** The gradient of hidden states that nothing is asked of. */
  private readonly nothing: Value;

  constructor(private readonly options: PathGradientOptions) {
    const { teacher, student, shape, threads, memory = memoryOf('cpu') } = options;
    this.memory = memory;
    this.programs = new LayerPrograms(student.config, shape, memory, threads);
    this.teacherPrograms = new LayerPrograms(teacher.config, shape, memory, threads);
    this.nothing = zeros([shape.batch, shape.length, student.config.hiddenSize]);
    this.layers = student.branches.map((branches, layer) =>
      branches.map(({ spec }, branch) => ({
        teachers: this.isTeachers(layer, branch),
        trained: this.trainedOf(
          layerParameters(student.config, spec).map(({ name }) => name),
          (name) =>
            name.startsWith(MIXER) ? { layer, branch, name: name.slice(MIXER.length) } : { layer, name },
        ),
      })),
    );
    const own = Object.keys(student.outer).filter(
      (name) => name !== EMBEDDING || student.config.tieWordEmbeddings,
    );
    this.head = this.trainedOf(own, (name) => ({ name }));
    this.embedded = options.trained.nameOf({ name: EMBEDDING });
  }

  /**
   * The losses of a path on a batch, and their gradient.
   *
   * @param ids [B * T]
   * @param gradient receives the gradient, every element of it
   * @param onPart told how much of it is done, from 0 to 1
   * @param kept by layer of the student, of which rows its window counts, where not of all [B]
   * @param counted by place, its weight in what is lost at the head, where not all count alike [B * T]
   */
  async compute(
    path: Path,
    ids: Int32Array,
    gradient: ParameterVector,
    onPart: (part: number) => void = () => {},
    kept: ReadonlyMap<number, Value> = new Map(),
    counted?: Float32Array,
  ): Promise<{ loss: number; [part: string]: number }> {
    const { memory } = this;
    memory.clear(gradient.data);
    const lowest =
      this.embedded === undefined
        ? path.findIndex((branch, layer) => this.layers[layer]![branch]!.trained.size > 0)
        : 0;
    // What is trained at the head alone has a gradient too.
    if (lowest < 0 && this.head.size === 0) return { loss: 0 };
    const states = new Set<Value>();
    try {
      const first = lowest < 0 ? path.length : lowest;
      return await this.through(path, ids, gradient, first, states, onPart, kept, counted);
    } finally {
      memory.free(...states);
    }
  }

  /** @param states receives all hidden states, for the caller to free */
  private async through(
    path: Path,
    ids: Int32Array,
    gradient: ParameterVector,
    first: number,
    states: Set<Value>,
    onPart: (part: number) => void,
    kept: ReadonlyMap<number, Value>,
    counted: Float32Array | undefined,
  ): Promise<{ loss: number; [part: string]: number }> {
    const { memory } = this;
    const { teacher, student, losses, signal } = this.options;
    const { features, vocabulary } = losses;
    const count = path.length;
    const shared = this.shared(path, kept);
    const teach = () => this.teach(ids, states, features ? count : shared);
    const known = vocabulary && (await this.options.topTokens?.(ids, async () => (await teach()).at(-1)!));
    const taught = features || (!known && vocabulary!.divergence > 0) ? await teach() : undefined;
    onPart(FORWARD / 2);
    const upTo = vocabulary ? count : count - 1;
    const handing = this.handing(path, first, upTo, kept);
    const { hidden, handed } = await this.forward(
      path,
      ids,
      taught?.slice(0, shared + 1),
      upTo,
      handing,
      states,
      kept,
    );

    let loss = 0;
    let parts: Record<string, number> = {};
    let above: Value | undefined;
    if (vocabulary) {
      const given = {
        ids,
        x: hidden[count]!,
        student,
        teacher: known ?? { network: teacher, x: taught?.at(-1) ?? hidden[count]! },
        into: placesOf(this.head, gradient),
        counted,
      };
      const top = await vocabularyGradient(this.programs, vocabulary, given, this.options.logits);
      ({ loss, parts, below: above } = top);
      states.add(above);
    }
    const errors: Value[] = [];
    const weights: number[] = [];
    for (let layer = count - 1; layer >= first; layer--) {
      signal?.throwIfAborted();
      onPart(FORWARD + ((1 - FORWARD) * (count - 1 - layer)) / (count - first));
      const weight = 1 / (count - first) + (layer === count - 1 ? (features?.lastWeight ?? 0) : 0);
      const step = await this.backward(layer, path[layer]!, {
        x: hidden[layer]!,
        target: features && taught![layer + 1]!,
        above: above ?? this.nothing,
        weight,
        gradient,
        kept: kept.get(layer),
        handed: handed.has(layer) ? { ...handed.get(layer), y: hidden[layer + 1]! } : undefined,
      });
      if (step.loss) {
        errors.push(step.loss);
        weights.push(weight);
      }
      const done = [above, ...Object.values(handed.get(layer) ?? {})];
      memory.free(...done);
      for (const value of done) if (value) states.delete(value);
      above = step.below;
      states.add(above);
    }
    if (this.embedded !== undefined) {
      const place = gradient.values()[this.embedded]!;
      await this.embedding(ids, above ?? this.nothing, place);
    }
    const numbers = await memory.numbers(errors);
    const error = numbers.reduce((sum, each, i) => sum + weights[i]! * each, 0);
    if (!vocabulary) return { loss: error };
    return { loss: loss + error, ...(features ? { features: error } : {}), ...parts };
  }

  /**
   * Hidden states of the teacher: after the embedding, and after each layer. Of those after layers from `upTo` on only the
   * last can be read.
   */
  private async teach(ids: Int32Array, held: Set<Value>, upTo: number): Promise<Value[]> {
    const { teacher, signal } = this.options;
    const states = [await this.teacherPrograms.embed(ids, teacher.embedding)];
    held.add(states[0]!);
    for (const layer of teacher.branches.keys()) {
      signal?.throwIfAborted();
      const x = states[layer]!;
      states.push(await this.after(this.teacherPrograms, teacher, layer, 0, x));
      held.add(states.at(-1)!);
      if (layer > upTo) {
        this.memory.free(x);
        held.delete(x);
      }
    }
    return states;
  }

  /** How many of the first layers the student has from the teacher. */
  private shared(path: Path, kept: ReadonlyMap<number, Value>): number {
    const parting = path.findIndex(
      (branch, layer) => !this.layers[layer]![branch]!.teachers || kept.has(layer),
    );
    return parting < 0 ? path.length : parting;
  }

  /** Hidden states after a layer. */
  private async after(
    programs: LayerPrograms,
    network: Network,
    layer: number,
    branch: number,
    x: Value,
    kept?: Value,
  ): Promise<Value> {
    const { spec } = network.branches[layer]![branch]!;
    const { mixed, y } = await programs.layer(spec, x, network.layerValues(layer, branch), kept);
    this.memory.free(mixed);
    return y;
  }

  /** The layers whose activations are handed over: as many as there is room for, from the top. */
  private handing(path: Path, first: number, upTo: number, kept: ReadonlyMap<number, Value>): Set<number> {
    const layers = new Set<number>();
    let room = this.options.activations ?? ACTIVATIONS;
    for (let layer = upTo - 1; layer >= first; layer--) {
      room -= this.pass(layer, path[layer]!, kept.has(layer)).bytes;
      if (room < 0) break;
      layers.add(layer);
    }
    return layers;
  }

  /** A layer's branch as what is trained needs it. */
  private pass(layer: number, branch: number, windowKept: boolean): LayerPass {
    const { student, losses } = this.options;
    const asked = {
      spec: student.branches[layer]![branch]!.spec,
      trained: [...this.layers[layer]![branch]!.trained.keys()],
      compared: losses.features !== undefined,
      windowKept,
    };
    const key = JSON.stringify(asked);
    const pass = this.passes.get(key) ?? new LayerPass(this.programs, asked, this.options.largeProducts);
    this.passes.set(key, pass);
    return pass;
  }

  /**
   * Hidden states along a path up to a layer.
   *
   * @param taught the teacher's, as long as the student is the teacher
   */
  private async forward(
    path: Path,
    ids: Int32Array,
    taught: Value[] | undefined,
    upTo: number,
    handing: ReadonlySet<number>,
    held: Set<Value>,
    kept: ReadonlyMap<number, Value>,
  ): Promise<{ hidden: Value[]; handed: Handed }> {
    const { teacher, student, signal } = this.options;
    const states =
      taught && student.embedding.data === teacher.embedding.data
        ? [...taught]
        : [await this.programs.embed(ids, student.embedding)];
    held.add(states[0]!);
    const handed: Handed = new Map();
    for (let layer = states.length - 1; layer < upTo; layer++) {
      signal?.throwIfAborted();
      const [branch, x, windows] = [path[layer]!, states[layer]!, kept.get(layer)];
      if (handing.has(layer)) {
        const weights = student.layerValues(layer, branch);
        const feeds = { x, ...weights, ...(windows && { window_kept: windows }) };
        const result = await this.pass(layer, branch, !!windows).forward(feeds);
        states.push(result.y);
        handed.set(layer, result.handed);
        for (const value of Object.values(result.handed)) held.add(value);
      } else {
        states.push(await this.after(this.programs, student, layer, branch, x, windows));
      }
      held.add(states.at(-1)!);
    }
    return { hidden: states, handed };
  }

  /**
   * One layer backwards: from the gradient above and the layer's own feature loss to the gradient below, and to those
   * weights of the layer that are trained.
   */
  private async backward(
    layer: number,
    branch: number,
    given: {
      x: Value;
      target?: Value;
      above: Value;
      weight: number;
      gradient: ParameterVector;
      kept: Value | undefined;
      handed: Values | undefined;
    },
  ): Promise<{ loss: Value | undefined; below: Value }> {
    const { student } = this.options;
    const { trained } = this.layers[layer]![branch]!;
    const { x, target, above, weight, gradient, kept, handed } = given;
    const feeds: Values = {
      ...{ x, above, ...student.layerValues(layer, branch) },
      ...(target && { target, weight: float32(Float32Array.of(weight), []) }),
      ...(kept && { window_kept: kept }),
    };
    const places = Object.entries(placesOf(trained, gradient)).map(([name, place]) => [
      `grad.${name}`,
      place,
    ]);
    return this.pass(layer, branch, !!kept).backward(feeds, handed, Object.fromEntries(places));
  }

  /** Adds the gradient of the embedding, to which that of a tied head has been added already. */
  private async embedding(ids: Int32Array, above: Value, place: Value): Promise<void> {
    const { programs } = this;
    const { config } = this.options.student;
    const program = await programs.compiled('embedding', () => {
      const table = [config.vocabSize, config.hiddenSize];
      const rows: Tensor = reshape(programs.hidden('above'), [-1, config.hiddenSize]);
      const sums = scatterAddRows(rows, input('ids', 'int64', [ids.length]), table);
      return { sum: add(input('before', 'float32', table), sums) };
    });
    const feeds = await this.memory.place({ above, before: place });
    await this.memory.run(program, { ...feeds, ids: int64(ids, [ids.length]) }, { sum: place });
  }

  private isTeachers(layer: number, branch: number): boolean {
    const { teacher, student } = this.options;
    const own = teacher.branches[layer]?.[0];
    if (!own || JSON.stringify(own.spec) !== JSON.stringify(student.branches[layer]![branch]!.spec))
      return false;
    const theirs = teacher.layerValues(layer, 0);
    return Object.entries(student.layerValues(layer, branch)).every(
      ([name, { data }]) => data === theirs[name]?.data,
    );
  }

  private trainedOf(names: readonly string[], weightOf: (name: string) => NetworkWeight): Named {
    return new Map(
      names.flatMap((name): [string, string][] => {
        const trained = this.options.trained.nameOf(weightOf(name));
        return trained === undefined ? [] : [[name, trained]];
      }),
    );
  }

  async dispose(): Promise<void> {
    await this.programs.dispose();
    await this.teacherPrograms.dispose();
  }
}
