/**
 * The faults of one direction of a memory connection, as a script that plays the same way each time.
 *
 * @module
 */

import { seeded } from "../base/random.ts";

/**
 * One bit to flip.
 *
 * @category Testing
 */
export interface BitFlip {
  /** The offset of the byte in the direction, from 0. */
  readonly byte: number;
  /** The bit of that byte, 0 (lowest) to 7. */
  readonly bit: number;
}

/**
 * Pieces of random sizes. The same seed gives the same sizes.
 *
 * @category Testing
 */
export interface RandomSplit {
  /** The seed: any integer. */
  readonly seed: number;
  /** The largest piece, in bytes. @default 64 */
  readonly max?: number;
}

/**
 * A point at which a direction stops.
 *
 * @category Testing
 */
export interface Freeze {
  /** How many bytes are delivered before that. */
  readonly after: number;
  /** The direction goes on when this resolves. @default never */
  readonly until?: Promise<unknown>;
}

/**
 * The faults of one direction, which is the bytes that one side sends. Offsets count that side's bytes from the start
 * of the connection. Faults can be combined. Of `resetAfter`, `closeAfter` and `dropAfter` the smallest wins.
 *
 * @category Testing
 */
export interface Faults {
  /**
   * Splits what is delivered: into pieces of this many bytes, at these ascending offsets, or into pieces of random
   * sizes.
   */
  readonly split?: number | readonly number[] | RandomSplit;
  /**
   * Delays each delivery by this many milliseconds of the clock. A function is called for each delivery. Bytes never
   * overtake others: a delivery whose delay is shorter waits for the one before.
   */
  readonly delay?: number | (() => number);
  /** Flips bits. */
  readonly corrupt?: BitFlip | readonly BitFlip[];
  /** Delivers this many bytes, then resets the connection for both sides. */
  readonly resetAfter?: number;
  /** Delivers this many bytes, then FIN. What the side sends after them vanishes. */
  readonly closeAfter?: number;
  /** Delivers this many bytes. What the side sends after them vanishes, FIN included, as on a broken line. */
  readonly dropAfter?: number;
  /** Delivers `after` bytes, then nothing: the pipe fills up, and writing stays pending. */
  readonly freeze?: Freeze;
}

/** A step of a script: bytes to deliver, or an event between two bytes. */
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

  /** @param faults The faults to play. */
  constructor(faults: Faults) {
    const { closeAfter, corrupt = [], dropAfter, resetAfter, split } = faults;
    this.#faults = faults;
    this.#flips = Array.isArray(corrupt) ? corrupt : [corrupt as BitFlip];
    if (typeof split === "object" && "seed" in split) this.#random = seeded(split.seed);
    this.#cut = this.#nextCut(0);
    const stops = [
      { at: resetAfter ?? Infinity, kind: "reset" },
      { at: closeAfter ?? Infinity, kind: "close" },
      { at: dropAfter ?? Infinity, kind: "drop" },
    ] as const;
    const stop = stops.reduce((first, next) => next.at < first.at ? next : first);
    this.#stop = stop.at === Infinity ? undefined : stop;
  }

  /** The delay of the next delivery, in milliseconds. */
  get delay(): number {
    const { delay = 0 } = this.#faults;
    return typeof delay === "number" ? delay : delay();
  }

  /** True once the script has ended the direction. What is sent after that vanishes, FIN included. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Ends the direction now. */
  stop(): void {
    this.#stopped = true;
  }

  /** Returns the steps before the first byte. */
  start(): Step[] {
    const steps: Step[] = [];
    this.#events(steps);
    return steps;
  }

  /**
   * Returns the steps for the next bytes.
   *
   * @param bytes The bytes. The script may change them.
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
