import { sizedPart } from '../../mixers/sized-part.ts';
import type { WindowsResult } from '../../search/stages/windows-result.ts';
import { median } from '../../util/statistics.ts';
import { architectureBlocks, architectureKey, fullLayers, lettersOf } from '../architecture.ts';
import type { Comparison } from '../comparison.ts';
import { type Findings, samePlacement } from '../findings.ts';
import { type Content, type Html, html } from '../html.ts';
import { letterName, traitsOf } from '../mixers.ts';
import { verdictParagraph } from '../sections/answer.ts';
import type { Stages } from '../stages.ts';
import { type Cell, renderTable } from '../table.ts';
import { amount, bytes, counted, deviceName, duration, fixed, layersText, percent, rate } from '../text.ts';
import { placementVerdict, takenVerdict } from '../verdict.ts';
import { changeToBase, type FinalFindings } from './final-findings.ts';
import { goesOn } from './goes-on.ts';
import { windowSize, windowsBalance } from './windows-changes.ts';

/** The answer before everything else: the architecture, what is kept, what it costs, what was decided and how. */
export function runAnswer(stages: Stages): Html {
  const { result, search, seeds } = stages;
  const { model } = result;
  const architecture = architectureOf(stages);
  const name = (letter: string) =>
    letter === 'W' && result.windows ? `window of ${windowSize(result.windows)}` : letterName(letter);
  return html`<p class="eyebrow">PostNAS · ${model.path} · ${amount(model.parameters)} parameters · ${result.created.slice(0, 10)}</p>
<h1>${headline(stages, architecture)}</h1>
${search && verdictParagraph(search)}
<p class="lead">${lead(stages, architecture)}</p>
${architectureBlocks(architecture, { large: true })}
<p class="key">${architectureKey(architecture, name)}</p>
<div class="cards">${cards(stages).map(
    ({ value, label }) => html`<div class="card"><b>${value}</b><span>${label}</span></div>`,
  )}</div>
${decisions(stages)}
${seeds.length > 1 && html`<p class="note">Everything was done once with each of ${counted(seeds.length, 'seed')}; ± is the standard deviation over them.</p>`}`;
}

/** Of the final model; without one, the chosen placement in the letters of the chosen block or of stage 1. */
export function architectureOf(stages: Stages): string {
  const { result, search } = stages;
  if (result.final) return result.final.architecture;
  const { chosen, windows, model } = result;
  const compared = stages.blocks ?? stages.design ?? stages.dimensions;
  const full = chosen?.placement ?? compared?.result.placement ?? search?.headline.run.placement ?? [];
  const taken = compared && traitsOf(compared.taken.found.spec.kind)?.letter;
  const letters = [...lettersOf(full, model.layers, taken ?? search?.headline.run.architecture ?? '')];
  return letters.map((letter, layer) => (windows?.chosen.includes(layer) ? 'W' : letter)).join('');
}

function headline({ result, final }: Stages, architecture: string): string {
  const { layers } = result.model;
  const placement = fullLayers(architecture);
  const kept = final?.kept;
  if (!kept) return `Full attention stays in ${layersText(placement)} of ${layers}`;
  return `With full attention in ${placement.length} of ${layers} layers, ${percent(kept.mean, 1)} of the base model’s accuracy is kept`;
}

/** What was done, for those who see such a report for the first time. */
function lead({ result, final }: Stages, architecture: string): Content {
  const letters = [...architecture];
  const replaced = letters.filter((letter) => letter !== 'A').length;
  return html`In full attention every token looks at all tokens before it, so memory and time grow with the text. Here PostNAS
    searched which layers of the model must keep it, and which cheaper block takes its place in the
    ${replaced === 1 ? 'other one' : `other ${replaced}`}${final && ', and then trained the result to answer as the base model does'}:
    <code>${architecture}</code>, a letter for each of ${result.model.layers} layers.`;
}

interface Card {
  value: Content;
  label: Content;
}

function cards({ result, final, seeds }: Stages): Card[] {
  return [
    ...(final ? finalCards(final) : []),
    {
      value: duration(result.seconds),
      label: `of work for everything${seeds.length > 1 ? `, ${counted(seeds.length, 'seed')}` : ''}`,
    },
    { value: amount(result.tokens), label: 'tokens taken through the model for it' },
  ];
}

function finalCards(final: FinalFindings): Card[] {
  const { cost } = final.result;
  const [base, hybrid] = [median(cost.base.decode), median(cost.hybrid.decode)];
  const { context, device } = cost.decode;
  return [
    ...keptCard(final),
    {
      value: percent(cost.hybrid.stateBytes / cost.base.stateBytes),
      label: `of the base model’s memory for a sequence of ${counted(context, 'token')}: ${bytes(cost.hybrid.stateBytes)}, base ${bytes(cost.base.stateBytes)}`,
    },
    {
      value: `${fixed(hybrid / base, 2)}×`,
      label: `the base model’s decode speed after ${context} tokens on the ${deviceName(device)}: ${rate(hybrid)} tok/s, base ${rate(base)}`,
    },
  ];
}

/** Of the mean over abilities, or of the only one. */
function keptCard(final: FinalFindings): Card[] {
  const [measure] = final.measures;
  const base = measure?.of(final.result.base);
  const change = measure && changeToBase(final, measure, final.stages.at(-1)!);
  if (!measure || !change || base === undefined) return [];
  const spread =
    change.deviation === undefined
      ? ''
      : `, ${measure.plusMinus(change.deviation).trim()} over ${counted(change.values.length, 'seed')}`;
  return [
    {
      value: measure.showChange(change.mean),
      label: `${measure.phrase} against the base model’s ${measure.show(base)}${spread}`,
    },
  ];
}

/** What each stage decided, and by which rule; nothing where none decides. */
function decisions({ result, search, blocks, design, dimensions }: Stages): Html | undefined {
  const { chosen, windows, model } = result;
  const comparison = (name: string, found: Comparison | undefined): Cell[][] =>
    found ? [[name, decisionOf(found), found.result.choice.rule, takenVerdict(found)]] : [];
  const on = goesOn(blocks, design);
  const rows: Cell[][] = [
    ...(search && chosen
      ? [
          [
            '1 Placement',
            `full attention in ${layersText(chosen.placement)} of ${model.layers}${foundBy(search, chosen.placement)}`,
            chosen.rule,
            placementVerdict(search),
          ],
        ]
      : []),
    ...comparison('2 Block', blocks),
    ...comparison('3 Design of the JetBlock', design),
    ...(on
      ? [
          [
            'Taken into stage 4',
            on.taken === design?.taken ? 'the JetBlock' : on.taken.label,
            on.why,
            undefined,
          ],
        ]
      : []),
    ...comparison('4 Heads and widths', dimensions),
    ...(windows ? [windowsDecision(windows)] : []),
  ];
  if (rows.length === 0) return undefined;
  return renderTable({
    id: 'decisions',
    caption: 'What was decided',
    header: ['Stage', 'Decision', 'Rule', 'What the seeds say'],
    stacked: true,
    rows,
  });
}

/** In how many seeds the search found the placement that is kept, where not in all. */
function foundBy({ result: { runs } }: Findings, placement: readonly number[]): string {
  const same = runs.filter((run) => samePlacement(run.placement, placement)).length;
  return same === runs.length ? '' : `, found with ${same} of ${counted(runs.length, 'seed')}`;
}

/** '4 heads, keys 32 and values 32 wide', or the name of the candidate. */
function decisionOf({ taken, stage }: Comparison): string {
  if (stage !== 'dimensions') return taken.label;
  const spec = sizedPart(taken.found.spec);
  const { heads, keyDim, valueDim } = spec;
  const size = `${counted(heads, 'head')}, keys ${keyDim} and values ${valueDim} wide`;
  return 'convSize' in spec ? `${size}, ${counted(Number(spec.convSize), 'tap')}` : size;
}

function windowsDecision(windows: WindowsResult): Cell[] {
  const { chosen, rule } = windows;
  const where = chosen.length === 0 ? 'none' : `${windowSize(windows)} in ${layersText(chosen)}`;
  return ['Windows', where, rule, windowsBalance(windows) || undefined];
}
