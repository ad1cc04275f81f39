import type { WindowsResult } from '../../search/stages/windows-result.ts';
import type { Spread } from '../../util/statistics.ts';
import { changeCell, spreadCell } from '../cells.ts';
import { samePlacement, spreadOver } from '../findings.ts';
import { type Html, html } from '../html.ts';
import { type Measure, taskMeasures } from '../measure.ts';
import { evidenceOf, pairedSpread, type SeedJudged } from '../paired.ts';
import { renderTable } from '../table.ts';
import { counted, listed } from '../text.ts';

/** What the chosen windows bring and what they cost: every task with them and without, those that did not lead them too. */

/** '64 tokens and the first 4'. */
export function windowSize({ window, sinks }: WindowsResult): string {
  return `${counted(window, 'token')}${sinks ? ` and the first ${sinks}` : ''}`;
}

interface Change {
  measure: Measure;
  without: Spread;
  with: Spread;
  change: Spread;
  evidence: ReturnType<typeof evidenceOf>;
}

/** Of one placement of windows, where a seed judged it. */
export function runsOf({ runs }: WindowsResult, placement: readonly number[]): SeedJudged[] {
  return runs.flatMap(({ seed, alone, searchers }) => {
    const all = [...alone, ...searchers.flatMap(({ best }) => best)];
    const judged = all.find((each) => samePlacement(each.placement, placement));
    return judged ? { seed, judged } : [];
  });
}

function changesOf(windows: WindowsResult): Change[] {
  const [own, none] = [runsOf(windows, windows.chosen), runsOf(windows, [])];
  return taskMeasures(windows).flatMap((measure) => {
    const change = pairedSpread(measure, own, none);
    // Values of the seeds that have both.
    const shared = none.filter(({ seed }) => own.some((run) => run.seed === seed));
    const [after, before] = [own, shared].map((runs) =>
      spreadOver(
        measure,
        runs.map(({ judged }) => judged),
      ),
    );
    if (!change || !after || !before) return [];
    return { measure, without: before, with: after, change, evidence: evidenceOf(measure, change) };
  });
}

/** 'They gain: choice gold loss 0.071 to 0.004 nats (undecided). They cost: arithmetic accuracy 95.8 to 25.0 %.' */
export function windowsBalance(windows: WindowsResult): string {
  if (windows.chosen.length === 0) return '';
  const changes = changesOf(windows).filter(({ measure, change }) => !measure.isNothing(change.mean));
  const text = ({ measure, without, with: after, evidence }: Change) =>
    `${measure.phrase} ${measure.digits(without.mean)} to ${measure.show(after.mean)}${evidence === 'undecided' ? ' (undecided)' : ''}`;
  const part = (what: string, wanted: (gain: number) => boolean) => {
    const found = changes
      .filter(({ measure, change }) => wanted(measure.gain(change.mean, 0)))
      .sort((a, b) => Number(a.evidence === 'undecided') - Number(b.evidence === 'undecided'));
    return found.length > 0 ? [`${what}: ${listed(found.map(text))}.`] : [];
  };
  return [...part('They gain', (gain) => gain > 0), ...part('They cost', (gain) => gain < 0)].join(' ');
}

export function windowsTable(windows: WindowsResult): Html | undefined {
  const changes = changesOf(windows);
  if (windows.chosen.length === 0 || changes.length === 0) return undefined;
  const led = windows.objective.filter(({ guides }) => guides !== false).map(({ task }) => task);
  return html`${renderTable({
    id: 'windows-table',
    caption: 'The chosen windows: what they gain and what they cost',
    header: ['Ability', 'Chose the windows', 'Without windows', 'With them', 'Difference', 'Verdict'],
    rows: changes.map(({ measure, without, with: after, change, evidence }) => [
      measure.heading,
      led.includes(measure.name) ? 'yes' : 'no',
      spreadCell(measure, without),
      spreadCell(measure, after),
      changeCell(measure, change),
      evidence,
    ]),
  })}
<p class="note">Before any further training, on the examples that blocks and windows were chosen on.</p>`;
}
