/** A plain-text table; columns of numbers are aligned to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = header.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const numeric = header.map((_, i) =>
    rows.every((row) => /^[-+±]?[\d.]/.test(row[i] ?? '0') || row[i] === ''),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (numeric[i] ? cell.padStart(width[i]!) : cell.padEnd(width[i]!)))
      .join('  ')
      .trimEnd();
  return [line(header), width.map((w) => '-'.repeat(w)).join('  '), ...rows.map(line)].join('\n');
}

/** Text of a report for a terminal: plain spaces and minus signs, so that it can be searched and copied. */
export function plain(text: string): string {
  return text.replaceAll('\u00a0', ' ').replaceAll('\u2212', '-').replaceAll('’', "'");
}
