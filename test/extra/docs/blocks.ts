/**
 * The fenced blocks of a page, and what a comment before one says of how it is run. Such comments are not shown:
 *
 *   <!-- file: NAME -->            the block is written to this file
 *   <!-- run with: s#a#b#; ... -->  the commands are run with these replacements: a small model for a large one, fewer steps
 *   <!-- not run here: WHY -->     the block's commands are run elsewhere, or are no commands
 */
export interface Block {
  line: number;
  language: string;
  text: string;
  file?: string | undefined;
  replacements: { from: string; to: string }[];
  notRun?: string | undefined;
}

export function blocksOf(page: string): Block[] {
  const lines = page.split('\n');
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const language = /^```(\w*)$/.exec(lines[i]!)?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf('```', i + 1);
    if (end < 0) throw new Error(`line ${i + 1}: the block does not end`);
    const said = /^<!-- (file|run with|not run here): (.*) -->$/.exec(lines[i - 1] ?? '');
    const [, what, value = ''] = said ?? [];
    blocks.push({
      line: i + 1,
      language,
      text: lines.slice(i + 1, end).join('\n'),
      file: what === 'file' ? value : undefined,
      replacements: what === 'run with' ? replacementsOf(value) : [],
      notRun: what === 'not run here' ? value : undefined,
    });
    i = end;
  }
  return blocks;
}

function replacementsOf(text: string): Block['replacements'] {
  return text.split('; ').map((one) => {
    const [, from, to] = /^s#([^#]+)#([^#]*)#$/.exec(one.trim()) ?? [];
    if (from === undefined) throw new Error(`expected s#from#to#, found ${one}`);
    return { from, to: to! };
  });
}

/**
 * The commands as they are run.
 *
 * @throws Error for a replacement of what is not there, or one that takes an option or a command away: what is run must
 *   be what is written
 */
export function commandsOf({ text, replacements }: Block): string {
  let commands = text;
  for (const { from, to } of replacements) {
    if (!commands.includes(from)) throw new Error(`nothing to replace: ${from}`);
    commands = commands.replaceAll(from, to);
  }
  const words = (of: string): string[] => of.match(/(?<=\s)--[\w-]+|postnas \w+/g) ?? [];
  const kept = words(commands);
  const lost = words(text).find((word) => !kept.includes(word));
  if (lost) throw new Error(`the replacements take ${lost} away`);
  return commands;
}
