/**
 * A queue over an array. Removed items are cut off now and then, not one by one.
 *
 * @module
 */

/** The number of removed items that are kept before the array is cut. */
const CUT = 1024;

/** A queue that is first in, first out. */
export class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  /** The number of items. */
  get size(): number {
    return this.#items.length - this.#head;
  }

  /** The next item; `undefined` if there is none. */
  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  /** Adds an item at the end. */
  push(item: Item): void {
    this.#items.push(item);
  }

  /** Removes the next item and returns it. The queue must not be empty. */
  shift(): Item {
    const item = this.#items[this.#head];
    // The array must not keep what has left the queue.
    this.#items[this.#head++] = undefined as Item;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head === CUT) {
      this.#items = this.#items.slice(CUT);
      this.#head = 0;
    }
    return item;
  }

  /** Iterates over all items, in order. */
  *[Symbol.iterator](): IterableIterator<Item> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i];
  }

  /** Removes all items and returns them. */
  clear(): Item[] {
    const left = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return left;
  }
}
