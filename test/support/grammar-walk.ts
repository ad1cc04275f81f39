import type { Automaton, State } from '../../src/runtime/constrain/automaton.ts';
import type { Random } from '../../src/util/random.ts';

const encoder = new TextEncoder();

/** Whether a text is of a grammar. */
export function accepts(automaton: Automaton, text: string | Uint8Array): boolean {
  let state: State | null = automaton.renew(automaton.start);
  for (const byte of typeof text === 'string' ? encoder.encode(text) : text)
    state = state?.next(byte) ?? null;
  return state?.accepting ?? false;
}

/** Bytes that end something. */
const CLOSING = new Set(encoder.encode('"}]'));
const LONG = 60;
const TOO_LONG = 2000;

/**
 * A random text of a grammar, of ASCII for the most part, that comes to its end once it is long; null where it does not.
 *
 * @throws Error where a text that has begun cannot end
 */
export function randomText(automaton: Automaton, random: Random): string | null {
  const bytes: number[] = [];
  for (let state = automaton.start; ; ) {
    state = automaton.renew(state);
    const next = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => state.next(byte));
    const text = () => new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    if (state.accepting && (next.length === 0 || bytes.length > LONG || random.uniform() < 0.3))
      return text();
    if (next.length === 0) throw new Error(`nothing can follow ${text()}`);
    if (bytes.length > TOO_LONG) return null;
    const wanted =
      bytes.length > LONG
        ? next.filter((byte) => CLOSING.has(byte))
        : random.uniform() < 0.7
          ? next.filter((byte) => byte > 0x20 && byte < 0x7f)
          : next;
    const byte = random.pick(wanted.length > 0 ? wanted : next);
    bytes.push(byte);
    state = state.next(byte)!;
  }
}
