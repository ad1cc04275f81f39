import type { Result } from '../../search/result.ts';
import type { StageName, Unit } from '../../search/run/stage.ts';
import type { OnProgress } from '../../util/progress.ts';
import { renderFigure } from '../figure.ts';
import { html } from '../html.ts';
import type { Page, Section } from '../page.ts';
import { reportPage } from '../report.ts';
import { STAGE_TITLES } from '../run/stage-titles.ts';
import { banner } from './banner.ts';
import { lossFigure } from './losses.ts';
import type { Activity, End, LiveStage, RunPlan } from './status.ts';
import type { Curve, TrainLogs } from './train-logs.ts';

/** Of a training whose log has grown since, it is said that it is under way. */
const LATELY = 20_000;

/** A run while it goes on, as a page: what it is at, its losses, and the report of the stages that are done. */
export class LiveRun {
  private readonly stages: LiveStage[];
  private readonly activities = new Map<string, Activity>();
  private readonly losses = new Map<string, { shown: string; section: Section }>();
  private result: Result | undefined;
  private report: Page | undefined;
  private readonly begun: number;
  private end: End | undefined;

  /** @param now milliseconds since 1970 */
  constructor(
    private readonly plan: RunPlan,
    private readonly logs: TrainLogs,
    private readonly now: () => number = Date.now,
  ) {
    this.stages = plan.stages.map((name) => ({ name, state: 'to come', units: 0, unitsDone: 0 }));
    this.begun = now();
  }

  readonly onProgress: OnProgress = (event) => {
    if (event.done >= event.total && event.stage !== WHOLE) {
      this.activities.delete(event.stage);
      return;
    }
    const known = this.activities.get(event.stage);
    const { since, from } = known ?? { since: this.now(), from: event.done };
    this.activities.set(event.stage, { ...event, since, from });
  };

  begin(name: StageName, units: readonly Unit[]): void {
    this.set(name, { state: 'under way', units: units.length });
  }

  skip(name: StageName): void {
    this.set(name, { state: 'done' });
  }

  unitDone({ id }: Unit): void {
    const stage = this.stages.find(({ name }) => id.startsWith(`${name}/`));
    if (stage) stage.unitsDone++;
  }

  /** A stage is done. */
  found(result: Result): void {
    this.result = result;
    this.report = undefined;
    for (const { name } of this.stages) if (result[name]) this.set(name, { state: 'done' });
    for (const name of this.activities.keys()) if (name !== WHOLE) this.activities.delete(name);
  }

  ended(how: End['how']): void {
    this.end = { how, at: this.now() };
  }

  page(): Page {
    // Charts take a while: they are drawn when someone looks, and once.
    if (this.result) this.report ??= reportPage(this.result);
    const { title, header, sections, footer } = this.report ?? {
      title: `${this.plan.model}: searching`,
      header: html`<h1>Nothing is decided yet</h1>
<p class="lead">The findings of each stage appear here as soon as it is done.</p>`,
      sections: [],
      footer: html`<p>Made by postnas while it runs. After Jet-Nemotron and PostNAS, <cite>Gu et al. 2025, arXiv:2508.15884</cite>.</p>`,
    };
    const { plan, stages, activities, begun, end, now } = this;
    const running = [...activities.values()].filter(({ stage }) => stage !== WHOLE);
    const status = { plan, stages, running, whole: activities.get(WHOLE), begun, end, now: now() };
    const losses = this.lossSections();
    return {
      title: `${end ? end.how : 'live'} · ${title}`,
      banner: banner(status),
      header,
      // While it runs the losses say most, afterwards the report.
      sections: end?.how === 'finished' ? [...sections, ...losses] : [...losses, ...sections],
      footer,
    };
  }

  private set(name: StageName, change: Partial<LiveStage>): void {
    const stage = this.stages.find((each) => each.name === name);
    if (stage) Object.assign(stage, change);
  }

  /** The stage that is at work first, then those before it. */
  private lossSections(): Section[] {
    const curves = this.logs.read();
    const running = ({ written }: Curve) => !this.end && this.now() - written < LATELY;
    const names = this.stages
      .map(({ name }) => name)
      .filter((name) => curves.some(({ stage }) => stage === name));
    return names.reverse().map((name) => {
      const own = curves.filter(({ stage }) => stage === name);
      // Drawn anew when there is something new.
      const shown = JSON.stringify(own.map((curve) => [curve.points.length, curve.written, running(curve)]));
      const before = this.losses.get(name);
      if (before?.shown === shown) return before.section;
      const section = {
        id: `losses-${name}`,
        title: `Loss · ${STAGE_TITLES[name]}`,
        body: renderFigure(lossFigure(name, own, running)),
      };
      this.losses.set(name, { shown, section });
      return section;
    });
  }
}

/** The name of the bar that stands for everything. */
const WHOLE = 'whole run';
