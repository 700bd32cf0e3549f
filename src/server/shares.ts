/**
 * Counts who holds how many of something scarce, and finds who holds most. Each step takes constant time, however many
 * holders there are and however many they hold.
 *
 * @module
 */

import { LinkedList, ListNode } from "../base/linked_list.ts";

/** One holder. */
class Holder<S extends Held> extends ListNode {
  readonly of: Shares<S>;
  readonly key: string;
  readonly held = new LinkedList<S>();

  constructor(of: Shares<S>, key: string) {
    super();
    this.of = of;
    this.key = key;
  }
}

/** Something that is held. */
export abstract class Held extends ListNode {
  /** The holder. Only {@linkcode Shares} sets it. */
  holder: unknown = undefined;
}

/** Everything that is held, by its holders. */
export class Shares<S extends Held> {
  readonly #byKey = new Map<string, Holder<S>>();
  /** At each index the holders of that many, in the order in which they reached that number. */
  readonly #ranks: LinkedList<Holder<S>>[] = [new LinkedList()];
  #most = 0;
  #size = 0;

  /** The number of all that are held. */
  get size(): number {
    return this.#size;
  }

  /** Returns how many a key holds. */
  count(key: string): number {
    return this.#byKey.get(key)?.held.size ?? 0;
  }

  /** The largest number that one holder has. */
  get most(): number {
    return this.#most;
  }

  /** Returns what a key has held for longest. */
  oldestOf(key: string): S | undefined {
    return this.#byKey.get(key)?.held.first;
  }

  /** Gives one to a key. If the key is empty, it gets a holder of its own. */
  add(key: string, held: S): void {
    const holder = this.#byKey.get(key) ?? new Holder(this, key);
    if (key !== "" && holder.held.size === 0) this.#byKey.set(key, holder);
    held.holder = holder;
    this.#takeOut(holder);
    holder.held.add(held);
    this.#putIn(holder);
    this.#size++;
  }

  /** Takes one back. One that is not held here is ignored. */
  delete(held: S): void {
    const holder = held.holder as Holder<S> | undefined;
    if (holder?.of !== this) return;
    held.holder = undefined;
    this.#takeOut(holder);
    holder.held.remove(held);
    this.#putIn(holder);
    if (holder.key !== "" && holder.held.size === 0) this.#byKey.delete(holder.key);
    this.#size--;
  }

  /**
   * The one to take back so that the newest stay: from a holder with the largest number, what it has held for longest.
   */
  get oldest(): S | undefined {
    return this.#ranks[this.#most]?.first?.held.first;
  }

  /** The one to take back so that the oldest stay: from a holder with the largest number, what it got last. */
  get newest(): S | undefined {
    return this.#ranks[this.#most]?.last?.held.last;
  }

  /** Iterates over all that are held. */
  *[Symbol.iterator](): Generator<S, void, void> {
    for (const rank of this.#ranks) {
      for (const holder of rank) yield* holder.held;
    }
  }

  #takeOut(holder: Holder<S>): void {
    const { size } = holder.held;
    if (size > 0) this.#ranks[size].remove(holder);
  }

  #putIn(holder: Holder<S>): void {
    const { size } = holder.held;
    if (size > 0) (this.#ranks[size] ??= new LinkedList()).add(holder);
    if (size > this.#most) this.#most = size;
    // The largest number falls by at most one, because a holder gives back one at a time.
    else if (this.#ranks[this.#most]?.size === 0) this.#most--;
  }
}
