import type { CompareResult } from '../search/compare/result.ts';
import { averageRecall, foundBy } from '../search/compare/verdict.ts';
import { grouped, readable } from './numbers.ts';
import { plain, table } from './table.ts';

/** What a comparison found, for a terminal. */
export function compareSummary(result: CompareResult): string {
  const { models, verdicts, context, notes } = result;
  const last = models[0]!.speed.at(-1)?.context;
  const rows = models.map((model) => {
    const { text, stateBytes, speed } = model;
    const share = foundBy(model).get(context);
    return [
      model.name,
      model.role,
      text.loss.toFixed(3),
      model.role === 'parent' ? '' : `${text.change < 0 ? '-' : '+'}${Math.abs(text.change).toFixed(3)}`,
      model.role === 'parent' ? '' : text.kl.mean.toFixed(3),
      model.role === 'parent' ? '' : (100 * text.agreement).toFixed(1),
      (100 * averageRecall(model)).toFixed(1),
      share === undefined ? '' : (100 * share).toFixed(1),
      readable(stateBytes),
      speed.at(-1)?.decodeTokensPerSecond.toFixed(1) ?? '',
    ];
  });
  const names = models[0]!.tasks.map(({ name }) => name);
  const tasks = names.map((name, i) => [
    name,
    ...models.map(({ tasks }) => {
      const { accuracy, share } = tasks[i]!;
      return `${(100 * accuracy).toFixed(1)}${share === null ? '' : ` (${Math.round(100 * share)} %)`}`;
    }),
  ]);
  return [
    table(
      [
        ...[
          'model',
          '',
          'nats a token',
          'change',
          'divergence',
          'same token %',
          'recall %',
          `at ${grouped(context)} %`,
        ],
        ...[`state at ${grouped(context)}`, last === undefined ? '' : `tokens/s at ${grouped(last)}`],
      ],
      rows,
    ),
    ...(tasks.length === 0
      ? []
      : [
          '',
          table(
            ["accuracy % (share of the parent's above chance)", ...models.map(({ name }) => name)],
            tasks,
          ),
        ]),
    ...notes.map((note) => `\nnote: ${note}`),
    ...verdicts.flatMap(({ headline, points }) => [
      '',
      `${headline}.`,
      ...points.map(({ text }) => `- ${plain(text)}`),
    ]),
  ].join('\n');
}
