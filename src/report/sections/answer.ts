import type { Result } from '../../search/result.ts';
import { spreadOf } from '../../util/statistics.ts';
import { architectureBlocks } from '../architecture.ts';
import { standingsOf } from '../baselines.ts';
import { type Findings, fullSpread, pairedChanges } from '../findings.ts';
import { type Content, type Html, html } from '../html.ts';
import { keptShare } from '../measure.ts';
import { evidenceOf } from '../paired.ts';
import { amount, counted, duration, layersText, percent } from '../text.ts';
import { measuredOn, placementVerdict } from '../verdict.ts';
import { mixerName } from './mixer-name.ts';

/** The answer before everything else: which layers keep full attention, how good that is, what it cost to find out. */
export function answer(findings: Findings, { created }: Result): Html {
  const { result, model, budget, layers, headline, seeds } = findings;
  const { run } = headline;
  const { mixer } = result;
  const kept = run.placement.length;
  return html`<p class="eyebrow">Placement search · ${model.path} · ${created.slice(0, 10)}</p>
<h1>${kept === 0 ? `No layer of ${layers} keeps full attention` : `Full attention stays in ${layersText(run.placement)} of ${layers}`}</h1>
${verdictParagraph(findings)}
<p class="lead">PostNAS replaces the attention of most layers, whose memory grows with every token, by ${mixerName(mixer)}, whose
  memory stays the same, and searches for the few layers that must keep it. Allowed here: ${counted(budget, 'layer')} with full
  attention.</p>
${architectureBlocks(run.architecture, { large: true })}
<p class="key"><span class="block full"></span> A: full attention ${otherLetters(run.architecture).map(
    (letter) => html`<span class="block linear"></span> ${letter}: ${mixerName(mixer)} `,
  )}${seeds.length > 1 && html`<br>${seedAgreement(findings)}`}</p>
<div class="cards">${cards(findings).map(
    ({ value, label }) => html`<div class="card"><b>${value}</b><span>${label}</span></div>`,
  )}</div>`;
}

/** What the search has shown, before anything else is said. */
export function verdictParagraph(findings: Findings): Html | undefined {
  const verdict = placementVerdict(findings);
  return verdict === undefined
    ? undefined
    : html`<p class="lead">${verdict} <small>${measuredOn(findings)}</small></p>`;
}

function otherLetters(architecture: string): string[] {
  return [...new Set(architecture)].filter((letter) => letter !== 'A');
}

/** Whether seeds agree, and which one is shown. */
function seedAgreement({ result, headline }: Findings): string {
  const { runs } = result;
  const same = runs.filter(({ architecture }) => architecture === headline.run.architecture).length;
  if (same === runs.length) return `All ${counted(runs.length, 'seed')} chose this placement.`;
  const chose = same === 1 ? 'Only this seed' : `${counted(same, 'seed')} of ${runs.length}`;
  return `Shown is seed ${headline.run.seed}, which scores best of ${runs.length}. ${chose} chose this placement.`;
}

function cards(findings: Findings): { value: Content; label: Content }[] {
  const { result, overall, tasks, searched, exhaustive, compared, seeds } = findings;
  const { base } = compared;
  const list: { value: Content; label: Content }[] = [];
  const value = fullSpread(overall, searched);
  const whole = overall.of(base);
  const mean = seeds.length > 1 ? ', mean over seeds' : '';
  if (searched && value) {
    const shares = searched.outcomes.map(({ full }) => keptShare(tasks, full, base));
    const share = spreadOf(shares.filter((each) => each !== undefined));
    if (share) {
      list.push({
        value: percent(share.mean, 1),
        label: `of the base model’s accuracy is kept${mean}`,
      });
    } else if (whole !== undefined) {
      list.push({
        value: overall.showChange(value.mean - whole),
        label: `${overall.quantity} against the base model’s ${overall.show(whole)}${mean}`,
      });
    }
    for (const measure of tasks.filter(({ kind }) => kind === 'text')) {
      const [own, parent] = [fullSpread(measure, searched), measure.of(base)];
      if (own && parent !== undefined) {
        list.push({
          value: measure.brief(own.mean),
          label: `${measure.phrase}${mean} (perplexity ${measure.columns[1]!.digits(Math.exp(own.mean))}); the base model’s: ${measure.show(parent)}`,
        });
      }
    }
    const best =
      exhaustive && spreadOf(pairedChanges(overall, searched, exhaustive).map(({ change }) => change));
    const compared = standingsOf(findings, overall).map(({ baseline, change }) => ({ ...baseline, change }));
    if (best) compared.push({ name: 'the best of all placements', runs: [], change: best });
    for (const { name, change } of compared) {
      const spread =
        change.deviation === undefined
          ? ''
          : `, ${overall.plusMinus(change.deviation).trim()} over ${counted(change.values.length, 'seed')}`;
      const evidence = evidenceOf(overall, change) === 'undecided' ? ': undecided' : '';
      list.push({
        value: overall.showChange(change.mean),
        label: `${overall.kind === 'accuracy' ? '' : `${overall.quantity} `}against ${name} with as many full layers${spread}${evidence}`,
      });
    }
  }
  list.push({
    value: duration(result.seconds),
    label: `and ${amount(result.tokens)} tokens for the whole search${seeds.length > 1 ? `, ${counted(seeds.length, 'seed')}` : ''}`,
  });
  return list;
}
