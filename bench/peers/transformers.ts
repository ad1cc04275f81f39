import type { Player, Turn } from './contender.ts';

export async function openTransformers(_turn: Turn): Promise<Player> {
  throw new Error('not yet');
}
