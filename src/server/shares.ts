/**
 * Who holds how many of something that is scarce, and who holds most. Each step takes constant time, however many hold how
 * many.
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

/** What is held. */
export abstract class Held extends ListNode {
  /** Who holds it; the shares' own. */
  holder: unknown = undefined;
}

/** All that is held. */
export class Shares<S extends Held> {
  readonly #byKey = new Map<string, Holder<S>>();
  /** At each index those that hold so many, in the order in which they came to. */
  readonly #ranks: LinkedList<Holder<S>>[] = [new LinkedList()];
  #most = 0;
  #size = 0;

  /** How many are held. */
  get size(): number {
    return this.#size;
  }

  /** How many a key holds. */
  count(key: string): number {
    return this.#byKey.get(key)?.held.size ?? 0;
  }

  /** How many the one has who has most. */
  get most(): number {
    return this.#most;
  }

  /** What a key has held for longest. */
  oldestOf(key: string): S | undefined {
    return this.#byKey.get(key)?.held.first;
  }

  /** Gives one to a key; where that is empty, to a holder of its own. */
  add(key: string, held: S): void {
    const holder = this.#byKey.get(key) ?? new Holder(this, key);
    if (key !== "" && holder.held.size === 0) this.#byKey.set(key, holder);
    held.holder = holder;
    this.#takeOut(holder);
    holder.held.add(held);
    this.#putIn(holder);
    this.#size++;
  }

  /** Takes one back; one that is not held here is ignored. */
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

  /** What goes first so that the oldest make room: of the one who holds most, what it has held for longest. */
  get oldest(): S | undefined {
    return this.#ranks[this.#most]?.first?.held.first;
  }

  /** What goes first so that the oldest stay: of the one who holds most, what it got last. */
  get newest(): S | undefined {
    return this.#ranks[this.#most]?.last?.held.last;
  }

  /** All of them. */
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
    // One step down at most: a holder gives back one at a time.
    else if (this.#ranks[this.#most]?.size === 0) this.#most--;
  }
}
