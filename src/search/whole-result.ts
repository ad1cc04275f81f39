import { openCheckpoint } from '../model/checkpoint.ts';
import { countParameters } from '../model/parameters.ts';
import { thisMachine } from './machine.ts';
import { RESULT_FORMAT, type Result } from './result.ts';
import type { Findings } from './run/stage.ts';
import { comparedTokens } from './stages/blocks/result.ts';

type About = Pick<Result, 'recipe' | 'command' | 'chosen' | 'hybrid'> & {
  /** Folder of the parent model. */
  model: string;
};

/** Parts of a result put together, with what stands in every result. */
export function wholeResult(parts: Findings, { model, recipe, command, chosen, hybrid }: About): Result {
  const { config, weights } = openCheckpoint(model);
  return {
    format: RESULT_FORMAT,
    recipe,
    command,
    created: new Date().toISOString(),
    machine: thisMachine(),
    model: {
      path: model,
      layers: config.layers.length,
      parameters: countParameters(weights.names().map((name) => weights.info(name))),
    },
    ...parts,
    ...(chosen && { chosen }),
    ...(hybrid !== undefined && { hybrid }),
    ...costOf(parts),
  };
}

/** Seconds of work and tokens of all parts, wherever it was done. */
function costOf({ placement, mlps, blocks, design, dimensions, windows, final }: Findings) {
  const compared = [blocks, design, dimensions].flatMap((found) =>
    found ? [{ seconds: found.seconds, tokens: comparedTokens(found) }] : [],
  );
  const parts = [
    ...[placement, mlps, windows].flatMap((found) => found ?? []),
    ...compared,
    ...(final?.runs.flatMap(({ stages }) => stages) ?? []),
  ];
  return {
    seconds: parts.reduce((sum, { seconds }) => sum + seconds, 0),
    tokens: parts.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}
