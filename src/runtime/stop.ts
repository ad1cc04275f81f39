/**
 * Ends a text at the first of some strings, also when it comes in pieces: what might be the beginning of such a
 * string is held back until it is known not to be. A piece may be hidden, as special tokens are: it is searched for
 * stop strings at its place in the text, and never given out.
 */
export class StopStrings {
  /** What is held back, hidden pieces within it. */
  private held = '';
  /** Of each unit that is held back, whether it shows. */
  private shown: boolean[] = [];

  /** @param strings none of them empty */
  constructor(private readonly strings: readonly string[]) {}

  /** The text that became certain with this piece, and whether a stop string ended it. */
  push(piece: string, hidden = false): { text: string; stopped: boolean } {
    const { strings } = this;
    if (strings.length === 0) return { text: hidden ? '' : piece, stopped: false };
    const all = this.held + piece;
    const shown = [...this.shown, ...Array<boolean>(piece.length).fill(!hidden)];
    const written = [...shown.keys()].filter((at) => shown[at]);
    const textUpTo = (end: number) => written.map((at) => (at < end ? all[at] : '')).join('');
    // A stop string may lie in all that was read, and in what shows of it.
    const visible = textUpTo(all.length);
    const place = (at: number) => written[at] ?? all.length;
    const ends = strings
      .flatMap((stop) => [all.indexOf(stop), visible.includes(stop) ? place(visible.indexOf(stop)) : -1])
      .filter((at) => at >= 0);
    if (ends.length > 0) {
      this.flush();
      return { text: textUpTo(Math.min(...ends)), stopped: true };
    }
    const begun = (text: string) => text.length - Math.max(...strings.map((stop) => overlap(text, stop)));
    const certain = Math.min(begun(all), place(begun(visible)));
    this.held = all.slice(certain);
    this.shown = shown.slice(certain);
    return { text: textUpTo(certain), stopped: false };
  }

  /** What is held back, at the end of the text. */
  flush(): string {
    const text = this.shown.map((shown, at) => (shown ? this.held[at] : '')).join('');
    this.held = '';
    this.shown = [];
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
