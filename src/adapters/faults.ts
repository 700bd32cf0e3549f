/**
 * What may go wrong with the bytes of one direction of a memory connection, as a script that always plays the same way.
 *
 * @module
 */

/** One bit to flip. */
export interface BitFlip {
  /** Which byte of the direction, from 0. */
  readonly byte: number;
  /** Which bit of it, 0 (lowest) to 7. */
  readonly bit: number;
}

/** Pieces of random sizes, the same for the same seed. */
export interface RandomSplit {
  /** Any integer. */
  readonly seed: number;
  /** The largest piece, in bytes. @default 64 */
  readonly max?: number;
}

/** Where a direction stops moving. */
export interface Freeze {
  /** How many bytes still pass. */
  readonly after: number;
  /** It moves again when this resolves. @default never */
  readonly until?: Promise<unknown>;
}

/**
 * The faults of one direction: of the bytes that one side sends. Offsets count that side's bytes from the start of the
 * connection. Faults combine; of `resetAfter`, `closeAfter` and `dropAfter` the smallest wins.
 */
export interface Faults {
  /** Delivers pieces: of so many bytes, or cut at these ascending offsets, or of random sizes. */
  readonly split?: number | readonly number[] | RandomSplit;
  /** Delivers everything later by so many milliseconds of the clock. */
  readonly delay?: number;
  /** Flips bits. */
  readonly corrupt?: BitFlip | readonly BitFlip[];
  /** Delivers so many bytes, then resets the connection for both sides. */
  readonly resetAfter?: number;
  /** Delivers so many bytes, then FIN; what the side sends after them vanishes. */
  readonly closeAfter?: number;
  /** Delivers so many bytes; what the side sends after them vanishes, FIN too, as on a broken line. */
  readonly dropAfter?: number;
  /** Delivers so many bytes, then nothing moves: the pipe fills up and writing stays pending. */
  readonly freeze?: Freeze;
}

/** A step of a script: bytes to deliver, or what happens between two bytes. */
export type Step =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "freeze"; readonly until: Promise<unknown> }
  | { readonly kind: "close" | "reset" };

/** Plays the {@linkcode Faults} of one direction on its bytes. */
export class FaultScript {
  readonly #faults: Faults;
  readonly #random: (() => number) | undefined;
  readonly #flips: readonly BitFlip[];
  readonly #stop: { readonly at: number; readonly kind: "reset" | "close" | "drop" } | undefined;
  #offset = 0;
  #cut: number;
  #frozen = false;
  #stopped = false;

  /** @param faults The script. */
  constructor(faults: Faults) {
    const { closeAfter, corrupt = [], dropAfter, resetAfter, split } = faults;
    this.#faults = faults;
    this.#flips = Array.isArray(corrupt) ? corrupt : [corrupt as BitFlip];
    if (typeof split === "object" && "seed" in split) this.#random = randomOf(split.seed);
    this.#cut = this.#nextCut(0);
    const stops = [
      { at: resetAfter ?? Infinity, kind: "reset" },
      { at: closeAfter ?? Infinity, kind: "close" },
      { at: dropAfter ?? Infinity, kind: "drop" },
    ] as const;
    const stop = stops.reduce((first, next) => next.at < first.at ? next : first);
    this.#stop = stop.at === Infinity ? undefined : stop;
  }

  /** Milliseconds by which everything comes later. */
  get delay(): number {
    return this.#faults.delay ?? 0;
  }

  /** Whether the direction has ended by the script: what comes now, FIN too, vanishes. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The steps that happen before any byte was sent. */
  start(): Step[] {
    const steps: Step[] = [];
    this.#events(steps);
    return steps;
  }

  /**
   * The steps for the next bytes.
   *
   * @param bytes The bytes, which are the script's to change.
   */
  play(bytes: Uint8Array): Step[] {
    const steps: Step[] = [];
    this.#flip(bytes);
    let from = 0;
    while (from < bytes.length && !this.#stopped) {
      const freeze = this.#frozen ? Infinity : this.#faults.freeze?.after ?? Infinity;
      const end = Math.min(this.#offset + bytes.length - from, this.#cut, freeze, this.#stop?.at ?? Infinity);
      const to = from + end - this.#offset;
      if (to > from) steps.push({ kind: "bytes", bytes: bytes.subarray(from, to) });
      from = to;
      this.#offset = end;
      if (end === this.#cut) this.#cut = this.#nextCut(end);
      this.#events(steps);
    }
    return steps;
  }

  #events(steps: Step[]): void {
    const { freeze } = this.#faults;
    if (freeze && !this.#frozen && this.#offset >= freeze.after) {
      this.#frozen = true;
      steps.push({ kind: "freeze", until: freeze.until ?? new Promise(() => {}) });
    }
    if (!this.#stop || this.#offset < this.#stop.at) return;
    this.#stopped = true;
    if (this.#stop.kind !== "drop") steps.push({ kind: this.#stop.kind });
  }

  #flip(bytes: Uint8Array): void {
    for (const { bit, byte } of this.#flips) {
      const at = byte - this.#offset;
      if (at >= 0 && at < bytes.length) bytes[at]! ^= 1 << bit;
    }
  }

  #nextCut(offset: number): number {
    const { split } = this.#faults;
    if (split === undefined) return Infinity;
    if (typeof split === "number") return offset + Math.max(1, Math.floor(split));
    if ("seed" in split) return offset + 1 + Math.floor(this.#random!() * (split.max ?? 64));
    return split.find((cut) => cut > offset) ?? Infinity;
  }
}

// Mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
