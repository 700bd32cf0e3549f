/**
 * A doubly linked list: a node can be removed from anywhere in constant time. A `Set` would do the same, but finding
 * its first element takes longer the more elements were deleted before it.
 *
 * @module
 */

/** A node. It is in at most one list at a time. */
export abstract class ListNode {
  /** The previous node. Set by the list. */
  before: ListNode | undefined = undefined;
  /** The next node. Set by the list. */
  after: ListNode | undefined = undefined;
}

/** Nodes in the order in which they were added. */
export class LinkedList<L extends ListNode> {
  #first: L | undefined = undefined;
  #last: L | undefined = undefined;
  #size = 0;

  /** The number of nodes. */
  get size(): number {
    return this.#size;
  }

  /** The node that was added first. */
  get first(): L | undefined {
    return this.#first;
  }

  /** The node that was added last. */
  get last(): L | undefined {
    return this.#last;
  }

  /** Adds a node that is in no list. */
  add(node: L): void {
    node.before = this.#last;
    if (this.#last === undefined) this.#first = node;
    else this.#last.after = node;
    this.#last = node;
    this.#size++;
  }

  /** Removes a node of this list. */
  remove(node: L): void {
    const { before, after } = node;
    if (before === undefined) this.#first = after as L | undefined;
    else before.after = after;
    if (after === undefined) this.#last = before as L | undefined;
    else after.before = before;
    node.before = node.after = undefined;
    this.#size--;
  }

  /** Iterates over all nodes. The node that was yielded may be removed meanwhile. */
  *[Symbol.iterator](): Generator<L, void, void> {
    for (let node = this.#first; node !== undefined;) {
      const next = node.after as L | undefined;
      yield node;
      node = next;
    }
  }
}
