/**
 * Defines the events about single messages of a Server or a Client, for metrics and traces. A member of
 * {@linkcode Observers} is `undefined` until its event has a listener, so that events without listeners cost nothing.
 *
 * @module
 */

import { FIRST_APPLICATION_CODE, Flag, isPiece } from "../wire/frame.ts";

/**
 * A frame as observers see it.
 *
 * @category Events
 */
export interface FrameInfo {
  /** Its type code. Codes below 200 belong to the library itself. */
  readonly code: number;
  /** The size of its payload, in bytes: of `sent` and `received` as it travels, perhaps compressed. */
  readonly size: number;
  /** Its id; 0 for a native message that is not a request. */
  readonly requestId: number | string;
  /**
   * Its kind. A `"piece"` is a part of a stream. The Python protocols do not distinguish requests, replies and messages:
   * each is a `"message"`.
   */
  readonly kind: "message" | "request" | "reply" | "error" | "piece" | "system";
}

/**
 * A request of this side that is over.
 *
 * @category Events
 */
export interface SettledInfo {
  /** The name of its type, or `"ping"`. */
  readonly name: string;
  /** The id in its frame. */
  readonly requestId: number | string;
  /** How it ended. `"failed"` covers errors of the peer, answers that cannot be read, and the end of the connection. */
  readonly outcome: "answered" | "failed" | "timeout" | "cancelled";
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/**
 * How full a peer's outgoing buffer is.
 *
 * @category Events
 */
export interface PressureInfo {
  /** True if the buffer became full, that is, above `highWaterMark`; false once it is at most half of that. */
  readonly full: boolean;
  /** The number of bytes that wait to be sent. */
  readonly bufferedBytes: number;
}

/**
 * What the rate limit did.
 *
 * @category Events
 */
export interface LimitedInfo {
  /**
   * `"throttled"` if the message is held back until the limit allows it. This is reported once for all messages that
   * wait. `"rejected"` if the message was refused.
   */
  readonly action: "throttled" | "rejected";
  /** The type code of the message or system frame. */
  readonly code: number;
}

/**
 * A stream that was opened, or is over.
 *
 * @category Events
 */
export interface StreamInfo {
  /** `"opened"` when it is opened, `"ended"` when it is over. */
  readonly action: "opened" | "ended";
  /** Whether this side has opened it, or the peer. */
  readonly opener: "self" | "peer";
  /** The name of its type. */
  readonly name: string;
  /** The code of its type. */
  readonly code: number;
  /** Its id on the connection. */
  readonly id: number;
  /** How it ended: with its result, or with an error. `undefined` when it is opened. */
  readonly outcome?: "answered" | "failed";
  /** How long it took, in milliseconds; `undefined` when it is opened. */
  readonly ms?: number;
}

/**
 * The events about single messages. `Peer` are the arguments after the first one: on a server the client, on a client
 * none.
 *
 * @category Events
 */
export type TrafficEvents<Peer extends readonly unknown[]> = {
  /**
   * A frame was accepted for sending: a message, a request, a reply or one of the library's own. Broadcasts are
   * counted, but not reported here.
   */
  sent: [info: FrameInfo, ...peer: Peer];
  /** A complete and undamaged frame arrived. */
  received: [info: FrameInfo, ...peer: Peer];
  /** A message is about to be handed to the handler of its route. */
  routed: [info: FrameInfo, ...peer: Peer];
  /** A request of this side is over. */
  settled: [info: SettledInfo, ...peer: Peer];
  /** The outgoing buffer became full, or is at most half full again. */
  pressure: [info: PressureInfo, ...peer: Peer];
  /** The rate limit held a message back or refused it. */
  limited: [info: LimitedInfo, ...peer: Peer];
  /** A stream with a route was opened, or is over. */
  stream: [info: StreamInfo, ...peer: Peer];
};

/** The names of {@linkcode TrafficEvents}. */
export const TRAFFIC_EVENTS = ["sent", "received", "routed", "settled", "pressure", "limited", "stream"] as const;

/** Receives the events of a connection. A member is `undefined` while its event has no listener. */
export type Observers = {
  [Name in keyof TrafficEvents<[]>]?: ((info: TrafficEvents<[]>[Name][0], peer: unknown) => void) | undefined;
};

/** Returns the kind of a frame for observers. */
export function kindOf(code: number, flags: number): FrameInfo["kind"] {
  if (code < FIRST_APPLICATION_CODE) return "system";
  if ((flags & Flag.ERROR) !== 0) return "error";
  if (isPiece(flags)) return "piece";
  return (flags & Flag.REPLY) !== 0 ? "reply" : (flags & Flag.REQUEST) !== 0 ? "request" : "message";
}
