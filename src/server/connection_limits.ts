/**
 * How many connections there may be, in all and from one address. A connection passes twice: when it is accepted, and when
 * its handshake is done, as others may have come in meanwhile.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import { type Address, ipOf } from "../base/address.ts";

/** When a peer that finds the server full may try again, in milliseconds. */
const RETRY_AFTER = 1_000;

/** A connection that was let through. */
export interface ConnectionSlot {
  /**
   * Takes a place among the open connections; a second call changes nothing.
   *
   * @throws {HandshakeError} `too-many-connections`: there is none.
   */
  open(): void;
  /** Gives back what it took: the connection is over. A second call changes nothing. */
  leave(): void;
}

/** The counts. */
export class ConnectionLimits {
  readonly #most: number;
  readonly #mostPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #open = 0;

  /**
   * @param most How many connections may be open.
   * @param mostPerAddress How many one IP address may have, open or in their handshake.
   */
  constructor(most: number, mostPerAddress: number) {
    this.#most = most;
    this.#mostPerAddress = mostPerAddress;
  }

  /**
   * Lets a connection through to its handshake.
   *
   * @throws {HandshakeError} `too-many-connections`: there is no place for it.
   */
  enter(address: Address): ConnectionSlot {
    this.#checkRoom();
    const ip = this.#mostPerAddress === Infinity ? "" : ipOf(address);
    const there = this.#byAddress.get(ip) ?? 0;
    if (there >= this.#mostPerAddress) {
      throw full(`"${ip}" has the ${there} connections that maxConnectionsPerAddress allows`, "from this address");
    }
    if (ip !== "") this.#byAddress.set(ip, there + 1);
    return new Slot(this, ip);
  }

  /** Takes a place. */
  take(): void {
    this.#checkRoom();
    this.#open++;
  }

  /** Gives back what a connection took. */
  leave(ip: string, open: boolean): void {
    if (open) this.#open--;
    if (ip !== "") this.#forget(ip);
  }

  /** Whether as many are open as may be. */
  get full(): boolean {
    return this.#open >= this.#most;
  }

  #checkRoom(): void {
    if (this.full) throw full(`as many are open as maxConnections allows, ${this.#open}`, "open");
  }

  #forget(ip: string): void {
    const left = this.#byAddress.get(ip)! - 1;
    if (left > 0) this.#byAddress.set(ip, left);
    else this.#byAddress.delete(ip);
  }
}

class Slot implements ConnectionSlot {
  readonly #gate: ConnectionLimits;
  readonly #ip: string;
  #state: "in" | "open" | "gone" = "in";

  constructor(gate: ConnectionLimits, ip: string) {
    this.#gate = gate;
    this.#ip = ip;
  }

  open(): void {
    if (this.#state !== "in") return;
    this.#gate.take();
    this.#state = "open";
  }

  leave(): void {
    if (this.#state === "gone") return;
    this.#gate.leave(this.#ip, this.#state === "open");
    this.#state = "gone";
  }
}

/** Our own log says how many there are; the peer is only told that there are too many. */
function full(why: string, which: string): HandshakeError {
  const message = `The server has too many connections ${which}`;
  return new HandshakeError("too-many-connections", `Cannot let the peer in: ${why}`, {
    refusal: { code: "too-many-connections", message, retryAfter: RETRY_AFTER },
  });
}
