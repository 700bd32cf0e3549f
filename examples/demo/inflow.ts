/**
 * What one client receives from another: the lines in their order, and the SHA-256 of each pass through the file.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Line, PassEnd } from "./contract.ts";
import { Serials } from "./serials.ts";

/** Short lines are gathered into blocks of this size: hashing them one by one costs more than the hash. */
const BLOCK = 64 * 1024;

/** One sender's stream, put together again. */
export class Inflow {
  /** What came of its serials. */
  readonly serials: Serials = new Serials();
  /** Settles when its last pass is over. */
  readonly over: Promise<void>;
  readonly #expected: string;
  readonly #block = new Uint8Array(BLOCK);
  #resolveOver = (): void => {};
  #used = 0;
  #hash = createHash("sha256");
  #sha256 = "";
  #passes = 0;
  #complete = false;

  /** @param expected The SHA-256 of the file. */
  constructor(expected: string) {
    this.#expected = expected;
    this.over = new Promise((resolve) => this.#resolveOver = resolve);
  }

  /** The SHA-256 of what came: the file's, or that of the first pass that differs; empty before the first pass ends. */
  get sha256(): string {
    return this.#sha256;
  }

  /** Passes that are over. */
  get passes(): number {
    return this.#passes;
  }

  /** Whether its last pass is over. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Takes a line. */
  take({ serial, bytes }: Line): void {
    this.serials.take(serial);
    if (this.#used + bytes.length > BLOCK) this.#flush();
    if (bytes.length > BLOCK) this.#hash.update(bytes);
    else {
      this.#block.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  /** Ends a pass. */
  endPass({ serial, last }: PassEnd): void {
    this.serials.upTo(serial);
    this.#flush();
    const sha256 = this.#hash.digest("hex");
    this.#hash = createHash("sha256");
    if (this.#passes++ === 0 || this.#sha256 === this.#expected) this.#sha256 = sha256;
    if (!last) return;
    this.#complete = true;
    this.#resolveOver();
  }

  #flush(): void {
    this.#hash.update(this.#block.subarray(0, this.#used));
    this.#used = 0;
  }
}
