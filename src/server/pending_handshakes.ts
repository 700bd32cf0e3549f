/**
 * Connections that are not clients: in the middle of their handshake, or being told that there is no agreement. Their number
 * is bounded. When there are too many, room is made at the cost of those who have come least far and have most.
 *
 * A peer's own bytes earn it nothing before its message is whole: all but the last of them are as cheap as none. Whoever waits
 * for the program's decision stays, as long as those are not more than half; then they give way, so that a slow decision does
 * not keep everybody else out. Among equals the network with most connections loses one first.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { Clock } from "../base/clock.ts";
import type { Channel } from "../link/channel.ts";
import { Held, Shares } from "./shares.ts";

/** The limits of connections that are not in yet. */
export interface PendingLimits {
  /** The largest number in all, those that were refused and are being left included. */
  readonly maxPendingHandshakes: number;
  /** The largest number of one network in their handshake. */
  readonly maxPendingPerAddress: number;
}

/**
 * How long a peer has for its answer at least before another of its network takes its place, in milliseconds. It bounds how many
 * greetings a second a few networks get, however many connections they make: `maxPendingHandshakes` in so long.
 */
const RESPITE = 3_000;

/** A connection in its handshake. */
export class Pending extends Held {
  readonly channel: Channel;
  /** The network it comes from. */
  readonly network: string;
  /** When it was greeted. */
  readonly since: number;

  /** Made by {@linkcode PendingHandshakes.begin}. */
  constructor(channel: Channel, network: string, since: number) {
    super();
    this.channel = channel;
    this.network = network;
    this.since = since;
  }
}

/** The connections that are not in yet. */
export class PendingHandshakes {
  readonly #limits: PendingLimits;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  /** The connections whose answer is not whole yet. */
  readonly #answering = new Shares<Pending>();
  /** The connections that wait for the program's decision. */
  readonly #deciding = new Shares<Pending>();
  readonly #leaving = new Set<Channel>();
  /** One error for all that give way, and one for all that are too many. Each costs a stack, and there may be thousands a second. */
  readonly #gaveWay: HandshakeError;
  readonly #tooMany: HandshakeError;

  /**
   * @param limits The limits.
   * @param wheel The wheel for time limits.
   * @param clock The time.
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
   * Returns why a connection of this network may not begin, before anything is made for it; `undefined` if it may. The error is
   * the same for all.
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

  /** Returns whether one more would only take the place of another of its network, or of one with no more than that. */
  #gainsNothing(network: string): boolean {
    const losing = this.#losing;
    const count = losing.count(network);
    if (count === 0 || count + 1 < losing.most) return false;
    if (losing === this.#deciding) return true;
    // Where one address stands for all, a router's or a proxy's, the oldest tells nothing and has had the most time.
    return count < losing.size && this.#clock.now() - losing.oldestOf(network)!.since < RESPITE;
  }

  /** Called when a peer begins its handshake. {@linkcode end} it. */
  begin(channel: Channel, network: string): Pending {
    this.#makeRoom();
    const pending = new Pending(channel, network, this.#clock.now());
    this.#answering.add(network, pending);
    return pending;
  }

  /** Called when a peer's answer is whole, and the program takes its time to decide. */
  decides(pending: Pending): void {
    this.#answering.delete(pending);
    this.#deciding.add(pending.network, pending);
  }

  /** Called when a peer's handshake is over. If it failed, {@linkcode leave} the peer. A second call changes nothing. */
  end(pending: Pending): void {
    this.#answering.delete(pending);
    this.#deciding.delete(pending);
  }

  /** Closes the connection of a peer that is not let in, after a last word if there is one. Never rejects. */
  async leave(channel: Channel, lastWord?: Uint8Array): Promise<void> {
    // A stranger in its handshake does not have to go for the sake of one that is going anyway.
    if (this.#full && !this.#dropLeaving()) return channel.abort(this.#gaveWay);
    this.#leaving.add(channel);
    // What was written goes out before FIN. If it cannot be written, that shows there, too.
    if (lastWord !== undefined) channel.write(lastWord).catch(() => {});
    await channel.linger(this.#wheel);
    this.#leaving.delete(channel);
  }

  /** Returns whether an error is that of one of many, which gave way or might not begin. Its connection is closed already. */
  isCrowd(error: unknown): boolean {
    return error === this.#gaveWay || error === this.#tooMany;
  }

  /** Closes all. Called when the server stops. */
  closeAll(): void {
    for (const { channel } of [...this.#answering, ...this.#deciding]) channel.abort();
    for (const channel of this.#leaving) channel.abort();
  }

  /** True while there are as many as there may be. */
  get #full(): boolean {
    return this.size + this.#leaving.size >= this.#limits.maxPendingHandshakes;
  }

  /** The group that loses one when room is needed. */
  get #losing(): Shares<Pending> {
    return this.#deciding.size > this.#limits.maxPendingHandshakes / 2 ? this.#deciding : this.#answering;
  }

  /** Closes one connection if there are as many as there may be. */
  #makeRoom(): void {
    if (!this.#full || this.#dropLeaving()) return;
    // Of those that wait for a decision the newest goes: the others are closer to theirs.
    const losing = this.#losing;
    const pending = losing === this.#deciding ? losing.newest! : losing.oldest!;
    this.end(pending);
    pending.channel.abort(this.#gaveWay);
  }

  /** Cuts the connection that is being left for the longest time. Returns false if there is none. */
  #dropLeaving(): boolean {
    for (const channel of this.#leaving) {
      this.#leaving.delete(channel);
      channel.abort();
      return true;
    }
    return false;
  }
}
