/**
 * Narrative text over a small simulated world: people walk between places, take things along, put them down, hand
 * them on, and in between the text talks of weather, food and moods. The world's state makes later sentences depend
 * on earlier ones, and lets a reader be asked where somebody or something is (after bAbI's tasks 1 and 2, Weston et
 * al. 2015, arXiv:1502.05698).
 */
import type { Random } from '../util/random.ts';
import { foods, people, places, things } from './lexicon.ts';

const times = [
  'Then',
  'Later',
  'Soon',
  'After that',
  'In the morning',
  'In the evening',
  'At noon',
  'One day',
];
const goings = ['went', 'walked', 'ran', 'came'];
const moods = ['happy', 'tired', 'hungry', 'sad', 'proud', 'late'];
const weathers = ['sun', 'rain', 'wind', 'snow'];
const manners = ['warm', 'cold', 'soft', 'strong', 'bright', 'quiet'];
const tastes = ['good', 'sweet', 'fresh', 'old'];

/** Of a sentence, on average. */
export const sentenceTokens = 7.5;

export interface Question {
  /** Up to where the place is to follow. */
  question: string;
  place: string;
}

export class Story {
  private readonly cast: string[];
  private readonly props: string[];
  private readonly scenes: string[];
  /** Where each person was last told to be. */
  private readonly at = new Map<string, string>();
  /** Who carries a thing, or else where it lies. */
  private readonly holder = new Map<string, string>();
  private readonly lies = new Map<string, string>();

  constructor(private readonly random: Random) {
    this.cast = random.shuffled(people).slice(0, 2 + random.below(3));
    this.props = random.shuffled(things).slice(0, 2 + random.below(3));
    this.scenes = random.shuffled(places).slice(0, 3 + random.below(4));
  }

  /** The next sentence, with a leading space; the world moves with it. */
  sentence(): string {
    const { random } = this;
    const person = random.pick(this.cast);
    const place = this.at.get(person);
    const start = random.below(4) === 0 ? ` ${random.pick(times)} ${person}` : ` ${person}`;
    if (place === undefined) return this.move(start, person);
    switch (random.below(8)) {
      case 0:
      case 1:
        return this.move(start, person);
      case 2:
      case 3:
      case 4:
        return this.handle(start, person, place);
      default:
        return this.idle(start, person, place);
    }
  }

  private move(start: string, person: string): string {
    const now = this.at.get(person);
    const place = this.random.pick(this.scenes.filter((scene) => scene !== now));
    this.at.set(person, place);
    return `${start} ${this.random.pick(goings)} to the ${place}.`;
  }

  /** Takes, puts down or hands on a thing; nothing is taken that is known to be elsewhere. */
  private handle(start: string, person: string, place: string): string {
    const { random } = this;
    const thing = random.pick(this.props);
    const holder = this.holder.get(thing);
    if (holder === undefined) {
      const lies = this.lies.get(thing);
      if (lies !== undefined && lies !== place) return this.move(start, person);
      this.lies.delete(thing);
      this.holder.set(thing, person);
      return `${start} ${random.below(2) ? 'took' : 'found'} the ${thing}.`;
    }
    if (holder !== person) return this.idle(start, person, place);
    const other = this.cast.find((name) => name !== person && this.at.get(name) === place);
    if (other !== undefined && random.below(2)) {
      this.holder.set(thing, other);
      return `${start} gave the ${thing} to ${other}.`;
    }
    this.holder.delete(thing);
    this.lies.set(thing, place);
    return `${start} put down the ${thing}.`;
  }

  /** A sentence that moves nothing. */
  private idle(start: string, person: string, place: string): string {
    const { random } = this;
    const other = this.cast.find((name) => name !== person && this.at.get(name) === place);
    switch (random.below(6)) {
      case 0:
        return ` The ${random.pick(weathers)} was ${random.pick(manners)} that day.`;
      case 1:
        return `${start} ate some ${random.pick(foods)} and it was ${random.pick(tastes)}.`;
      case 2:
        return other === undefined
          ? `${start} was alone in the ${place}.`
          : `${start} met ${other} in the ${place}.`;
      case 3:
        return other === undefined ? `${start} sang a song.` : `${start} told ${other} a story.`;
      case 4:
        return `${start} was ${random.pick(moods)} and sat down.`;
      default:
        return `${start} liked the ${place}.`;
    }
  }

  /** A question about a thing whose place follows from the text, or else a person; undefined at the very start. */
  question(): Question | undefined {
    const placed: Question[] = [];
    for (const thing of this.props) {
      const holder = this.holder.get(thing);
      const place = holder === undefined ? this.lies.get(thing) : this.at.get(holder);
      if (place !== undefined) placed.push({ question: ` Where is the ${thing}? In the`, place });
    }
    const known = this.cast.flatMap((name): Question[] => {
      const place = this.at.get(name);
      return place === undefined ? [] : [{ question: ` Where is ${name}? In the`, place }];
    });
    const choices = placed.length > 0 && this.random.below(3) > 0 ? placed : known;
    return choices.length > 0 ? this.random.pick(choices) : undefined;
  }
}
