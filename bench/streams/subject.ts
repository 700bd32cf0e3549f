/**
 * What the workload `streams` measures, seen by the workload: bytes and items that go through one stream, to the server or
 * from it.
 *
 * @module
 */

import { Payloads, SerialCheck } from "../../src/cli/bench/payloads.ts";

/** What goes through. */
export interface Transfer {
  /** To the server, or from it. */
  readonly direction: "up" | "down";
  /** Bytes may be cut anywhere, items arrive as they were sent; messages are the library's own, beside its items. */
  readonly kind: "bytes" | "items" | "messages";
  /** Bytes of a piece or of an item. */
  readonly size: number;
  /** How many of them. */
  readonly count: number;
}

/** A client's open connection. */
export interface StreamPeer {
  /** Moves all of it. Resolves when it is known that everything has arrived. */
  run(transfer: Transfer): Promise<void>;
  close(): Promise<void>;
}

/** One thing to measure. */
export interface StreamSubject {
  /** Whether it has items, too. */
  readonly items: boolean;
  /** Starts a server at a free port of the loopback address, and returns the port. */
  serve(): Promise<number>;
  connect(port: number): Promise<StreamPeer>;
}

/** How many different payloads a sender has. */
const RING_BYTES = 2 ** 20;

/** Returns the payloads of a transfer. */
export function payloadsOf({ size }: Transfer): Payloads {
  return new Payloads(size, 0, ringOf(size));
}

function ringOf(size: number): number {
  return Math.max(16, Math.min(4096, Math.floor(RING_BYTES / size)));
}

/** Counts what arrives of a transfer. */
export class Arrivals {
  readonly #check: SerialCheck | undefined;
  readonly #bytes: number;
  #left: number;

  constructor({ kind, size, count }: Transfer) {
    this.#check = kind === "bytes" ? undefined : new SerialCheck(1, ringOf(size), size);
    this.#bytes = size * count;
    this.#left = this.#bytes;
  }

  /** Takes what came. Returns true if it was the last. */
  take(content: Uint8Array): boolean {
    this.#check?.take(content);
    this.#left -= content.length;
    if (this.#left > 0) return false;
    this.confirm();
    return true;
  }

  /** Throws unless everything has arrived, once and in order. */
  confirm(): void {
    const { gaps = 0, twice = 0, inversions = 0, damaged = 0 } = this.#check ?? {};
    if (this.#left === 0 && gaps + twice + inversions + damaged === 0) return;
    throw new Error(
      `Of ${this.#bytes} bytes ${this.#left} are missing; items: ${gaps} were lost, ${twice} came twice, ` +
        `${inversions} behind a later one, ${damaged} damaged`,
    );
  }
}
