import type { Value } from './values.ts';

/** The syntax tree of a template. */

export interface Arguments {
  positional: Expression[];
  named: [string, Expression][];
  /** `*value` */
  spread: Expression | null;
  /** `**value` */
  spreadNamed: Expression | null;
}

export type Expression =
  | { kind: 'const'; value: Value }
  | { kind: 'name'; name: string }
  | { kind: 'list' | 'tuple' | 'concat'; items: Expression[] }
  | { kind: 'dict'; pairs: [Expression, Expression][] }
  | { kind: 'attribute'; object: Expression; name: string }
  | { kind: 'item'; object: Expression; index: Expression }
  | { kind: 'slice'; bounds: (Expression | null)[] }
  | { kind: 'call'; callee: Expression; args: Arguments }
  | Filter
  | { kind: 'test'; name: string; value: Expression; args: Arguments }
  | { kind: 'unary'; operator: string; value: Expression }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'compare'; first: Expression; rest: [string, Expression][] }
  | { kind: 'condition'; test: Expression; yes: Expression; no: Expression | null };

/** Without a value, the filter is applied to what a block writes. */
export interface Filter {
  kind: 'filter';
  name: string;
  value: Expression | null;
  args: Arguments;
}

export type Target =
  | { kind: 'name'; name: string }
  | { kind: 'field'; namespace: string; name: string }
  | { kind: 'targets'; targets: Target[] };

export interface Parameter {
  name: string;
  default: Expression | null;
}

/** A macro, or the body of a call block. */
export interface MacroBody {
  name: string;
  parameters: Parameter[];
  body: Statement[];
  /** Which of the special names `caller`, `varargs` and `kwargs` the body uses. */
  uses: ReadonlySet<string>;
}

export type Statement =
  | { kind: 'text'; text: string }
  | { kind: 'output'; value: Expression }
  | { kind: 'if'; test: Expression; yes: Statement[]; no: Statement[] }
  | For
  | { kind: 'set'; target: Target; value: Expression }
  | { kind: 'set block'; target: Target; filter: Filter | null; body: Statement[] }
  | { kind: 'macro'; macro: MacroBody }
  | { kind: 'call block'; call: Expression; caller: MacroBody }
  | { kind: 'filter block'; filter: Filter; body: Statement[] }
  | { kind: 'scope'; variables: [Target, Expression][]; body: Statement[] }
  | { kind: 'break' | 'continue' };

export interface For {
  kind: 'for';
  target: Target;
  items: Expression;
  test: Expression | null;
  recursive: boolean;
  body: Statement[];
  otherwise: Statement[];
}
