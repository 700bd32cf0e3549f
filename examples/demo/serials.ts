/**
 * Watches serial numbers, which must come one by one: each once, none left out, none late.
 *
 * @module
 */

/** What came of one sender's messages, which it numbers from 0. */
export class Serials {
  #received = 0;
  #next = 0;
  #lost = 0;
  #disordered = 0;

  /** Messages that came. */
  get received(): number {
    return this.#received;
  }

  /** Serials that were left out. */
  get lost(): number {
    return this.#lost;
  }

  /** Messages that came twice, or after a later one. */
  get disordered(): number {
    return this.#disordered;
  }

  /** Takes the serial of a message. */
  take(serial: number): void {
    this.#received++;
    if (serial < this.#next) this.#disordered++;
    else this.upTo(serial), this.#next++;
  }

  /** Takes it that all serials below this one have been sent. */
  upTo(serial: number): void {
    this.#lost += Math.max(0, serial - this.#next);
    this.#next = Math.max(this.#next, serial);
  }
}
