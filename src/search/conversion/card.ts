import { join } from 'node:path';
import { writeFileAtomic } from '../../util/files.ts';
import { cardOf, licenseOf } from '../compare/card.ts';
import type { CompareResult } from '../compare/result.ts';
import type { TrainedConversion } from './result.ts';

/** README.md files for the Hub. */

/** What a conversion is of. */
interface Of {
  model: string;
  folder: string;
  /** Of the placement. */
  name: string;
}

/** A README.md for the Hub: how it is used, the verdict, the figures of a model of the comparison. */
export function writeCard(
  path: string,
  comparison: CompareResult,
  place: number,
  use: readonly string[],
  { model, folder }: Of,
): string {
  const title = `# ${comparison.models[place]!.name}`;
  const license = licenseOf(join(folder, 'README.md'));
  writeFileAtomic(
    path,
    cardOf([title, '', ...use, ''].join('\n'), comparison, place, { parent: model, license }),
  );
  return path;
}

/** How a trained hybrid came to be, and is used. */
export function trainedUse({ model, tokens, hours }: TrainedConversion, of: Of): string[] {
  return [
    `\`${of.model}\` under its placement \`${of.name}\`, trained for ${hours} hours, ${tokens.toLocaleString('en')} tokens, to predict what`,
    'it does itself with all heads seeing everything:',
    '',
    `    npx postnas generate ${model} --prompt "..."`,
  ];
}

export function placementUse({ model, name }: Of): string[] {
  return [
    `A placement of \`${model}\`: which of its KV heads see the whole text, and which a window. No weight was changed. With`,
    `\`placements/${name}.json\` in the model's folder:`,
    '',
    `    npx postnas generate ${model} --placement ${name} --prompt "..."`,
  ];
}
