/**
 * Defines the reasons why a connection ends. They are the same in events, in logs and on every runtime.
 *
 * @module
 */

import { ConnectionError, HandshakeError, ProtocolError } from "../errors.ts";

/**
 * All reasons why a connection can end.
 *
 * @category Events
 */
export const CLOSE_REASONS = [
  /** This side closed this connection. */
  "manual",
  /** This server closed. */
  "server-closed",
  /** The peer announced that it is going away. */
  "going-away",
  /** The peer closed the connection. */
  "peer-closed",
  /** The connection broke. */
  "network-error",
  /** The session goes on over another connection. */
  "replaced",
  /** The peers could not agree. */
  "handshake-failed",
  /** The peer did not finish the handshake in time. */
  "handshake-timeout",
  /** The peer was not let in. */
  "unauthorized",
  /** The peer went silent, or stopped in the middle of a frame. */
  "heartbeat",
  /** The peer broke the protocol. */
  "protocol-error",
  /** A frame was damaged on its way. */
  "corrupt",
  /** What the peer sent encrypted was changed on its way. */
  "decryption-failed",
  /** An encrypted connection ended without its end record. */
  "truncated",
  /** A frame was above the limit. */
  "message-too-large",
  /** The peer took nothing for too long, or did not read its answers. */
  "slow-consumer",
  /** The peer sent more than it may. */
  "rate-limited",
  /** The server is full. */
  "too-many-connections",
] as const;

/**
 * Why a connection ended. `docs/errors.md` says what each means.
 *
 * @category Events
 */
export type CloseReason = typeof CLOSE_REASONS[number];

/** Returns the reason for an error. */
export function reasonOf(error: unknown): CloseReason {
  if (error instanceof ProtocolError) return error.code;
  if (error instanceof HandshakeError) {
    return CLOSE_REASONS.find((reason) => reason === error.code) ?? "handshake-failed";
  }
  return error instanceof ConnectionError && error.code === "truncated" ? "truncated" : "network-error";
}

/** Returns the reason for an error that ended a handshake. There, the code `closed` means that the peer closed. */
export function handshakeReason(error: unknown): CloseReason {
  return error instanceof ConnectionError && error.code === "closed" ? "peer-closed" : reasonOf(error);
}

/** Returns the error for an operation that needs an open connection. `reason` is `undefined` if it was never open. */
export function closedError(what: string, reason: CloseReason | undefined, cause?: unknown): ConnectionError {
  const state = reason === undefined ? "not connected, await connect() first" : `the connection is closed (${reason})`;
  return new ConnectionError(
    reason === undefined ? "not-connected" : "closed",
    `${what}: ${state}`,
    cause === undefined ? undefined : { cause },
  );
}
