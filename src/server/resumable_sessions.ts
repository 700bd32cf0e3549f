/**
 * The sessions of a server that clients may come back to, by their ids. A client that comes back must know the key, and
 * must come to the same listener, or by `accept()` on the same terms, with the same kind of protection and the same
 * identity.
 *
 * @module
 */

import { decodeBase64Url, encodeBase64Url } from "../base/base64.ts";
import { type Address, networkOf } from "../base/address.ts";
import type { Clock } from "../base/clock.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { Channel } from "../link/channel.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { Parting } from "../session/parting.ts";
import { type ComebackRequest, ID_BYTES, KEY_BYTES, type SessionTicket } from "../session/resumption.ts";
import type { Session } from "../session/session.ts";
import type { ConnectionSecurity } from "../transport.ts";
import type { ConnectionSlot } from "./connection_limits.ts";
import { Suspendable, type SuspendedLimits, SuspendedSessions } from "./suspended_sessions.ts";

/** A client whose session only this client may resume. */
export interface ResumableClient {
  readonly info: { readonly id: number; readonly principal: unknown; readonly address: Address };
  /** Its place among the connections. */
  readonly slot: ConnectionSlot;
  readonly peer: {
    readonly session: Pick<Session, "lose" | "resumable" | "resumption" | "suspend">;
    close(reason: CloseReason, drain: number, how?: Omit<Parting, "drain">): Promise<void>;
  };
  /** Called with an error for which the session ends. */
  error(error: unknown): void;
  /** Goes on over another connection; see `Session.resume`. */
  resume(channel: Channel, received: number): void;
}

/** A listener, or the terms on which a connection was handed to the server. */
export interface OriginPlace {
  /** Returns whether another place counts as this one. @default only itself does */
  equals?(other: OriginPlace): boolean;
}

/** Where and as whom a client has connected. */
export interface Origin {
  readonly place: OriginPlace;
  /** What protects the connection; `undefined` if nothing does. */
  readonly security:
    | Pick<ConnectionSecurity, "kind" | "publicKey"> & {
      readonly certificate: { readonly pin: string } | undefined;
    }
    | undefined;
}

/** A session that its client may come back to. */
export class ResumableSession extends Suspendable {
  /** The session's id in the handshake. */
  readonly id: string;
  readonly client: ResumableClient;
  /** The number of the last attempt to come back. */
  attempt = 0;
  /** The attempt that has taken the session over and is not yet finished. */
  returning: unknown = undefined;
  /** Ends the wait of an attempt for the decision of `authenticate`; `undefined` while none waits. */
  giveUp: ((error: Error) => void) | undefined = undefined;
  /** Why its connection was lost. */
  reason: CloseReason = "network-error";
  readonly #key: Uint8Array;
  readonly #place: OriginPlace;
  readonly #kind: string | undefined;
  readonly #publicKey: string | undefined;
  readonly #pin: string | undefined;

  constructor({ id, key }: SessionTicket, client: ResumableClient, { place, security }: Origin) {
    super();
    this.id = id;
    this.client = client;
    this.#key = decodeBase64Url(key);
    this.#place = place;
    this.#kind = security?.kind;
    this.#publicKey = security?.publicKey;
    this.#pin = security?.certificate?.pin;
  }

  get network(): string {
    return networkOf(this.client.info.address);
  }

  get proven(): boolean {
    return this.client.peer.session.resumption!.received > 0;
  }

  get heldBytes(): number {
    return this.client.peer.session.resumption!.heldBytes;
  }

  lose(why: Error): void {
    this.client.peer.session.lose(this.reason, why);
  }

  /** Returns whether this is its key. How long that takes does not depend on where they differ. */
  hasKey(key: Uint8Array): boolean {
    return sameBytes(this.#key, key);
  }

  /** Returns what differs from the beginning of the session, in words; `undefined` if nothing does. */
  differs({ place, security }: Origin): string | undefined {
    const same = place === this.#place || this.#place.equals?.(place) === true;
    if (!same) return "it came to another listener";
    if (security?.kind !== this.#kind) return "its connection has another kind of protection";
    if (security?.publicKey !== this.#publicKey) return "it has another identity";
    return security?.certificate?.pin === this.#pin ? undefined : "its certificate has another key";
  }
}

/** What becomes of a peer that wants to come back. */
export interface Claim {
  /** The session that it may resume; `undefined` if there is none, or if a later attempt has been made. */
  readonly session?: ResumableSession;
  /** Why it is not the client of the session that it asks for, in words; `undefined` if it is, or if there is none. */
  readonly wrong?: string;
}

const LOST: Claim = {};

/** The sessions of one acceptor. */
export class ResumableSessions {
  readonly #byId = new Map<string, ResumableSession>();
  readonly #suspended: SuspendedSessions;
  readonly #clock: Clock;
  /** Compared in place of the key of a session that does not exist. */
  readonly #nobody = new Uint8Array(KEY_BYTES);

  constructor(limits: SuspendedLimits, wheel: TimerWheel, clock: Clock) {
    this.#suspended = new SuspendedSessions(limits, wheel, clock);
    this.#clock = clock;
  }

  /** The number of sessions that their clients may come back to, connected ones included. */
  get size(): number {
    return this.#byId.size;
  }

  /** The sessions without a connection. */
  get suspended(): Pick<SuspendedSessions, "bytes" | "size" | "unproven"> {
    return this.#suspended;
  }

  /** The time, by the clock of the suspended sessions. */
  get now(): number {
    return this.#clock.now();
  }

  /** Returns the id and the key of a new session. */
  ticket(): SessionTicket {
    return { id: randomToken(ID_BYTES), key: randomToken(KEY_BYTES) };
  }

  /** Adds the session of a client that was let in. */
  add(ticket: SessionTicket, client: ResumableClient, origin: Origin): ResumableSession {
    const session = new ResumableSession(ticket, client, origin);
    this.#byId.set(session.id, session);
    return session;
  }

  /** Returns whether a session can still be resumed. */
  has(session: ResumableSession): boolean {
    return this.#byId.get(session.id) === session;
  }

  /**
   * Finds the session that a peer wants to resume. If it may, its attempt counts as the last one from then on.
   *
   * The attempt is noted only when everything else is right, as a thief of the key must not use up the numbers.
   */
  claim({ id, key, attempt }: ComebackRequest, origin: Origin): Claim {
    const session = this.#byId.get(id);
    const bytes = decodeBase64Url(key);
    // An unknown id takes the same steps.
    const right = session === undefined ? sameBytes(this.#nobody, bytes) : session.hasKey(bytes);
    if (session === undefined) return LOST;
    const wrong = right ? session.differs(origin) : "its key is wrong";
    if (wrong !== undefined) return { wrong: wrongClient(session.client.info.id, wrong) };
    if (attempt <= session.attempt) return LOST;
    session.attempt = attempt;
    return { session };
  }

  /** Called when the connection of a session is lost. Call {@linkcode trim} next. */
  cut(session: ResumableSession, reason: CloseReason): void {
    session.reason = reason;
    session.since = this.#clock.now();
    if (session.returning === undefined) this.wait(session);
  }

  /** Lets a session wait for its client, from the moment its connection was lost. Call {@linkcode trim} next. */
  wait(session: ResumableSession): void {
    this.#suspended.add(session);
    // Connecting and leaving fills no place.
    if (!session.proven) session.client.slot.rest();
  }

  /** Takes a session out of those that wait. */
  wake(session: ResumableSession): void {
    this.#suspended.delete(session);
  }

  /** Ends suspended sessions while there are more than are allowed. */
  trim(): void {
    this.#suspended.trim();
  }

  /** Called when the end of a session begins. */
  forget(session: ResumableSession): void {
    if (this.has(session)) this.#byId.delete(session.id);
    this.#suspended.delete(session);
  }
}

function wrongClient(id: number, why: string): string {
  return `Cannot go on with the session of client ${id}: ${why}; the peer is treated like any other`;
}

function randomToken(bytes: number): string {
  return encodeBase64Url(crypto.getRandomValues(new Uint8Array(bytes)));
}

/** Compares two keys. All bytes are looked at, so the time tells nothing about the first difference. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < KEY_BYTES; i++) difference |= a[i] ^ b[i];
  return difference === 0;
}
