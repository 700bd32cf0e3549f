/**
 * Defines the counters of a connection.
 *
 * @module
 */

import type { Link } from "../link/link.ts";
import type { Sender } from "./sender.ts";

/**
 * A connection's counters, from its start.
 *
 * @category Events
 */
export interface SessionStats {
  /**
   * The number of messages, requests, replies, pieces of streams and system frames sent, without messages that were
   * replaced or expired.
   */
  readonly framesSent: number;
  /** The number of frames received, without dropped ones. */
  readonly framesReceived: number;
  /** The number of bytes that the socket has taken. */
  readonly bytesSent: number;
  /** The number of bytes received. */
  readonly bytesReceived: number;
  /**
   * The number of bytes that compression has saved in sent frames: without it, `bytesSent` would be so much larger; 0
   * without the option `compression`.
   */
  readonly bytesSavedSent: number;
  /** The same for received frames, as their senders announce it. */
  readonly bytesSavedReceived: number;
  /** The number of bytes that wait to be sent, answers that wait for room included. */
  readonly bufferedBytes: number;
  /** The number of messages that were not sent because newer ones of the same key replaced them; see the option `latest`. */
  readonly replaced: number;
  /** The number of messages that were not sent because they had waited longer than their `maxAge`. */
  readonly expired: number;
  /** The number of messages that wait for their handlers. */
  readonly queuedMessages: number;
  /** The number of running asynchronous handlers. */
  readonly runningHandlers: number;
  /** The number of answers that arrived without a pending request: late or forged ones. */
  readonly repliesDropped: number;
  /**
   * The number of answers of the library itself, such as PONGs, that were left out because all connections together had
   * no room.
   */
  readonly repliesLeftOut: number;
  /** The number of frames dropped because their checksum did not match. */
  readonly framesDropped: number;
  /** The number of bytes skipped between frames, with `recovery: "resync"`. */
  readonly bytesSkipped: number;
  /**
   * The number of frames that were ignored: system frames that are unknown or mean nothing, and messages that arrived
   * too late for a handler because the connection was being closed.
   */
  readonly framesIgnored: number;
  /** The number of requests that wait for an answer, streams that this side opened included. */
  readonly pendingRequests: number;
  /** The number of streams of both sides that are not over. */
  readonly openStreams: number;
}

/** The counters that a session keeps itself. */
export type SessionCounters = Omit<SessionStats, "queuedMessages" | "runningHandlers">;

/** Returns the counters of a session. It counts `framesIgnored`, `bytesSavedReceived` and `openStreams` itself. */
export function countersOf(
  { source, writer }: Link,
  sender: Sender,
  framesIgnored: number,
  bytesSavedReceived: number,
  openStreams: number,
): SessionCounters {
  const { pending } = sender;
  return {
    framesSent: sender.frames,
    framesReceived: source.frames,
    bytesSent: writer.written,
    bytesReceived: source.bytes,
    bytesSavedSent: sender.saved,
    bytesSavedReceived,
    bufferedBytes: writer.buffered + writer.heldBytes,
    replaced: writer.latestFrames?.replaced ?? 0,
    expired: writer.latestFrames?.expired ?? 0,
    repliesDropped: pending.dropped,
    repliesLeftOut: sender.leftOut,
    framesDropped: source.dropped,
    bytesSkipped: source.skipped,
    framesIgnored,
    pendingRequests: pending.size,
    openStreams,
  };
}
