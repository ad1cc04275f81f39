import type { DataSettings } from '../search/data.ts';

/** How a command is repeated. */

/** A command with every option spelled out, for a shell. */
export function commandLine(command: string, models: string | readonly string[], options: object): string {
  const quoted = (text: string) =>
    /^[\w.,:/@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const flags = Object.entries(options).flatMap(([name, value]: [string, unknown]) => {
    // How it is printed makes no difference to what is found, nor what was there before.
    if (value === undefined || value === false || ['json', 'quiet', 'restart'].includes(name)) return [];
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : [flag, ...[value].flat().map((each) => quoted(String(each)))];
  });
  return [`postnas ${command}`, ...[models].flat().map(quoted), ...flags].join(' ');
}

/** What a command that follows has to be told again, for a shell: '--data novels.txt --rows 2'. */
export function sharedOptions(options: DataSettings): string {
  const { data, heldOut, heldOutShare, field, task, rows, length, device } = options;
  const text = { data, heldOut, heldOutShare, field };
  const given = { ...text, task, rows, length, device: device === 'cpu' ? undefined : device };
  return commandLine('', [], given).replace(/^postnas +/, '');
}
