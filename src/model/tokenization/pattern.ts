import { InputError } from '../../util/errors.ts';
import { isWordOutside as isWord } from './pattern-classes.ts';
import { type Assertion, type Node, parsePattern, span } from './pattern-syntax.ts';

/**
 * Patterns of tokenizers, as Oniguruma finds them: a program of a few instructions and a machine that goes back where
 * it fails. The pattern comes with a model's files and the text from anybody, so that the work is bounded, which no
 * RegExp of JavaScript's can be.
 */

/** A match, or what lies between two of them. */
export interface Piece {
  start: number;
  end: number;
  match: boolean;
}

/** Steps of the machine for a text, and for each of its characters; the patterns in use take about 10 for each. */
const STEPS = 20_000_000;
const STEPS_PER_CHARACTER = 500;
const MAX_INSTRUCTIONS = 20_000;

enum Op {
  /** One character of a class. */
  One,
  /** As many as there are from min to max; goes back one by one. */
  Greedy,
  /** Goes on here, and there when that fails. */
  Split,
  Jump,
  Assert,
  /** The machine's own part up to `to`, tried ahead or behind. */
  Look,
  Atomic,
  End,
}

interface Instruction {
  op: Op;
  set?: CharacterSet;
  min?: number;
  max?: number;
  /** Where to go on; of a split, the second way. */
  to?: number;
  at?: Assertion;
  negative?: boolean;
  /** How many characters to look behind; null looks ahead. */
  behind?: number | null;
}

/** A class, with what was asked before. */
class CharacterSet {
  /** By UTF-16 unit: 1 outside, 2 inside. */
  private readonly known = new Uint8Array(65536);
  private readonly astral = new Map<number, boolean>();

  constructor(private readonly test: (codePoint: number) => boolean) {}

  /** Units of the character at a place that belongs to the set: 0 for none. */
  units(text: string, at: number): number {
    const unit = text.charCodeAt(at);
    if (unit >= 0xd800 && unit < 0xdc00) {
      const code = text.codePointAt(at)!;
      if (code > 0xffff) {
        let inside = this.astral.get(code);
        if (inside === undefined) {
          inside = this.test(code);
          if (this.astral.size < 65536) this.astral.set(code, inside);
        }
        return inside ? 2 : 0;
      }
    }
    let state = this.known[unit]!;
    if (state === 0) {
      state = this.test(unit) ? 2 : 1;
      this.known[unit] = state;
    }
    return state - 1;
  }
}

export class Pattern {
  private readonly program: Instruction[] = [];
  private left = 0;

  /** @throws InputError for what is no pattern or not supported */
  constructor(private readonly source: string) {
    this.compile(parsePattern(source));
    this.emit({ op: Op.End });
  }

  /**
   * All of a text, as matches and what lies between them.
   *
   * @throws InputError when it takes too much work
   */
  pieces(text: string): Piece[] {
    this.left = STEPS + text.length * STEPS_PER_CHARACTER;
    const pieces: Piece[] = [];
    let from = 0;
    let lastEnd = -1;
    let start = 0;
    while (start <= text.length) {
      const end = this.run(text, 0, start);
      // An empty match right after another is none.
      if (end < 0 || (end === start && end === lastEnd)) {
        start += isPair(text, start) ? 2 : 1;
        continue;
      }
      if (from < start) pieces.push({ start: from, end: start, match: false });
      pieces.push({ start, end, match: true });
      from = end;
      lastEnd = end;
      start = end;
    }
    if (from < text.length) pieces.push({ start: from, end: text.length, match: false });
    return pieces;
  }

  private emit(instruction: Instruction): Instruction {
    if (this.program.length >= MAX_INSTRUCTIONS) {
      throw new InputError(`the pattern ${JSON.stringify(this.source.slice(0, 200))} is too large`);
    }
    this.program.push(instruction);
    return instruction;
  }

  private compile(node: Node): void {
    switch (node.kind) {
      case 'class':
        this.emit({ op: Op.One, set: new CharacterSet(node.test) });
        return;
      case 'sequence':
        for (const item of node.items) this.compile(item);
        return;
      case 'choice': {
        const ends: Instruction[] = [];
        for (const [i, item] of node.items.entries()) {
          const split = i + 1 < node.items.length ? this.emit({ op: Op.Split }) : null;
          this.compile(item);
          if (split) {
            ends.push(this.emit({ op: Op.Jump }));
            split.to = this.program.length;
          }
        }
        for (const end of ends) end.to = this.program.length;
        return;
      }
      case 'repeat':
        this.repeat(node);
        return;
      case 'atomic': {
        const atomic = this.emit({ op: Op.Atomic });
        this.compile(node.item);
        this.emit({ op: Op.End });
        atomic.to = this.program.length;
        return;
      }
      case 'look': {
        const behind = node.behind ? span(node.item)[0] : null;
        const look = this.emit({ op: Op.Look, negative: node.negative, behind });
        this.compile(node.item);
        this.emit({ op: Op.End });
        look.to = this.program.length;
        return;
      }
      case 'assert':
        this.emit({ op: Op.Assert, at: node.at });
    }
  }

  private repeat({ item, min, max, mode }: Node & { kind: 'repeat' }): void {
    if (mode === 'possessive') {
      this.compile({ kind: 'atomic', item: { kind: 'repeat', item, min, max, mode: 'greedy' } });
      return;
    }
    if (item.kind === 'class' && mode === 'greedy') {
      this.emit({ op: Op.Greedy, set: new CharacterSet(item.test), min, max });
      return;
    }
    for (let i = 0; i < min; i++) this.compile(item);
    const lazy = mode === 'lazy';
    // A lazy split goes past the item first, by a jump.
    const enter = () => {
      const split = this.emit({ op: Op.Split });
      if (!lazy) return split;
      const past = this.emit({ op: Op.Jump });
      split.to = this.program.length;
      return past;
    };
    if (max === Number.POSITIVE_INFINITY) {
      const head = this.program.length;
      const past = enter();
      this.compile(item);
      this.emit({ op: Op.Jump, to: head });
      past.to = this.program.length;
      return;
    }
    const exits: Instruction[] = [];
    for (let i = min; i < max; i++) {
      exits.push(enter());
      this.compile(item);
    }
    for (const exit of exits) exit.to = this.program.length;
  }

  /** Where a match that begins at `start` ends; -1 for none. */
  private run(text: string, first: number, start: number): number {
    const { program } = this;
    // Triples: an instruction, and the places to try it at, from the last one back to the first.
    const stack: number[] = [];
    let pc = first;
    let at = start;
    for (;;) {
      if (--this.left < 0) {
        throw new InputError(
          `the tokenizer's pattern ${JSON.stringify(this.source.slice(0, 200))} takes too much work on this text`,
        );
      }
      const instruction = program[pc]!;
      let holds = true;
      switch (instruction.op) {
        case Op.One: {
          const units = at < text.length ? instruction.set!.units(text, at) : 0;
          holds = units > 0;
          at += units;
          break;
        }
        case Op.Greedy: {
          const { set, min, max } = instruction as Required<Instruction>;
          let count = 0;
          let least = at;
          while (count < max && at < text.length) {
            const units = set.units(text, at);
            if (units === 0) break;
            at += units;
            if (++count === min) least = at;
          }
          this.left -= count >> 3;
          holds = count >= min;
          if (holds && at > least) stack.push(pc + 1, least, at);
          break;
        }
        case Op.Split:
          stack.push(instruction.to!, at, at);
          break;
        case Op.Jump:
          pc = instruction.to! - 1;
          break;
        case Op.Assert:
          holds = asserted(instruction.at!, text, at);
          break;
        case Op.Look:
          holds = this.look(instruction, text, pc + 1, at) !== instruction.negative;
          pc = instruction.to! - 1;
          break;
        case Op.Atomic: {
          const end = this.run(text, pc + 1, at);
          holds = end >= 0;
          at = end;
          pc = instruction.to! - 1;
          break;
        }
        default:
          return at;
      }
      if (holds) {
        pc++;
        continue;
      }
      const n = stack.length;
      if (n === 0) return -1;
      pc = stack[n - 3]!;
      const least = stack[n - 2]!;
      at = stack[n - 1]!;
      if (at === least) stack.length = n - 3;
      else {
        // A greedy repetition: one character less, and so on.
        at -= isPair(text, at - 2) && at - 2 >= least ? 2 : 1;
        if (at === least) stack.length = n - 3;
        else stack[n - 1] = at;
      }
    }
  }

  private look({ behind }: Instruction, text: string, pc: number, at: number): boolean {
    let start = at;
    for (let i = 0; i < (behind ?? 0); i++) {
      if (start === 0) return false;
      start -= isPair(text, start - 2) ? 2 : 1;
    }
    return this.run(text, pc, start) >= 0;
  }
}

const isPair = (text: string, at: number) =>
  at >= 0 && (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;

const isNewline = (text: string, at: number) => text.charCodeAt(at) === 10;

function asserted(assertion: Assertion, text: string, at: number): boolean {
  switch (assertion) {
    case 'text start':
      return at === 0;
    case 'text end':
      return at === text.length;
    case 'last line end':
      return at === text.length || (at === text.length - 1 && isNewline(text, at));
    case 'line start':
      return at === 0 || (isNewline(text, at - 1) && at < text.length);
    case 'line end':
      return at === text.length || isNewline(text, at);
    default: {
      const before = at > 0 && isWord(text.codePointAt(isPair(text, at - 2) ? at - 2 : at - 1)!);
      const after = at < text.length && isWord(text.codePointAt(at)!);
      return (before !== after) === (assertion === 'word boundary');
    }
  }
}
