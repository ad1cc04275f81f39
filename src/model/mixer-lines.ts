import { mixerOf } from '../mixers/registry.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from './config.ts';
import { isObject } from './json-fields.ts';
import { mixerToJson } from './mixer-json.ts';

/** The mixers of a model in words, for terminals and results. */

/** Mixers that are alike but for which heads see all tokens, and the layers that have them. */
export interface MixerGroup {
  /** 'gla heads=4 ... rope=true'; of attention by heads the layers and heads that see all tokens: 'full_heads=10.2,18.2'. */
  text: string;
  layers: number[];
}

/** In the order in which they first appear. */
export function mixerGroups(mixers: readonly MixerSpec[]): MixerGroup[] {
  const groups = new Map<string, number[]>();
  for (const [layer, mixer] of mixers.entries()) {
    const key = JSON.stringify({ ...mixerToJson(mixer), full_heads: undefined });
    groups.set(key, [...(groups.get(key) ?? []), layer]);
  }
  return [...groups.values()].map((layers) => {
    const { kind, full_heads: _, ...rest } = mixerToJson(mixers[layers[0]!]!);
    const full = layers.flatMap((layer) => {
      const mixer = mixers[layer]!;
      return mixer.kind === 'head_attention' ? mixer.fullHeads.map((head) => `${layer}.${head}`) : [];
    });
    const fields = Object.entries(rest).map(([name, value]) => `${name}=${inWords(value)}`);
    const heads = full.length > 0 ? [`full_heads=${full.join(',')}`] : [];
    return { text: [kind, ...heads, ...fields].join(' '), layers };
  });
}

/** A mixer within another one in brackets: '(gla heads=4 ... rope=true)'. */
function inWords(value: unknown): string {
  if (!isObject(value)) return String(value);
  const { kind, ...rest } = value;
  return `(${[kind, ...Object.entries(rest).map(([name, field]) => `${name}=${field}`)].join(' ')})`;
}

/** The key and value heads of a layer that see all tokens; null for a layer that has no such heads. */
export function fullHeadsOf(mixer: MixerSpec, config: ModelConfig): number[] | null {
  const groups = mixerOf(mixer).cached?.reach(mixer, config);
  if (!groups) return null;
  return groups.flatMap(({ heads, window }) => (window === Number.POSITIVE_INFINITY ? heads : []));
}

/** Layers of a line. */
const WIDTH = 60;

/**
 * A map of how far the key and value heads of a model see, a row for each head and a column for each layer: # for all
 * tokens, . for a window, and a space for a layer that is no attention.
 */
export function headMap(config: ModelConfig): string[] {
  const { layers, numKvHeads } = config;
  const full = layers.map((mixer) => fullHeadsOf(mixer, config));
  const lines: string[] = [];
  const title = (text: string) => text.padEnd(`head ${numKvHeads - 1}  `.length);
  for (let from = 0; from < layers.length; from += WIDTH) {
    const part = full.slice(from, from + WIDTH);
    const marks = part.map((_, i) => ((from + i) % 10 === 0 ? String(from + i).padEnd(10) : '')).join('');
    lines.push(`${title('layer')}${marks.trimEnd()}`);
    for (let head = 0; head < numKvHeads; head++) {
      const row = part.map((heads) => (heads === null ? ' ' : heads.includes(head) ? '#' : '.')).join('');
      lines.push(`${title(`head ${head}`)}${row.trimEnd()}`);
    }
  }
  return lines;
}
