import type { Document } from './document.ts';
import type { Row } from './fields.ts';

export type Split = 'train' | 'validation' | 'test' | 'dev';

/** How a document is judged; `generation` by what a model writes. */
type Kind = 'answer' | 'choice' | 'generation' | 'text';

export interface Description {
  name: string;
  /** A line for people. */
  about: string;
  kind: Kind;
  /** Of the harness' definition. */
  version: number;
  /** Where it is on the Hub. */
  repo: string;
  config?: string;
  /** What files and folders that have it are called, beside the name of the task and the configuration. */
  alsoNamed?: readonly string[];
  /** The split that is judged, and the one that shots come from. */
  split: Split;
  shotSplit: Split;
  /** Shots are the first documents of their split; without it they are drawn, others for every document. */
  firstShots?: boolean;
  /** One more shot is drawn than is needed, and the document itself left out if it is among them. */
  shotsWithoutDocument?: boolean;
  /** Shots that there are unless told. */
  shots?: number;
  /** The columns of tables without a row of headers. */
  columns?: readonly string[];
  /** Stands before everything. */
  preamble?: string;
  /** Whether the harness has acc_norm, where log-probabilities are divided by the characters of the choice. */
  normalised?: boolean;
  /** @throws InputError naming the field that is not as expected */
  document: (row: Row) => Document;
}
