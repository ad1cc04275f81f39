import type { Reporter, TestModule, Vitest } from 'vitest/node';

/** A test that was not run. */
export interface Skipped {
  file: string;
  /** Its own name behind those of its groups. */
  name: string;
  /** What it was skipped with: `context.skip(note)`. */
  note?: string | undefined;
}

/**
 * Says after a run which tests were skipped and what they would have needed. Tests tell it by their names, or those of
 * their groups: `describe.skipIf(!found)('stories260K (needs ../shared/data)', ...)`.
 */
export class SkippedReporter implements Reporter {
  private named = false;

  /** With `-t` most are left out by whoever looks for one. */
  onInit({ config }: Vitest): void {
    this.named = config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    if (this.named) return;
    const skipped = modules.flatMap(({ relativeModuleId: file, children }) =>
      [...children.allTests('skipped')].map((test): Skipped => {
        const result = test.result();
        return { file, name: test.fullName, note: result.state === 'skipped' ? result.note : undefined };
      }),
    );
    for (const line of skippedLines(skipped)) process.stdout.write(`${line}\n`);
  }
}

/** Lines for people, by what was missing; none where nothing was skipped. */
export function skippedLines(skipped: readonly Skipped[]): string[] {
  const byNeed = new Map<string, string[]>();
  for (const { file, name, note } of skipped) {
    const need = /\(needs ([^)]+)\)/.exec(name)?.[1] ?? note ?? 'something that their names do not say';
    byNeed.set(need, [...(byNeed.get(need) ?? []), `     ${file} > ${name}`]);
  }
  if (byNeed.size === 0) return [];
  const lines = [...byNeed].flatMap(([need, tests]) => [`   ${tests.length} would need ${need}:`, ...tests]);
  return ['', ` ${skipped.length} tests were skipped:`, ...lines, ''];
}
