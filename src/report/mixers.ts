import type { BuiltInKind } from '../mixers/spec.ts';

/** What a reader wants to know of a mixer at a glance. */
interface Traits {
  /** In architectures on one line. */
  letter: string;
  /** In charts and tables. */
  name: string;
  /** Whether what the state forgets depends on the token. */
  gate: boolean;
  /** Whether the state is corrected by what it already says (delta rule). */
  delta: boolean;
}

const KINDS: Record<BuiltInKind, Traits> = {
  attention: { letter: 'A', name: 'full attention', gate: false, delta: false },
  sliding_window: { letter: 'W', name: 'sliding window', gate: false, delta: false },
  head_attention: { letter: 'H', name: 'some heads full', gate: false, delta: false },
  window_linear: { letter: 'L', name: 'window + linear', gate: false, delta: false },
  retnet: { letter: 'R', name: 'RetNet', gate: false, delta: false },
  gla: { letter: 'G', name: 'GLA', gate: true, delta: false },
  deltanet: { letter: 'N', name: 'DeltaNet', gate: false, delta: true },
  gated_deltanet: { letter: 'D', name: 'Gated DeltaNet', gate: true, delta: true },
  jet_block: { letter: 'J', name: 'JetBlock', gate: true, delta: true },
  mamba2: { letter: 'M', name: 'Mamba2', gate: true, delta: false },
  kda: { letter: 'K', name: 'KDA', gate: true, delta: true },
  rwkv7: { letter: '7', name: 'RWKV7', gate: true, delta: true },
};

/** Undefined for a kind that is newer than this report. */
export function traitsOf(kind: string): Traits | undefined {
  return Object.hasOwn(KINDS, kind) ? KINDS[kind as BuiltInKind] : undefined;
}

/** The name behind a letter; the letter itself when it is unknown. */
export function letterName(letter: string): string {
  return Object.values(KINDS).find((traits) => traits.letter === letter)?.name ?? letter;
}
