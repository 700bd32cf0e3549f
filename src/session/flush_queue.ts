/**
 * Gathers what the connections of one Server or Client send between two rounds of I/O, and writes it when the turn of the
 * event loop ends: a chunk full of requests is answered in one write.
 *
 * @module
 */

import type { Transport } from "../transport.ts";

/** Something to be written when the turn ends. */
export interface Flushable {
  /** Writes what was gathered. */
  flush(): void;
}

/** The connections to flush at the end of this turn. */
export class FlushQueue {
  readonly #transport: Transport;
  #waiting: Flushable[] = [];
  #open = false;

  /** @param transport Where turns end. */
  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Whether the end of this turn is waited for: then nothing needs to be written before. */
  get open(): boolean {
    return this.#open;
  }

  /** Waits for the end of this turn, if that is not done already. */
  begin(): void {
    if (this.#open) return;
    this.#open = true;
    this.#transport.defer(this.#end);
  }

  /** Has something flushed at the end of this turn. */
  add(outbox: Flushable): void {
    this.begin();
    this.#waiting.push(outbox);
  }

  readonly #end = (): void => {
    this.#open = false;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const outbox of waiting) outbox.flush();
  };
}
