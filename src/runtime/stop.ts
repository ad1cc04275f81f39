/**
 * Ends a text at the first of some strings, also when it comes in pieces: what might be the beginning of such a
 * string is held back until it is known not to be.
 */
export class StopStrings {
  private held = '';

  /** @param strings none of them empty */
  constructor(private readonly strings: readonly string[]) {}

  /** The text that became certain with this piece, and whether a stop string ended it. */
  push(piece: string): { text: string; stopped: boolean } {
    const text = this.held + piece;
    const ends = this.strings.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (ends.length > 0) {
      this.held = '';
      return { text: text.slice(0, Math.min(...ends)), stopped: true };
    }
    const certain = text.length - Math.max(0, ...this.strings.map((stop) => overlap(text, stop)));
    this.held = text.slice(certain);
    return { text: text.slice(0, certain), stopped: false };
  }

  /** What is held back, at the end of the text. */
  flush(): string {
    const text = this.held;
    this.held = '';
    return text;
  }
}

/** Length of the longest end of the text that is a beginning of `stop`. */
export function overlap(text: string, stop: string): number {
  for (let n = Math.min(text.length, stop.length - 1); n > 0; n--) {
    if (text.endsWith(stop.slice(0, n))) return n;
  }
  return 0;
}
