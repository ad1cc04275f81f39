import type { JsonObject } from '../json-fields.ts';
import { type AddedToken, AddedTokenFinder } from './added-tokens.ts';
import { type Decode, decoder } from './decoders.ts';
import type { Model } from './models.ts';
import { type Normalize, normalizer } from './normalizers.ts';
import { type PreTokenize, preTokenizer } from './pre-tokenizers.ts';

/**
 * A text's way to ids and back, as tokenizer.json describes it and Hugging Face's tokenizers goes it: added tokens are
 * found first, the rest is normalized, cut into pieces, and each piece becomes tokens.
 */
export class Pipeline {
  /** By id; ids between tokens have none. */
  readonly tokens: readonly (string | undefined)[];
  readonly special: ReadonlySet<number>;
  private readonly ids = new Map<string, number>();
  private readonly normalize: Normalize;
  private readonly preTokenize: PreTokenize;
  private readonly decodeTokens: Decode;
  private readonly plain: AddedTokenFinder;
  private readonly normalized: AddedTokenFinder;

  /**
   * @param json tokenizer.json
   * @param model of its `model`
   * @param added its added tokens, and those of other files
   * @throws InputError for a component that is not supported, by its name, and for one that is broken
   */
  constructor(
    json: JsonObject,
    private readonly model: Model,
    added: readonly AddedToken[],
  ) {
    this.normalize = normalizer(json.normalizer);
    this.preTokenize = preTokenizer(json.pre_tokenizer);
    this.decodeTokens = decoder(json.decoder);
    const tokens: (string | undefined)[] = [];
    for (const [token, id] of this.model.vocabulary) tokens[id] = token;
    for (const { id, content } of added) {
      tokens[id] = content;
      this.ids.set(content, id);
    }
    this.tokens = Array.from(tokens);
    this.special = new Set(added.filter(({ special }) => special).map(({ id }) => id));
    this.plain = new AddedTokenFinder(added.filter(({ normalized }) => !normalized));
    this.normalized = new AddedTokenFinder(
      added.filter(({ normalized }) => normalized),
      this.normalize,
    );
  }

  tokenId(token: string): number | undefined {
    return this.ids.get(token) ?? this.model.vocabulary.get(token);
  }

  /** @throws InputError for text that the tokenizer has no token for, and a pattern that takes too much work */
  encode(text: string): number[] {
    const ids: number[] = [];
    for (const part of this.plain.split(wellFormed(text), true)) {
      if ('id' in part) ids.push(part.id);
      else this.encodePart(part.text, part.first, ids);
    }
    return ids;
  }

  private encodePart(text: string, first: boolean, ids: number[]): void {
    for (const part of this.normalized.split(this.normalize(text), first)) {
      if ('id' in part) {
        ids.push(part.id);
        continue;
      }
      for (const piece of this.preTokenize([part])) {
        if (piece.text === '') continue;
        for (const id of this.model.encode(piece.text)) ids.push(id);
      }
    }
  }

  /** Ids without a token have no text. */
  decode(ids: readonly number[], skipSpecial: boolean): string {
    const tokens: string[] = [];
    for (const id of ids) {
      const token = this.tokens[id];
      if (token !== undefined && !(skipSpecial && this.special.has(id))) tokens.push(token);
    }
    return tokens.length === 0 ? '' : this.decodeTokens(tokens).join('');
  }
}

/** A half of a surrogate pair by itself is no text; UTF-8 writes U+FFFD for it. */
const wellFormed = (text: string) => text.replace(/\p{Surrogate}/gu, '\ufffd');
