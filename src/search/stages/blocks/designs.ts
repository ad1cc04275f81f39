import { JET_BLOCK_SPACE, releasedJetBlock } from '../../../mixers/jet-block.ts';
import type { JetBlockSpec } from '../../../mixers/spec.ts';
import { InputError } from '../../../util/errors.ts';
import type { Candidate } from './compare.ts';

/**
 * Stage 3, the design of the block (spec §3.3): the released JetBlock, every change of one of its parts, and what the
 * paper's claim needs, that a dynamic convolution on v makes static ones on q and k superfluous: both together, and
 * static ones everywhere, as Gated DeltaNet has them. Queries and keys rotated as in the parent's attention are a
 * design, too, though the paper has none.
 */
export function jetDesigns(size: Pick<JetBlockSpec, 'heads' | 'keyDim' | 'valueDim'>): Candidate[] {
  const released = releasedJetBlock(size);
  const named = (name: string, changes: Partial<JetBlockSpec>): Candidate => ({
    name,
    spec: { ...released, ...changes },
  });
  const singles = (Object.keys(JET_BLOCK_SPACE) as (keyof typeof JET_BLOCK_SPACE)[]).flatMap((part) =>
    JET_BLOCK_SPACE[part].slice(1).map((value) => named(`${part}-${value}`, { [part]: value })),
  );
  return [
    named('released', {}),
    ...singles,
    named('rope', { rope: true }),
    named('qConv-kConv-static', { qConv: 'static', kConv: 'static' }),
    named('all-static', { qConv: 'static', kConv: 'static', vConv: 'static' }),
    named('all-dynamic', { qConv: 'dynamic', kConv: 'dynamic' }),
  ];
}

/** The named designs, in the order of their names. @throws InputError for a name that is none of them */
export function designsNamed(
  names: readonly string[],
  size: Pick<JetBlockSpec, 'heads' | 'keyDim' | 'valueDim'>,
): Candidate[] {
  const all = jetDesigns(size);
  return names.map((wanted) => {
    const found = all.find(({ name }) => name === wanted);
    if (found) return found;
    const known = all.map(({ name }) => name).join(', ');
    throw new InputError(`unknown design '${wanted}'; expected one of ${known}`);
  });
}
