/**
 * A list whose links can be taken out from anywhere in constant time. A set would do, but finding its first element takes as
 * long as elements were deleted before it.
 *
 * @module
 */

/** What hangs in one chain at a time. */
export abstract class Connector {
  /** The neighbours; the chain's own. */
  before: Connector | undefined = undefined;
  /** The neighbours; the chain's own. */
  after: Connector | undefined = undefined;
}

/** Links in the order in which they were added. */
export class Chain<L extends Connector> {
  #first: L | undefined = undefined;
  #last: L | undefined = undefined;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The one that was added first. */
  get first(): L | undefined {
    return this.#first;
  }

  /** The one that was added last. */
  get last(): L | undefined {
    return this.#last;
  }

  /** Adds one that hangs in no chain. */
  add(link: L): void {
    link.before = this.#last;
    if (this.#last === undefined) this.#first = link;
    else this.#last.after = link;
    this.#last = link;
    this.#size++;
  }

  /** Takes one out that hangs in this chain. */
  remove(link: L): void {
    const { before, after } = link;
    if (before === undefined) this.#first = after as L | undefined;
    else before.after = after;
    if (after === undefined) this.#last = before as L | undefined;
    else after.before = before;
    link.before = link.after = undefined;
    this.#size--;
  }

  /** All of them; what is asked for may be taken out meanwhile. */
  *[Symbol.iterator](): Generator<L, void, void> {
    for (let link = this.#first; link !== undefined;) {
      const next = link.after as L | undefined;
      yield link;
      link = next;
    }
  }
}
