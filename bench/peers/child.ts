import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Outcome, Player, Turn } from './contender.ts';
import { openLlama } from './llama.ts';
import { openOurs } from './ours.ts';
import { SHAPES } from './shapes.ts';
import { openTransformers } from './transformers.ts';

/** The process of one turn: opens one model, measures one thing, answers and ends. Its argument is a Turn in JSON. */

/** Tokens that are written before the clock starts. */
const WARM_UP = 3;
/** Seconds after which writing is measured well enough. */
const LONG_ENOUGH = 20;

type Rates = Pick<Outcome, 'tokensPerSecond' | 'tokensPerProcessorSecond' | 'others'>;

const OPEN = { postnas: openOurs, llama: openLlama, transformers: openTransformers };

async function play(turn: Turn): Promise<Outcome> {
  const player = await OPEN[turn.contender.peer](turn);
  const { task } = turn;
  const made = task.kind === 'decode' ? await player.deepen(task.context) : 'prompt of drawn tokens';
  const rates =
    task.kind === 'decode'
      ? await write(player, task.tokens)
      : await read(
          player,
          task.context,
          SHAPES.find(({ name }) => name === turn.contender.shape)!.config.vocabSize,
        );
  return {
    ...rates,
    setUp: [made, player.remark].filter(Boolean).join('; '),
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

async function write(player: Player, tokens: number): Promise<Rates> {
  for (let i = 0; i < WARM_UP; i++) await player.step();
  const watch = new Watch();
  let done = 0;
  while (done < tokens && (done < 2 || watch.seconds() < LONG_ENOUGH)) {
    await player.step();
    done++;
  }
  return watch.rates(done);
}

/** The first reading warms up what is compiled or allocated when needed; the second counts. */
async function read(player: Player, length: number, vocabSize: number): Promise<Rates> {
  const ids = (count: number, factor: number) =>
    Array.from({ length: count }, (_, i) => (i * factor + 13) % vocabSize);
  await player.read(ids(Math.min(length, 640), 104_729));
  const watch = new Watch();
  await player.read(ids(length, 7919));
  return watch.rates(length);
}

/** Time, and what other processes used of the processors meanwhile. */
class Watch {
  private readonly start = performance.now();
  private readonly own = process.cpuUsage();
  private readonly all = busyTicks();

  seconds(): number {
    return (performance.now() - this.start) / 1000;
  }

  rates(tokens: number): Rates {
    const seconds = this.seconds();
    const { user, system } = process.cpuUsage(this.own);
    const own = (user + system) / 1e6;
    const busy = (busyTicks() - this.all) / 100;
    return {
      tokensPerSecond: tokens / seconds,
      tokensPerProcessorSecond: tokens / own,
      others: Math.max(0, (busy - own) / (seconds * cpus().length)),
    };
  }
}

/** Hundredths of a second that the processors have worked since the machine started; 0 where Linux does not tell. */
function busyTicks(): number {
  try {
    const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
      .split('\n', 1)[0]!
      .split(/\s+/)
      .slice(1)
      .map(Number) as [number, number, number, number, number, number, number];
    return user + nice + system + irq + softirq;
  } catch {
    return 0;
  }
}

// Whoever asked is gone.
process.on('disconnect', () => process.exit(1));
const outcome = await play(JSON.parse(process.argv[2]!) as Turn);
process.send!(outcome, () => process.exit(0));
