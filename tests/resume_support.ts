/**
 * Two ends of one session whose connection the test cuts and replaces, without handshakes.
 *
 * @module
 */

import { connectionPair, type Faults, type MemoryOptions } from "../src/adapters/memory.ts";
import { COMMON_OPTIONS, DEFAULT_LIMITS, limitsOf } from "../src/app/config.ts";
import { Peer, type PeerOwner } from "../src/app/peer.ts";
import { Routes } from "../src/app/routes.ts";
import { makeShared, type PeerShared } from "../src/app/shared.ts";
import { readTuning } from "../src/app/tuning.ts";
import { readOptions } from "../src/base/checks.ts";
import { runtimeLoop } from "../src/adapters/runtime_loop.ts";
import type { CloseReason } from "../src/link/close_reason.ts";
import { Channel } from "../src/link/channel.ts";
import { FeatureSet } from "../src/session/feature.ts";
import { featuresOf } from "../src/session/features/list.ts";
import { resume as resumption } from "../src/session/features/resume.ts";
import type { Clock, EventLoop } from "../src/transport.ts";
import type { HandshakeOutcome } from "../src/wire/handshake/terms.ts";
import { NATIVE } from "../src/wire/handshake/terms.ts";
import type { PeerObject } from "../src/base/untrusted.ts";

/** A ticket that is well-formed. */
export const TICKET = { id: "A".repeat(22), key: "B".repeat(42) + "A" };

/** One end. */
export interface End {
  readonly peer: Peer;
  readonly shared: PeerShared;
  readonly errors: unknown[];
  /** The reasons of the suspensions so far. */
  readonly suspensions: CloseReason[];
  /** The end of the session, once it is over. */
  over: { readonly reason: CloseReason; readonly error: unknown } | undefined;
  suspicions: number;
}

/** Options of a {@linkcode Conversation}. */
export interface ConversationOptions {
  readonly limits?: Partial<Record<string, number>>;
  /** What each side keeps, in bytes. @default 1048576 */
  readonly buffer?: number;
  readonly keep?: number;
  readonly clock?: Clock;
  readonly client?: Routes;
  readonly server?: Routes;
  /** The options of the first connection. */
  readonly first?: MemoryOptions;
}

/** A client's and a server's end of one session. */
export class Conversation implements AsyncDisposable {
  readonly client: End;
  readonly server: End;
  readonly #loop: EventLoop;

  constructor(options: ConversationOptions = {}) {
    const loop = this.#loop = options.clock === undefined ? runtimeLoop() : { ...runtimeLoop(), clock: options.clock };
    const [up, down] = connectionPair({ ...options.first, clock: loop.clock });
    this.client = end("client", new Channel(up), loop, options);
    this.server = end("server", new Channel(down), loop, options);
    this.server.peer.session.run();
    this.client.peer.session.run();
  }

  /** Leaves the connection on both sides. */
  cut(): void {
    this.client.peer.session.suspend("network-error");
    this.server.peer.session.suspend("replaced");
  }

  /** Goes on over another connection, as after a handshake. Returns how many bytes each side sends again. */
  resume(options: MemoryOptions = {}): { readonly client: number; readonly server: number } {
    const [up, down] = connectionPair({ ...options, clock: this.#loop.clock });
    const server = this.server.peer.session;
    const client = this.client.peer.session;
    const received = { server: server.resumption!.received, client: client.resumption!.received };
    const again = {
      server: server.resume(new Channel(down), received.client),
      client: client.resume(new Channel(up), received.server),
    };
    server.run();
    client.run();
    return again;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { peer, shared } of [this.client, this.server]) {
      await peer.close("manual", 0);
      await shared.budget.over();
      shared.close();
    }
  }
}

/** The features that need no option. */
const COMMON = await featuresOf({ limits: DEFAULT_LIMITS, contract: undefined });

function end(
  side: "client" | "server",
  channel: Channel,
  loop: EventLoop,
  { buffer = 1024 * 1024, keep = 30_000, limits: given = {}, ...options }: ConversationOptions,
): End {
  const read = readOptions("options", given, COMMON_OPTIONS);
  const limits = limitsOf(read);
  const resume = side === "server" ? { keep, buffer } : { buffer };
  const features = new FeatureSet([...COMMON, resumption(resume)], {
    limits,
    contract: undefined,
    resume,
  });
  const offers = features.offer.features!;
  const peers: Record<string, PeerObject> = { ...offers };
  const greeted: Record<string, PeerObject> = { resume: { keep, buffer } };
  const own: Record<string, PeerObject> = { ...offers };
  // The server's message 3 has the ticket of the session.
  if (side === "server") own.resume = TICKET;
  else peers.resume = TICKET;
  const outcome: HandshakeOutcome = {
    protocol: NATIVE,
    release: "2.0.0",
    numbering: undefined,
    maxMessageSize: limits.maxMessageSize,
    features: new Map(Object.entries(peers)),
    own,
    greeted: side === "client" ? greeted : {},
    transcript: [],
  };
  const errors: unknown[] = [];
  const shared = makeShared(loop, {
    routes: options[side] ?? new Routes(),
    limits,
    observers: {},
    tuning: readTuning(read),
  }, features);
  const owner: PeerOwner = {
    unrouted: () => [],
    error: (error) => errors.push(error),
    closing: () => {},
    suspended: (reason) => made.suspensions.push(reason),
    suspected: () => made.suspicions++,
    closed: (reason, getError) => made.over = { reason, error: getError() },
  };
  const peer = new Peer(channel, outcome, side, shared, "close", owner, side);
  const made: End = { peer, shared, errors, suspensions: [], over: undefined, suspicions: 0 };
  return made;
}

/** Returns faults that cut a direction after some bytes in one of the ways that a session survives. */
export function cutAfter(bytes: number, how: "reset" | "close" | "drop"): Faults {
  return how === "reset" ? { resetAfter: bytes } : how === "close" ? { closeAfter: bytes } : { dropAfter: bytes };
}
