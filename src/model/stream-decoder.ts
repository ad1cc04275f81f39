/** Tokens that text is decoded after: decoders treat the first token of a text differently. */
const DECODED_BEFORE = 16;
const REPLACEMENT = '\ufffd';

/**
 * Turns ids into text as they come, whole characters only: a character that several byte tokens make up appears
 * with the last of them. The pieces joined are what decoding all ids at once gives, without the text of those that
 * were there before.
 */
export class StreamDecoder {
  /** The ids that made the last text that was given out, and those after them. */
  private window: number[];
  /** How many ids of the window belong to text that was given out in full. */
  private settled: number;
  /** Length of the window's text that was given out. */
  private given: number;
  /** Whether the ids before left a character unfinished, and no text has come since. */
  private begun: boolean;

  /**
   * @param decode all ids at once
   * @param bytes what an id adds to the text; nothing for one that has none
   * @param before ids whose text was given out elsewhere
   */
  constructor(
    private readonly decode: (ids: number[]) => string,
    private readonly bytes: (id: number) => Uint8Array,
    before: readonly number[] = [],
  ) {
    const last: number[] = [];
    for (let i = before.length - 1; i >= 0 && last.length < DECODED_BEFORE; i--) {
      if (bytes(before[i]!).length > 0) last.push(before[i]!);
    }
    this.window = last.reverse();
    this.begun = this.unfinished();
    const text = this.text();
    this.given = this.begun ? text.length - 1 : text.length;
    this.settled = this.begun ? 0 : this.window.length;
  }

  /** The text that became certain with this id, often empty. */
  push(id: number): string {
    this.window.push(id);
    const text = this.text();
    const unfinished = this.unfinished();
    // It shows as one replacement character at the end.
    const certain = unfinished ? text.length - 1 : text.length;
    if (certain <= this.given) return '';
    const piece = this.own(text.slice(this.given, certain));
    this.given = certain;
    if (!unfinished) {
      this.window = this.window.slice(this.settled);
      this.settled = this.window.length;
      this.given = this.text().length;
    }
    return piece;
  }

  /** What is left at the end: an unfinished character as a replacement character, or nothing. */
  flush(): string {
    const piece = this.own(this.text().slice(this.given));
    this.window = [];
    this.settled = 0;
    this.given = 0;
    return piece;
  }

  /** Without the character that the ids before left unfinished, unless it was finished since. */
  private own(text: string): string {
    const broken = this.begun && text.startsWith(REPLACEMENT);
    this.begun &&= text === '';
    return broken ? text.slice(1) : text;
  }

  private text = () => (this.window.length > 0 ? this.decode(this.window) : '');

  /** Whether the window ends within a character: a replacement character at the end may be one of the text too. */
  private unfinished(): boolean {
    const tail: number[] = [];
    for (let i = this.window.length - 1; i >= 0 && tail.length < 3; i--) {
      tail.unshift(...this.bytes(this.window[i]!).slice(-3));
    }
    return endsWithin(tail.slice(-3));
  }
}

/** Whether bytes end within a UTF-8 sequence that can go on. */
function endsWithin(bytes: number[]): boolean {
  for (let count = 1; count <= bytes.length; count++) {
    const first = bytes[bytes.length - count]!;
    if ((first & 0xc0) === 0x80) continue;
    const length =
      first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 1;
    if (first > 0xf4 || count >= length) return false;
    if (count === 1) return true;
    // The second byte of some sequences has less room.
    const second = bytes[bytes.length - count + 1]!;
    const [low, high] = { 224: [0xa0, 0xbf], 237: [0x80, 0x9f], 240: [0x90, 0xbf], 244: [0x80, 0x8f] }[
      first
    ] ?? [0x80, 0xbf];
    return second >= low! && second <= high!;
  }
  return false;
}
