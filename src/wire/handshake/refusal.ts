/**
 * Writes and reads the message by which a server refuses a client. Python servers send a single word for it, from 2.0.3
 * on.
 *
 * @module
 */

import { HandshakeError, type HandshakeErrorCode, type Refusal } from "../../errors.ts";
import { WIRE_LIMITS } from "../frame.ts";
import { integerMember, member, type PeerObject, printable, stringMember } from "../../base/untrusted.ts";
import { jsonMessage } from "./messages.ts";
import type { Protocol } from "../protocols.ts";

/** Python's word for a server that is full. Its clients raise a `ServerFullError` for this word and for any other. */
const SERVER_FULL = "server_full";
/** The refusals with an error code of their own. Any other refusal is `refused-by-peer`. */
const TELLING: readonly HandshakeErrorCode[] = [
  "certificate-expired",
  "certificate-untrusted",
  "client-certificate-required",
  "handshake-timeout",
  "too-many-connections",
  "unauthorized",
];

/**
 * Returns the message for a peer that is refused, in place of message 1 or 3, to be sent before closing. It carries the
 * refusal of `error`, or else the code and message of `error`. Returns `undefined` if the protocol cannot express a
 * refusal. Each text is cut after 200 characters.
 */
export function refusalMessage(protocol: Protocol, error: HandshakeError): Uint8Array | undefined {
  if (protocol.handshake !== "json") return undefined;
  const { code, message } = error.refusal ?? error;
  const retryAfter = error.refusal?.retryAfter;
  const python = error.code === "too-many-connections" ? SERVER_FULL : undefined;
  const words = { result: "error", code: printable(code), message: printable(message), retryAfter, error: python };
  return jsonMessage(words, WIRE_LIMITS.maxHandshakeReply);
}

/**
 * Returns the refusal in a server's message; `undefined` if it is none. Python's refusal comes only in place of message
 * 1.
 */
export function refusalIn(message: PeerObject, first: boolean): HandshakeError | undefined {
  if (member(message, "result") === "error") return refused(message);
  const word = first ? stringMember(message, "error") : undefined;
  return word === undefined ? undefined : refusedByPython(printable(word));
}

function refused(message: PeerObject): HandshakeError {
  const code = printable(stringMember(message, "code") ?? "unknown");
  return errorOf(TELLING.find((known) => known === code) ?? "refused-by-peer", {
    code,
    message: printable(stringMember(message, "message") ?? "no reason given"),
    retryAfter: integerMember(message, "retryAfter", 0, Number.MAX_SAFE_INTEGER),
  });
}

function refusedByPython(code: string): HandshakeError {
  const full = code === SERVER_FULL;
  const message = full ? "The server is full" : "no reason given";
  return errorOf(full ? "too-many-connections" : "refused-by-peer", { code, message, retryAfter: undefined });
}

function errorOf(code: HandshakeErrorCode, refusal: Refusal): HandshakeError {
  const text = `The server refused the connection: ${refusal.message} (${refusal.code})`;
  return new HandshakeError(code, text, { refusal });
}
