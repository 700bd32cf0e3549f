/**
 * The limits of open connections, in all and for each address. A connection is checked when it is accepted and again
 * when its handshake is done, because others may have come in meanwhile. A client keeps its place while its session waits
 * for another connection.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import { type Address, ipOf } from "../base/address.ts";

/** When a peer that finds the server full may try again, in milliseconds. */
const RETRY_AFTER = 1_000;

/** The place that one connection has among the limits. */
export interface ConnectionSlot {
  /** True while the connection counts as open. */
  readonly taken: boolean;
  /**
   * Counts the connection for its address. A second call changes nothing.
   *
   * @throws {HandshakeError} `too-many-connections`: there is no place for it.
   */
  enter(): void;
  /**
   * Counts the connection as open, and for its address if it does not count there. A second call changes nothing.
   *
   * @throws {HandshakeError} `too-many-connections`: as many are open as may be.
   */
  open(): void;
  /** Counts it for another address from now on, even if that has as many connections as it may. */
  move(address: Address): void;
  /** Gives the place back, until the next {@linkcode enter} or {@linkcode open}. */
  rest(): void;
  /** Called when the connection is over: its place is free for good. */
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

  /** Returns the place of a connection. It counts nowhere yet. */
  slot(address: Address): ConnectionSlot {
    return new Slot(this, this.nameOf(address));
  }

  /**
   * Returns the place of a connection that begins its handshake.
   *
   * @throws {HandshakeError} `too-many-connections`: there is no place for it.
   */
  enter(address: Address): ConnectionSlot {
    const slot = this.slot(address);
    slot.enter();
    return slot;
  }

  /** Returns the name by which the connections of an address are counted; empty if they are not. */
  nameOf(address: Address): string {
    return this.#mostPerAddress === Infinity ? "" : ipOf(address);
  }

  /** Checks that there is a place for one more connection of an address, and counts it. Called by its slot. */
  begin(ip: string): void {
    this.#checkRoom();
    const there = this.#byAddress.get(ip) ?? 0;
    if (there >= this.#mostPerAddress) {
      throw full(`"${ip}" has the ${there} connections that maxConnectionsPerAddress allows`, "from this address");
    }
    this.remember(ip);
  }

  /** Counts one more connection of an address. Called by its slot. */
  remember(ip: string): void {
    if (ip !== "") this.#byAddress.set(ip, (this.#byAddress.get(ip) ?? 0) + 1);
  }

  /** Counts one connection of an address less. Called by its slot. */
  forget(ip: string): void {
    if (ip === "") return;
    const left = this.#byAddress.get(ip)! - 1;
    if (left > 0) this.#byAddress.set(ip, left);
    else this.#byAddress.delete(ip);
  }

  /** Counts one more open connection. Called by its slot. */
  take(): void {
    this.#checkRoom();
    this.#open++;
  }

  /** Frees the place of a connection. Called by its slot. */
  leave(ip: string, open: boolean): void {
    if (open) this.#open--;
    this.forget(ip);
  }

  /** True while as many connections are open as are allowed. */
  get full(): boolean {
    return this.#open >= this.#most;
  }

  #checkRoom(): void {
    if (this.full) throw full(`as many are open as maxConnections allows, ${this.#open}`, "open");
  }
}

class Slot implements ConnectionSlot {
  readonly #limits: ConnectionLimits;
  #ip: string;
  #state: "out" | "in" | "open" | "gone" = "out";

  constructor(limits: ConnectionLimits, ip: string) {
    this.#limits = limits;
    this.#ip = ip;
  }

  get taken(): boolean {
    return this.#state === "open";
  }

  enter(): void {
    if (this.#state !== "out") return;
    this.#limits.begin(this.#ip);
    this.#state = "in";
  }

  open(): void {
    if (this.#state === "open" || this.#state === "gone") return;
    this.enter();
    this.#limits.take();
    this.#state = "open";
  }

  move(address: Address): void {
    const ip = this.#limits.nameOf(address);
    if (ip === this.#ip) return;
    if (this.#state === "in" || this.#state === "open") {
      this.#limits.forget(this.#ip);
      this.#limits.remember(ip);
    }
    this.#ip = ip;
  }

  rest(): void {
    if (this.#state === "out" || this.#state === "gone") return;
    this.#limits.leave(this.#ip, this.#state === "open");
    this.#state = "out";
  }

  leave(): void {
    this.rest();
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
