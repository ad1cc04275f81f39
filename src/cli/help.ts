/** The width of help texts, in which commander breaks its own lines too where no terminal tells. */
const WIDTH = 80;

/** Breaks long lines between words. Indented ones, such as examples, are left as they are. */
export function wrapped(text: string): string {
  return text
    .split('\n')
    .flatMap((line) => (line.startsWith(' ') ? [line] : brokenUp(line)))
    .join('\n');
}

function brokenUp(line: string): string[] {
  const lines: string[] = [];
  for (const word of line.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= WIDTH) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}
