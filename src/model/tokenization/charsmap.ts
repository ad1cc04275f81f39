import { InputError } from '../../util/errors.ts';

/**
 * SentencePiece's precompiled map of characters: a double-array trie (Yata et al.'s darts-clone) over UTF-8 from a
 * sequence to where its replacement begins in a blob of texts that end in 0.
 */
export class CharsMap {
  private readonly units: Uint32Array;
  private readonly texts: Uint8Array;
  private readonly encoder = new TextEncoder();
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  private readonly segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });

  /** @throws InputError for what is no such map */
  constructor(base64: string) {
    let bytes: Uint8Array;
    try {
      bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    } catch {
      throw new InputError('normalizer: precompiled_charsmap is no base64');
    }
    const view = new DataView(bytes.buffer);
    const size = bytes.length >= 4 ? view.getUint32(0, true) : -1;
    if (size < 0 || size % 4 !== 0 || 4 + size > bytes.length) {
      throw new InputError('normalizer: precompiled_charsmap holds no map of characters');
    }
    this.units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.texts = bytes.subarray(4 + size);
  }

  normalize(text: string): string {
    let result = '';
    for (const { segment } of this.segmenter.segment(text)) {
      const bytes = this.encoder.encode(segment);
      const whole = bytes.length < 6 ? this.replacement(bytes) : null;
      if (whole !== null) result += whole;
      else
        for (const character of segment)
          result += this.replacement(this.encoder.encode(character)) ?? character;
    }
    return result;
  }

  /** Of the shortest sequence in the map that the bytes begin with. */
  private replacement(bytes: Uint8Array): string | null {
    const offset = (unit: number) => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
    let place = offset(this.units[0] ?? 0);
    for (const byte of bytes) {
      if (byte === 0) return null;
      place ^= byte;
      const unit = this.units[place];
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return null;
      place ^= offset(unit);
      if ((unit >>> 8) & 1) {
        const start = (this.units[place] ?? 0) & 0x7fffffff;
        const end = this.texts.indexOf(0, start);
        return this.decoder.decode(this.texts.subarray(start, end < 0 ? undefined : end));
      }
    }
    return null;
  }
}
