import { readFileSync } from 'node:fs';

/** A node that ran, by the profile of a run. */
interface RanNode {
  op: string;
  provider: string;
  /** Whether one of its inputs is of floats. */
  floats: boolean;
}

/** The nodes in the profile of a session. */
export function nodesOn(file: string): RanNode[] {
  const events: { args?: { provider?: string; op_name?: string; input_type_shape?: unknown } }[] = JSON.parse(
    readFileSync(file, 'utf8'),
  );
  return events.flatMap(({ args }) =>
    args?.provider
      ? [
          {
            op: args.op_name!,
            provider: args.provider,
            floats: JSON.stringify(args.input_type_shape ?? '').includes('float'),
          },
        ]
      : [],
  );
}
