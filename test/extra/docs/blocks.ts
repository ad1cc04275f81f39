import { type How, plan } from './plan.ts';

/** A fenced block of a page, and how it is tried. */
export interface Block {
  line: number;
  language: string;
  text: string;
  how: How | undefined;
}

/** @throws Error where a block does not end, or the plan names one that the page does not have, or has twice */
export function blocksOf(page: string, name: string): Block[] {
  const lines = page.split('\n');
  const blocks: Block[] = [];
  const planned = new Map((plan[name] ?? []).map((how) => [how.starts, how]));
  for (let i = 0; i < lines.length; i++) {
    const language = /^```(\w*)$/.exec(lines[i]!)?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf('```', i + 1);
    if (end < 0) throw new Error(`line ${i + 1}: the block does not end`);
    const text = lines.slice(i + 1, end).join('\n');
    const how = [...planned.values()].find(({ starts }) => text.startsWith(starts));
    if (how) planned.delete(how.starts);
    blocks.push({ line: i + 1, language, text, how });
    i = end;
  }
  for (const starts of planned.keys()) throw new Error(`${name} has no block that starts with: ${starts}`);
  return blocks;
}

/**
 * The commands as they are run.
 *
 * @throws Error for a replacement of what is not there, or one that takes an option or a command away: what is run must
 *   be what is written
 */
export function commandsOf({ text, how }: Block): string {
  let commands = text;
  for (const [from, to] of how?.instead ?? []) {
    if (!commands.includes(from)) throw new Error(`nothing to replace: ${from}`);
    commands = commands.replaceAll(from, to);
  }
  const words = (of: string): string[] => of.match(/(?<=\s)--[\w-]+|postnas \w+/g) ?? [];
  const kept = words(commands);
  const lost = words(text).find((word) => !kept.includes(word));
  if (lost) throw new Error(`the replacements take ${lost} away`);
  return commands;
}
