/** Reads a stream of server-sent events, event by event. */
export interface ServerEvent {
  event: string;
  data: string;
}

export async function* readEvents(url: string): AsyncGenerator<ServerEvent, void> {
  const response = await fetch(url);
  let text = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const whole = text.split('\n\n');
    text = whole.pop()!;
    for (const block of whole) {
      const field = (name: string) =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      yield { event: field('event') ?? 'message', data: field('data') ?? '' };
    }
  }
}
