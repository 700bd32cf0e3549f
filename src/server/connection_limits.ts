/**
 * The limits of open connections, in all and for each address. A connection is checked when it is accepted and again
 * when its handshake is done, because others may have come in meanwhile.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import { type Address, ipOf } from "../base/address.ts";

/** When a peer that finds the server full may try again, in milliseconds. */
const RETRY_AFTER = 1_000;

/** The place that one connection has among the limits. */
export interface ConnectionSlot {
  /**
   * Counts the connection as open. A second call changes nothing.
   *
   * @throws {HandshakeError} `too-many-connections`: as many are open as may be.
   */
  open(): void;
  /** Called when the connection is over: its place is free. A second call changes nothing. */
  leave(): void;
}

/** The numbers of connections, counted against their limits. */
export class ConnectionLimits {
  readonly #most: number;
  readonly #mostPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #open = 0;

  /**
   * @param most The largest number of open connections.
   * @param mostPerAddress The largest number of connections of one IP address, open or in their handshake.
   */
  constructor(most: number, mostPerAddress: number) {
    this.#most = most;
    this.#mostPerAddress = mostPerAddress;
  }

  /**
   * Returns the place of a connection that begins its handshake.
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

  /** Counts one more open connection. Called by its slot. */
  take(): void {
    this.#checkRoom();
    this.#open++;
  }

  /** Frees the place of a connection. Called by its slot. */
  leave(ip: string, open: boolean): void {
    if (open) this.#open--;
    if (ip !== "") this.#forget(ip);
  }

  /** True while as many connections are open as are allowed. */
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
  readonly #limits: ConnectionLimits;
  readonly #ip: string;
  #state: "in" | "open" | "gone" = "in";

  constructor(limits: ConnectionLimits, ip: string) {
    this.#limits = limits;
    this.#ip = ip;
  }

  open(): void {
    if (this.#state !== "in") return;
    this.#limits.take();
    this.#state = "open";
  }

  leave(): void {
    if (this.#state === "gone") return;
    this.#limits.leave(this.#ip, this.#state === "open");
    this.#state = "gone";
  }
}

/**
 * Returns the error of a peer that finds no place. The log says how many connections there are. The peer learns only
 * that there are too many.
 */
function full(why: string, which: string): HandshakeError {
  const message = `The server has too many connections ${which}`;
  return new HandshakeError("too-many-connections", `Cannot let the peer in: ${why}`, {
    refusal: { code: "too-many-connections", message, retryAfter: RETRY_AFTER },
  });
}
