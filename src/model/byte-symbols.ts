/**
 * The alphabet of byte-level BPE (Radford et al. 2019): every byte as a visible character, so that any text is a
 * string over 256 symbols. Printable Latin-1 bytes stand for themselves, the rest are moved up behind U+0100.
 */
export const byteSymbols: readonly string[] = (() => {
  const symbols: string[] = [];
  let moved = 0;
  for (let byte = 0; byte < 256; byte++) {
    const visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    symbols.push(String.fromCodePoint(visible ? byte : 256 + moved++));
  }
  return symbols;
})();

const encoder = new TextEncoder();

/** A text's UTF-8 bytes as symbols: ' key' becomes 'Ġkey'. */
export function toSymbols(text: string): string {
  let symbols = '';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return Array.from(encoder.encode(text), (byte) => byteSymbols[byte]!).join('');
    symbols += byteSymbols[unit]!;
  }
  return symbols;
}

const byteOf = new Map(byteSymbols.map((symbol, byte) => [symbol, byte]));

/** The bytes of a token spelled so; null for one that is spelled otherwise. */
export function fromSymbols(token: string): Uint8Array | null {
  const bytes = Array.from(token, (symbol) => byteOf.get(symbol));
  return bytes.includes(undefined) ? null : Uint8Array.from(bytes as number[]);
}
