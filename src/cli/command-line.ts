import type { DataSettings } from '../search/data.ts';

/** How a command is repeated. */

/** How it is printed, watched and shared out makes no difference to what is found, nor what was there before. */
const ASIDE = ['json', 'quiet', 'restart', 'estimate', 'watch', 'port', 'jobs'] as const;

type Settings<O> = Omit<O, (typeof ASIDE)[number] | 'out' | 'threads' | 'task' | 'seeds'> & {
  tasks?: readonly string[];
  seeds?: number[];
};

/** What the options of a command say of its recipe: its settings, under the recipe's names. */
export function settingsOf<O extends { task?: readonly string[]; seeds?: number }>(options: O): Settings<O> {
  const { task, seeds } = options;
  return {
    ...without(options, [...ASIDE, 'out', 'threads', 'task', 'seeds']),
    tasks: task,
    ...(seeds !== undefined && { seeds: Array.from({ length: seeds }, (_, i) => i + 1) }),
  } as Settings<O>;
}

function without<O extends object, N extends string>(options: O, names: readonly N[]): Omit<O, N> {
  // Of an alias nothing but its name is left.
  const left = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !names.includes(name as N),
  );
  return Object.fromEntries(left) as Omit<O, N>;
}

/** A command with every option spelled out, for a shell. */
export function commandLine(command: string, models: string | readonly string[], options: object): string {
  const quoted = (text: string) =>
    /^[\w.,:/@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const flags = Object.entries(without(options, ASIDE)).flatMap(([name, value]: [string, unknown]) => {
    if (value === false) return [];
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : [flag, ...[value].flat().map((each) => quoted(String(each)))];
  });
  return [`postnas ${command}`, ...[models].flat().map(quoted), ...flags].join(' ');
}

/** What a command that follows has to be told again, for a shell: '--data novels.txt --rows 2'. */
export function sharedOptions(options: DataSettings): string {
  const { data, heldOut, heldOutShare, field, task, dataDir, shots, rows, length, device } = options;
  const text = { data, heldOut, heldOutShare, field };
  const given = {
    ...text,
    task,
    dataDir,
    shots,
    rows,
    length,
    device: device === 'cpu' ? undefined : device,
  };
  return commandLine('', [], given).replace(/^postnas +/, '');
}
