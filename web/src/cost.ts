import { between, Chart, type Line } from './charts.ts';
import { byId } from './dom.ts';
import { bytes, rate } from './format.ts';
import type { Loaded, Token } from './protocol.ts';

/** What a text costs while it is written: speed, and memory beside that of the parent. */

const BUCKETS = 40;
/** Tokens over which the speed of the moment is taken. */
const RECENT = 24;
/** Colours of the models whose speeds are shown; one with full attention everywhere has that of a parent. */
const COLOURS = ['--model', '--third'];

/** Times of tokens by the length of the text, of one model. */
class Speeds {
  private readonly milliseconds = new Float64Array(BUCKETS);
  private readonly counts = new Float64Array(BUCKETS);
  private run = 0;
  private readonly runs = new Float64Array(BUCKETS);

  constructor(
    readonly end: number,
    readonly colour: string,
  ) {}

  /** A new text: what it comes to replaces what was measured before. */
  begin(): void {
    this.run++;
  }

  add({ context, milliseconds }: Token): void {
    const i = Math.min(BUCKETS - 1, Math.floor((context / this.end) * BUCKETS));
    if (this.runs[i] !== this.run) {
      this.runs[i] = this.run;
      this.counts[i] = 0;
      this.milliseconds[i] = 0;
    }
    this.counts[i]!++;
    this.milliseconds[i]! += milliseconds;
  }

  /** Tokens a second in each bucket. */
  get values(): (number | null)[] {
    return Array.from(this.counts, (count, i) => (count > 0 ? (1000 * count) / this.milliseconds[i]! : null));
  }
}

/** Full attention in every layer. */
function isParent({ memory }: Loaded): boolean {
  return memory.model.at(-1) === memory.parent.at(-1);
}

export class Cost {
  private readonly memoryChart = new Chart(byId('memory-chart'), 'bytes');
  private readonly speedChart = new Chart(byId('speed-chart'), 'rate');
  private readonly speeds = new Map<string, Speeds>();
  private model: Loaded | null = null;
  private recent: number[] = [];
  private context = 0;
  private pending = false;

  /** Another model, and no text yet. */
  show(model: Loaded): void {
    this.model = model;
    if (!this.speeds.has(model.name)) {
      const colour = this.colourOf(model);
      // One of each colour: the newest.
      for (const [name, other] of this.speeds) if (other.colour === colour) this.speeds.delete(name);
      this.speeds.set(model.name, new Speeds(model.contextLength, colour));
    }
    byId('context-of').textContent = `of ${model.contextLength.toLocaleString('en')}`;
    this.begin();
    this.context = 0;
    this.render();
  }

  private colourOf(model: Loaded): string {
    if (isParent(model)) return '--parent';
    const taken = new Set([...this.speeds.values()].map(({ colour }) => colour));
    return COLOURS.find((colour) => !taken.has(colour)) ?? COLOURS[0]!;
  }

  /** A new text. */
  begin(): void {
    this.recent = [];
    if (this.model) this.speeds.get(this.model.name)!.begin();
  }

  /** @param first the time of the first token is that of reading the prompt */
  add(token: Token, first: boolean): void {
    this.context = token.context;
    if (!first && this.model) {
      this.speeds.get(this.model.name)!.add(token);
      this.recent.push(token.milliseconds);
      if (this.recent.length > RECENT) this.recent.shift();
    }
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.render();
    });
  }

  /** Tokens a second at the moment. */
  get speed(): number | null {
    const total = this.recent.reduce((a, b) => a + b, 0);
    return this.recent.length > 0 ? (1000 * this.recent.length) / total : null;
  }

  private render(): void {
    const { model, context } = this;
    if (!model) return;
    const { tokens, model: own, parent } = model.memory;
    const state = between(tokens, own, context) ?? 0;
    const cache = between(tokens, parent, context) ?? 0;
    byId('speed').textContent = this.speed === null ? '–' : rate(this.speed);
    byId('context').textContent = context.toLocaleString('en');
    byId('state').textContent = bytes(state);
    byId('cache').textContent = bytes(cache);
    const end = bytes(parent.at(-1)!);
    const text = isParent(model)
      ? `This is the parent: its keys and values come to ${end} at the end of the context.`
      : `At the end of the context the parent has ${end} of keys and values, this model ${bytes(own.at(-1)!)}: ` +
        `${(parent.at(-1)! / own.at(-1)!).toFixed(1)} times less.`;
    byId('memory-text').textContent = text;
    byId('memory-chart').ariaLabel =
      `Chart of memory by length of the text. Now, after ${context} tokens: ${bytes(state)}, the parent ${bytes(cache)}. ${text}`;
    const lines: Line[] = [
      { label: 'parent', colour: '--parent', dash: [6, 4], values: parent },
      { label: 'model', colour: '--model', values: own },
    ];
    this.memoryChart.draw({
      x: tokens,
      lines: isParent(model) ? lines.slice(0, 1) : lines,
      end: model.contextLength,
      now: context,
    });
    this.renderSpeeds(model);
  }

  private renderSpeeds(model: Loaded): void {
    // Models of other contexts are not comparable on one axis.
    const shown = [...this.speeds].filter(([, { end }]) => end === model.contextLength);
    const x = Array.from({ length: BUCKETS }, (_, i) => ((i + 0.5) * model.contextLength) / BUCKETS);
    const lines = shown.map(([name, speeds]) => ({
      label: name,
      colour: speeds.colour,
      values: speeds.values,
    }));
    const measured = lines.filter(({ values }) => values.some((value) => value !== null));
    byId('speed-text').replaceChildren(
      ...(measured.length === 0
        ? ['Nothing has been written yet.']
        : measured.flatMap(({ label, colour }) => {
            const key = document.createElement('i');
            key.className = 'key';
            key.style.setProperty('--key', `var(${colour})`);
            return [key, `${label} `];
          })),
    );
    byId('speed-chart').ariaLabel =
      measured.length === 0
        ? 'Chart of tokens a second by length of the text, empty.'
        : `Chart of tokens a second by length of the text. ${measured
            .map(({ label, values }) => {
              const found = values.filter((value) => value !== null);
              return `${label}: from ${rate(Math.min(...found))} to ${rate(Math.max(...found))}`;
            })
            .join('; ')}.`;
    this.speedChart.draw({ x, lines, end: model.contextLength });
  }
}
