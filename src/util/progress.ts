/** What every long operation reports, whatever it does: a download, an import, a training run, a search. */
export interface ProgressEvent {
  /** What is going on, for people: 'align layer 3', 'download model.safetensors'. */
  stage: string;
  done: number;
  total: number;
  /** What is counted: 'tokens', 'bytes', 'steps', 'candidates'. */
  unit: string;
  /** Further values worth showing, such as the loss. */
  values?: Record<string, number>;
  /** What is worth saying beside the values, in words; it is left out where there is no room. */
  note?: string;
  /** Something that people should know of: a damaged file that is made anew. */
  notice?: string;
}

/** Tells a line by the way of progress. */
export function noticeBy(onProgress: OnProgress | undefined, stage: string): (line: string) => void {
  return (notice) => onProgress?.({ stage, done: 0, total: 0, unit: 'files', notice });
}

export type OnProgress = (event: ProgressEvent) => void;
