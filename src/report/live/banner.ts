import { type Html, html } from '../html.ts';
import { STAGE_TITLES } from '../run/stage-titles.ts';
import { amount, counted, duration, fixed, percent, rate } from '../text.ts';
import { type End, type RunPlan, type StageState, type Status, secondsLeft, shareOf } from './status.ts';

const MARKS: Record<StageState, string> = { done: '✓', 'under way': '▸', 'to come': '' };

/** What the run is at and how long it will take, above everything else. */
export function banner(status: Status): Html {
  const { plan, stages, running, end } = status;
  const share = shareOf(status);
  return html`<div class="live">
<p class="now"><span class="badge ${end?.how ?? 'running'}">${end?.how ?? 'live'}</span> <b>${headline(status)}</b> <span class="left">${timesOf(status)}</span></p>
<progress max="1" value="${fixed(share, 4)}" aria-label="whole run">${percent(share)}</progress>
<ol class="stages">${stages.map(
    ({ name, state, units, unitsDone }) =>
      html`<li class="${state.replace(' ', '-')}"${state === 'under way' && html` aria-current="step"`}><span aria-hidden="true">${MARKS[state]}</span> ${STAGE_TITLES[name]}${
        state === 'under way' && units > 0 && html` <small>${unitsDone} of ${counted(units, 'part')}</small>`
      }${state !== 'under way' && html`<span class="unseen"> (${state})</span>`}</li>`,
  )}</ol>
${running.length > 0 && !end && activityList(status)}
<p class="note" id="connection">${noteOf(plan, end)}</p>
</div>`;
}

function headline({ stages, end, plan }: Status): string {
  if (end?.how === 'finished') return `The report is in ${plan.report}`;
  const at = stages.findIndex(({ state }) => state === 'under way');
  if (at < 0) return 'Getting ready';
  return STAGE_TITLES[stages[at]!.name];
}

function noteOf({ recipe }: RunPlan, end: End | undefined): string {
  if (end?.how === 'finished') return 'The run is done, and nothing more will change here.';
  if (end?.how === 'stopped') {
    return `Stopped. postnas run ${recipe} --watch goes on where it was; this page comes back by itself.`;
  }
  return 'This page follows the run. It can be looked at, and nothing can be changed from here.';
}

function timesOf(status: Status): string {
  const { begun, now, end } = status;
  const passed = duration(((end?.at ?? now) - begun) / 1000);
  if (end) return `after ${passed}`;
  const left = secondsLeft(status);
  return `${percent(shareOf(status))} · about ${duration(left)} left · ${passed} so far`;
}

function activityList({ running, now }: Status): Html {
  return html`<ul class="running" aria-label="Under way">${running.map((activity) => {
    const { stage, done, total, unit, values, since, from } = activity;
    const seconds = (now - since) / 1000;
    const speed = seconds > 1 ? (done - from) / seconds : 0;
    const facts = [
      `${percent(done / Math.max(1, total))} of ${amount(total)} ${unit}`,
      ...(speed > 0 ? [`${rate(speed)} ${unit}/s`] : []),
      ...(values?.loss === undefined ? [] : [`loss ${fixed(values.loss, 4)}`]),
    ];
    return html`<li><b>${stage}</b> ${facts.join(' · ')}</li>`;
  })}</ul>`;
}
