/**
 * Connections that are not clients: they are in their handshake, or were refused and are being closed. Their number is
 * limited. If there are too many, one is closed to make room: one that is least far along, of the network that has
 * most.
 *
 * A message counts only when it is complete, because all of its bytes but the last cost a peer next to nothing. A
 * connection that waits for the program's decision stays while at most half of the connections do. If more do, these
 * give way, so that slow decisions do not keep everybody else out. Within a group, the network with most connections
 * loses one first.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { Clock } from "../base/clock.ts";
import type { Channel } from "../link/channel.ts";
import { Held, Shares } from "./shares.ts";

/** The limits of connections that have not been let in. */
export interface PendingLimits {
  /** The largest number in all, including those that were refused and are being closed. */
  readonly maxPendingHandshakes: number;
  /** The largest number of connections of one network in their handshake. */
  readonly maxPendingPerAddress: number;
}

/**
 * The least time that a peer has for its answer before another peer of its network may take its place, in milliseconds.
 * It does not hold if all connections are of one network. It limits how many connections a few networks can get
 * greeted, however many they open: at most `maxPendingHandshakes` in this time.
 */
const RESPITE = 3_000;

/** A connection in its handshake. */
export class Pending extends Held {
  readonly channel: Channel;
  /** The network it comes from. */
  readonly network: string;
  /** When the connection began. It may have been greeted a second later; see `Offenders`. */
  readonly since: number;

  /** Created by {@linkcode PendingHandshakes.begin}. */
  constructor(channel: Channel, network: string, since: number) {
    super();
    this.channel = channel;
    this.network = network;
    this.since = since;
  }
}

/** The connections that have not been let in. */
export class PendingHandshakes {
  readonly #limits: PendingLimits;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  /** The connections whose answer is not complete. */
  readonly #answering = new Shares<Pending>();
  /** The connections that wait for the program's decision. */
  readonly #deciding = new Shares<Pending>();
  readonly #leaving = new Set<Channel>();
  /**
   * The error of all connections that give way, and that of all above the limit of their network. They are shared
   * because capturing a stack is expensive, and there may be thousands of such connections a second.
   */
  readonly #gaveWay: HandshakeError;
  readonly #tooMany: HandshakeError;

  /**
   * @param limits The limits.
   * @param wheel Runs the time limits.
   * @param clock The clock.
   */
  constructor(limits: PendingLimits, wheel: TimerWheel, clock: Clock) {
    this.#limits = limits;
    this.#wheel = wheel;
    this.#clock = clock;
    this.#gaveWay = new HandshakeError(
      "handshake-timeout",
      `Cannot agree with the peer: it had to give way, as there are more than the ${limits.maxPendingHandshakes} ` +
        "handshakes that maxPendingHandshakes allows",
    );
    this.#tooMany = new HandshakeError(
      "too-many-connections",
      `Cannot let the peer in: its network has the ${limits.maxPendingPerAddress} handshakes that maxPendingPerAddress allows`,
    );
  }

  /** The number of connections in their handshake. */
  get size(): number {
    return this.#answering.size + this.#deciding.size;
  }

  /**
   * Returns the reason why a connection of this network may not begin; `undefined` if it may. Called before anything is
   * created for the connection. The error is shared by all.
   */
  refusal(network: string): HandshakeError | undefined {
    if (network === "") return undefined;
    const { maxPendingPerAddress } = this.#limits;
    if (
      maxPendingPerAddress < Infinity &&
      this.#answering.count(network) + this.#deciding.count(network) >= maxPendingPerAddress
    ) {
      return this.#tooMany;
    }
    return this.#full && this.#leaving.size === 0 && this.#gainsNothing(network) ? this.#gaveWay : undefined;
  }

  /**
   * Returns whether one more connection would only replace another of its network, or one of a network that has no
   * more.
   */
  #gainsNothing(network: string): boolean {
    const losing = this.#losing;
    const count = losing.count(network);
    if (count === 0 || count + 1 < losing.most) return false;
    if (losing === this.#deciding) return true;
    // If all connections are of one network, such as that of a router or a proxy, the age of the oldest tells nothing.
    // It may go, as it has had the most time.
    return count < losing.size && this.#clock.now() - losing.oldestOf(network)!.since < RESPITE;
  }

  /** Called when a peer begins its handshake. The caller must {@linkcode end} it. */
  begin(channel: Channel, network: string): Pending {
    this.#makeRoom();
    const pending = new Pending(channel, network, this.#clock.now());
    this.#answering.add(network, pending);
    return pending;
  }

  /**
   * Called after a wait.
   *
   * @throws {HandshakeError} The connection gave way to others meanwhile, and is closed.
   */
  check(pending: Pending): void {
    if (pending.holder === undefined) throw this.#gaveWay;
  }

  /** Called when a peer's answer is complete and the program needs time to decide. */
  decides(pending: Pending): void {
    this.#answering.delete(pending);
    this.#deciding.add(pending.network, pending);
  }

  /**
   * Called when a peer's handshake is over. If it failed, call {@linkcode leave} next. A second call changes nothing.
   */
  end(pending: Pending): void {
    this.#answering.delete(pending);
    this.#deciding.delete(pending);
  }

  /** Closes the connection of a peer that is not let in, after sending `lastWord` if there is one. Never rejects. */
  async leave(channel: Channel, lastWord?: Uint8Array): Promise<void> {
    // No connection in its handshake has to go for one that is being closed anyway.
    if (this.#full && !this.#dropLeaving()) return channel.abort(this.#gaveWay);
    this.#leaving.add(channel);
    // `linger` sends what was written before FIN. It notices, too, if the write fails.
    if (lastWord !== undefined) channel.write(lastWord).catch(() => {});
    await channel.linger(this.#wheel);
    this.#leaving.delete(channel);
  }

  /** Returns whether an error is one of the two shared ones. The connection is already closed then. */
  isCrowd(error: unknown): boolean {
    return error === this.#gaveWay || error === this.#tooMany;
  }

  /** Closes all connections. Called when the server stops. */
  closeAll(): void {
    for (const { channel } of [...this.#answering, ...this.#deciding]) channel.abort();
    for (const channel of this.#leaving) channel.abort();
  }

  /** True while there are as many connections as are allowed. */
  get #full(): boolean {
    return this.size + this.#leaving.size >= this.#limits.maxPendingHandshakes;
  }

  /** The group that loses a connection when room is needed. */
  get #losing(): Shares<Pending> {
    return this.#deciding.size > this.#limits.maxPendingHandshakes / 2 ? this.#deciding : this.#answering;
  }

  /** Closes one connection if there are as many as are allowed. */
  #makeRoom(): void {
    if (!this.#full || this.#dropLeaving()) return;
    // Of those that wait for a decision, close the newest: the others are closer to theirs.
    const losing = this.#losing;
    const pending = losing === this.#deciding ? losing.newest! : losing.oldest!;
    this.end(pending);
    pending.channel.abort(this.#gaveWay);
  }

  /** Cuts the refused connection that has been closing for the longest time. Returns false if there is none. */
  #dropLeaving(): boolean {
    for (const channel of this.#leaving) {
      this.#leaving.delete(channel);
      channel.abort();
      return true;
    }
    return false;
  }
}
