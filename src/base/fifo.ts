/**
 * A queue over an array: taken items are cut off now and then, not one by one.
 *
 * @module
 */

/** How many taken items are kept before the array is cut. */
const CUT = 1024;

/** First in, first out. */
export class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  /** How many there are. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** The next one; `undefined` when there is none. */
  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  /** Adds one at the end. */
  push(item: Item): void {
    this.#items.push(item);
  }

  /** Takes the next one out; there must be one. */
  shift(): Item {
    const item = this.#items[this.#head++];
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head === CUT) {
      this.#items = this.#items.slice(CUT);
      this.#head = 0;
    }
    return item;
  }

  /** All of them, in order. */
  *[Symbol.iterator](): IterableIterator<Item> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i];
  }

  /** Takes all out. */
  clear(): Item[] {
    const left = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return left;
  }
}
