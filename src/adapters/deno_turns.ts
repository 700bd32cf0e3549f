/**
 * Lets Deno look at its sockets where many connections are busy.
 *
 * Deno looks at its sockets when its event loop is idle. If each turn has something to do, it looks only once in 61 tasks;
 * its scheduler, Tokio, sets that number. In one turn Tokio also lets only 128 reads and writes through. It holds the
 * others back until the next look. So 200 busy connections make quiet ones wait for seconds.
 *
 * @module
 */

/** After the reads of so many busy connections, the others have their turn. */
const CROWD = 32;

/** A connection that is busy: its last read filled the largest buffer, so that more is probably there. */
export interface BusyReader {
  /** The last period in which it read; -1 if there was none. */
  period: number;
  /** True while a read waits. */
  readonly waits: boolean;
  /** Begins the read that waited. */
  proceed(): void;
}

/** Counts the busy connections that have read since the last rest. */
export class ReadTurns {
  readonly #rest: (done: () => void) => void;
  #period = 0;
  #readers = 0;
  /** Those that wait for the next period; `undefined` while nobody has to wait. */
  #waiting: BusyReader[] | undefined = undefined;

  /** @param rest Calls `done` when the sockets have been looked at. */
  constructor(rest: (done: () => void) => void) {
    this.#rest = rest;
  }

  /** Returns true if a busy connection may read at once. If not, its `proceed` is called when it may. */
  may(reader: BusyReader): boolean {
    if (this.#waiting === undefined) {
      if (reader.period === this.#period) return true;
      if (this.#readers < CROWD) {
        reader.period = this.#period;
        this.#readers++;
        return true;
      }
      this.#waiting = [];
      this.#rest(this.#next);
    }
    this.#waiting.push(reader);
    return false;
  }

  readonly #next = (): void => {
    const waiting = this.#waiting!;
    this.#waiting = undefined;
    this.#period++;
    this.#readers = 0;
    for (const reader of waiting) if (reader.waits && this.may(reader)) reader.proceed();
  };
}
