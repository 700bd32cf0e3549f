/**
 * Requests on one connection with a fixed number in flight: each reply is checked by its serial number and starts the next
 * request.
 *
 * @module
 */

import { Payloads, SerialCheck } from "../../src/cli/bench/payloads.ts";
import type { Peer } from "../subject.ts";
import type { Context } from "../workload.ts";

/** More than are ever in flight. */
const RING = 4096;

/** Sends requests of `size` bytes through `peer`. */
export class Requests {
  readonly #peer: Peer;
  readonly #payloads: Payloads;
  readonly #check: SerialCheck;
  #sent = 0;

  constructor(peer: Peer, size: number) {
    this.#peer = peer;
    this.#payloads = new Payloads(size, 0, RING);
    this.#check = new SerialCheck(1, RING, size);
  }

  /** Sends `total` requests, `inFlight` at a time; `replied`, if given, is called at each reply. */
  run(total: number, inFlight: number, replied?: () => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const peer = this.#peer;
    const end = this.#sent + total;
    let left = total;
    const done = (reply: Uint8Array) => {
      this.#check.take(reply);
      replied?.();
      if (this.#sent < end) send();
      if (--left === 0) resolve();
    };
    const send = () => {
      this.#sent++;
      peer.request(this.#payloads.next(), done);
    };
    for (let i = 0; i < inFlight && this.#sent < end; i++) send();
    return promise;
  }

  /** Throws unless every reply came once and in order. */
  confirm(context: Context): void {
    context.confirm(this.#sent, this.#check);
  }
}
