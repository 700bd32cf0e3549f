/**
 * Finds what waits by the code of its message type and its key.
 *
 * @module
 */

/** What tells the messages of one type apart of which only the latest counts. */
export type LatestKey = string | number;

/** The entries that wait. It holds nothing for a code or a key that has no entry. */
export class LatestIndex<Entry> {
  readonly #codes = new Map<number, Map<LatestKey, Entry>>();

  /** The number of codes and keys; 0 while nothing waits. */
  get size(): number {
    let size = this.#codes.size;
    for (const { size: keys } of this.#codes.values()) size += keys;
    return size;
  }

  /** Returns the entry of a key; `undefined` if there is none. */
  find(code: number, key: LatestKey): Entry | undefined {
    return this.#codes.get(code)?.get(key);
  }

  /** Adds an entry for a key that has none. */
  add(code: number, key: LatestKey, entry: Entry): void {
    const keys = this.#codes.get(code);
    if (keys === undefined) this.#codes.set(code, new Map([[key, entry]]));
    else keys.set(key, entry);
  }

  /** Removes the entry of a key. */
  remove(code: number, key: LatestKey): void {
    const keys = this.#codes.get(code);
    if (keys?.delete(key) && keys.size === 0) this.#codes.delete(code);
  }

  /** Removes all entries. */
  clear(): void {
    this.#codes.clear();
  }
}
