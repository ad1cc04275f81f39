import { Sequence } from '../sequence.ts';
import type { Rows } from './rows.ts';

/** A sequence on a device: a row of rows, which it may share with the others of a batch and with its forks. */
export class DeviceSequence extends Sequence {
  /** @internal */
  constructor(
    private place: { rows: Rows; row: number },
    tokens = 0,
  ) {
    super();
    this.tokens = tokens;
  }

  /** @internal */
  get rows(): Rows {
    return this.place.rows;
  }

  /** @internal */
  get row(): number {
    return this.place.row;
  }

  /** @internal Goes over to a row of other rows, whose user it becomes. */
  move(rows: Rows, row: number): void {
    const before = this.rows;
    this.place = { rows: rows.retain(), row };
    before.release();
  }

  /** Of rows that are shared, its part. */
  parts(): Map<object, number> {
    const parts = new Map<object, number>();
    for (const value of this.rows.values()) parts.set(value, (4 * value.size) / this.rows.size);
    return parts;
  }

  protected copy(): this {
    return new DeviceSequence({ rows: this.rows.retain(), row: this.row }) as this;
  }

  protected free(): void {
    this.rows.release();
  }
}
