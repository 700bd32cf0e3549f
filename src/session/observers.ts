/**
 * What can be watched of the messages of a Server or a Client, for metrics and traces. Nobody listens, nothing is made: a
 * {@linkcode Observers} member is `undefined` until its event has a listener.
 *
 * @module
 */

import { FIRST_APPLICATION_CODE, Flag } from "../wire/frame.ts";

/** A frame as observers see it. */
export interface FrameInfo {
  /** Its type code; below 200 it is one of the library's own. */
  readonly code: number;
  /** The size of its payload, in bytes. */
  readonly size: number;
  /** Its id; 0 for a native message that is no request. */
  readonly requestId: number | string;
  /** What it is. Python's protocols do not tell a request from a message. */
  readonly kind: "message" | "request" | "reply" | "error" | "system";
}

/** A request of this side that is over. */
export interface SettledInfo {
  /** The name of its type, or `"ping"`. */
  readonly name: string;
  /** Its id. */
  readonly requestId: number | string;
  /** How it ended. `failed` covers errors of the peer, and the end of the connection. */
  readonly outcome: "answered" | "failed" | "timeout" | "cancelled";
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** How full a peer's outgoing buffer is. */
export interface PressureInfo {
  /** Whether more than `highWaterMark` waits; false again at half of it. */
  readonly full: boolean;
  /** How much waits, in bytes. */
  readonly bufferedBytes: number;
}

/** What the rate limit did. */
export interface LimitedInfo {
  /** Held back until it fits (told once until it flows again), or refused. */
  readonly action: "throttled" | "rejected";
  /** The type code of the message. */
  readonly code: number;
}

/** The events about single messages. `Peer` is what comes after the first argument: the client, on a server. */
export type TrafficEvents<Peer extends readonly unknown[]> = {
  /** A frame was taken to be sent: a message, a request, a reply or one of the library's own. Broadcasts are counted, not told. */
  sent: [info: FrameInfo, ...peer: Peer];
  /** A whole and undamaged frame came in. */
  received: [info: FrameInfo, ...peer: Peer];
  /** A message is handed to the handler of its route. */
  routed: [info: FrameInfo, ...peer: Peer];
  /** A request of this side is over. */
  settled: [info: SettledInfo, ...peer: Peer];
  /** The outgoing buffer crossed its high-water mark, or is half empty again. */
  pressure: [info: PressureInfo, ...peer: Peer];
  /** The rate limit held a message back or refused it. */
  limited: [info: LimitedInfo, ...peer: Peer];
};

/** The names of {@linkcode TrafficEvents}. */
export const TRAFFIC_EVENTS = ["sent", "received", "routed", "settled", "pressure", "limited"] as const;

/** Where a connection tells what happens; a member is there while anybody listens. */
export type Observers = {
  [Name in keyof TrafficEvents<[]>]?: ((info: TrafficEvents<[]>[Name][0], peer: unknown) => void) | undefined;
};

/** What a frame is, to observers. */
export function kindOf(code: number, flags: number): FrameInfo["kind"] {
  if (code < FIRST_APPLICATION_CODE) return "system";
  if ((flags & Flag.ERROR) !== 0) return "error";
  return (flags & Flag.REPLY) !== 0 ? "reply" : (flags & Flag.REQUEST) !== 0 ? "request" : "message";
}
