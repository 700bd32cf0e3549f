/**
 * Keeps entries by their id, for ids that are counted up and soon forgotten. Entries are kept in a ring, and in a `Map`
 * if their place in the ring is taken. A `Map` alone is expensive. Every few hundred entries it has to grow or to be
 * cleaned, and V8 then keeps the contents of its old table alive until the next full collection. Collecting them was
 * expensive, above all on Deno.
 *
 * @module
 */

/** Something that has an id. */
export interface Identified {
  /** A number, or a string, which goes into the `Map`. */
  readonly requestId: number | string;
}

const SMALLEST = 16;
const LARGEST = 65_536;
/** The greatest length at which an empty ring is kept. */
const KEPT = 1024;

/** Entries by their id. */
export class IdMap<Entry extends Identified> {
  #ring: (Entry | undefined)[] = new Array(SMALLEST).fill(undefined);
  #inRing = 0;
  #others: Map<number | string, Entry> | undefined = undefined;

  /** The number of entries. */
  get size(): number {
    return this.#inRing + (this.#others?.size ?? 0);
  }

  /** Returns the entry with this id; `undefined` if there is none. */
  get(id: number | string): Entry | undefined {
    if (typeof id === "number") {
      const entry = this.#ring[placeOf(id, this.#ring)];
      if (entry !== undefined && entry.requestId === id) return entry;
    }
    return this.#others?.get(id);
  }

  /** Adds an entry. One with the same id is replaced. */
  set(entry: Entry): void {
    const id = entry.requestId;
    if (typeof id === "number" && this.#others?.has(id) !== true) {
      if (2 * this.#inRing >= this.#ring.length && this.#ring.length < LARGEST) this.#grow();
      const place = placeOf(id, this.#ring);
      const before = this.#ring[place];
      if (before === undefined || before.requestId === id) {
        this.#ring[place] = entry;
        if (before === undefined) this.#inRing++;
        return;
      }
    }
    (this.#others ??= new Map()).set(id, entry);
  }

  /** Removes the entry with this id, if there is one. */
  delete(id: number | string): void {
    if (typeof id === "number") {
      const place = placeOf(id, this.#ring);
      if (this.#ring[place]?.requestId === id) {
        this.#ring[place] = undefined;
        this.#inRing--;
        // What one busy moment needed must not be kept for the life of a connection.
        if (this.#inRing === 0 && this.#ring.length > KEPT) this.#ring = new Array(SMALLEST).fill(undefined);
        return;
      }
    }
    this.#others?.delete(id);
  }

  /** Returns all entries, in no particular order. */
  values(): Entry[] {
    return [...this.#ring.filter((entry) => entry !== undefined), ...this.#others?.values() ?? []];
  }

  /** Doubles the ring. Entries in different places stay in different places. */
  #grow(): void {
    const { length } = this.#ring;
    const ring: (Entry | undefined)[] = new Array(2 * length).fill(undefined);
    for (const entry of this.#ring) {
      if (entry !== undefined) ring[placeOf(entry.requestId as number, ring)] = entry;
    }
    this.#ring = ring;
  }
}

/** Returns the place of an id. The length of a ring is a power of two. */
function placeOf(id: number, { length }: { readonly length: number }): number {
  return id & (length - 1);
}
