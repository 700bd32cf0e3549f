/**
 * The counters of a connection.
 *
 * @module
 */

/** A connection's counters, from its start. */
export interface SessionStats {
  /** Messages, requests, replies and system frames sent. */
  readonly framesSent: number;
  /** Frames received. */
  readonly framesReceived: number;
  /** Bytes passed to the socket. */
  readonly bytesSent: number;
  /** Bytes received. */
  readonly bytesReceived: number;
  /** Bytes waiting to be sent. */
  readonly bufferedBytes: number;
  /** Messages waiting for their handlers. */
  readonly queuedMessages: number;
  /** Asynchronous handlers at work. */
  readonly runningHandlers: number;
  /** Answers that nobody waited for: late or forged. */
  readonly repliesDropped: number;
  /** Answers of the library itself, such as PONGs, that were left out because all connections together had no room. */
  readonly repliesLeftOut: number;
  /** Frames dropped because their checksum did not match. */
  readonly framesDropped: number;
  /** Bytes skipped between frames, with `recovery: "resync"`. */
  readonly bytesSkipped: number;
  /** Frames of no use here: unknown system frames, and messages that arrive while closing. */
  readonly framesIgnored: number;
  /** Requests waiting for an answer. */
  readonly pendingRequests: number;
}

/** The counters that a session keeps itself. */
export type SessionCounters = Omit<SessionStats, "queuedMessages" | "runningHandlers">;
