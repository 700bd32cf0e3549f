/**
 * Entries by their id, for ids that are counted up and soon forgotten: a ring of places, and a `Map` for what meets a taken
 * place. V8 keeps what was in the old table of a `Map` that had to grow or to be cleaned alive until its next full
 * collection, which happens every few hundred entries: collecting it was expensive, above all on Deno.
 *
 * @module
 */

/** What has an id. */
export interface Identified {
  /** A number, or a text, which goes into the `Map`. */
  readonly requestId: number | string;
}

const SMALLEST = 16;
const LARGEST = 65_536;
/** An empty ring is at most this long. */
const KEPT = 1024;

/** The entries. */
export class IdMap<Entry extends Identified> {
  #ring: (Entry | undefined)[] = new Array(SMALLEST).fill(undefined);
  #inRing = 0;
  #others: Map<number | string, Entry> | undefined = undefined;

  /** How many there are. */
  get size(): number {
    return this.#inRing + (this.#others?.size ?? 0);
  }

  /** The entry of this id. */
  get(id: number | string): Entry | undefined {
    if (typeof id === "number") {
      const entry = this.#ring[placeOf(id, this.#ring)];
      if (entry !== undefined && entry.requestId === id) return entry;
    }
    return this.#others?.get(id);
  }

  /** Adds an entry; one of the same id is replaced. */
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

  /** Forgets the entry of this id, if there is one. */
  delete(id: number | string): void {
    if (typeof id === "number") {
      const place = placeOf(id, this.#ring);
      if (this.#ring[place]?.requestId === id) {
        this.#ring[place] = undefined;
        this.#inRing--;
        // What one busy moment needed is not kept for the life of a connection.
        if (this.#inRing === 0 && this.#ring.length > KEPT) this.#ring = new Array(SMALLEST).fill(undefined);
        return;
      }
    }
    this.#others?.delete(id);
  }

  /** All of them, in no order. */
  values(): Entry[] {
    return [...this.#ring.filter((entry) => entry !== undefined), ...this.#others?.values() ?? []];
  }

  /** Different places stay different in a ring of twice the size. */
  #grow(): void {
    const { length } = this.#ring;
    const ring: (Entry | undefined)[] = new Array(2 * length).fill(undefined);
    for (const entry of this.#ring) {
      if (entry !== undefined) ring[placeOf(entry.requestId as number, ring)] = entry;
    }
    this.#ring = ring;
  }
}

/** The length of a ring is a power of two. */
function placeOf(id: number, { length }: { readonly length: number }): number {
  return id & (length - 1);
}
