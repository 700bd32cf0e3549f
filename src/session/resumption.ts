/**
 * Resumption as the layers above a session see it. A session with the feature `resume` outlives its connection: it is
 * suspended until the client comes back over another one. Nothing is lost and nothing comes twice.
 *
 * @module
 */

import { decodeBase64Url } from "../base/base64.ts";
import { integerMember, objectMember, type PeerObject, stringMember } from "../base/untrusted.ts";

/** The name of the feature in the handshake. */
export const RESUME = "resume";
/** The size of a session's id, in bytes. */
export const ID_BYTES = 16;
/** The size of a session's key, in bytes. */
export const KEY_BYTES = 32;

/** What one side offers. */
export interface ResumeTerms {
  /**
   * How long a session is kept without a connection, in milliseconds. Only a server has it, and tells its clients.
   */
  readonly keep?: number | undefined;
  /** How many bytes are kept for the other side before nothing new begins to be sent. */
  readonly buffer: number;
}

/** The name of a session, and the secret that proves who may resume it. */
export interface SessionTicket {
  /** 16 random bytes, as base64url. */
  readonly id: string;
  /** 32 random bytes, as base64url. It is never logged. */
  readonly key: string;
}

/** What a client says to come back to its session. */
export interface ComebackRequest extends SessionTicket {
  /** The number of the attempt. It grows with each attempt of the session. */
  readonly attempt: number;
  /** How many bytes of the server's frames the client has received, from the beginning of the session. */
  readonly received: number;
}

/** The resumption of one session; see `Session.resumption`. */
export interface Resumption {
  /** The session's ticket. On a server it is the one that it gave out. */
  readonly ticket: SessionTicket;
  /** How long the server keeps the session without a connection, in milliseconds. */
  readonly keep: number;
  /** How many bytes this side keeps for the other before nothing new begins to be sent. */
  readonly buffer: number;
  /** How many bytes of the peer's frames were received, from the beginning of the session. */
  readonly received: number;
  /** How many bytes of this side's frames were written, from the beginning of the session. Each is counted once. */
  readonly written: number;
  /** How many of them the peer has acknowledged. */
  readonly acknowledged: number;
  /** True while there is no connection and the session waits for another one. */
  readonly suspended: boolean;
  /** True if nothing has arrived since the session called `SessionOwner.suspected`. */
  readonly suspect: boolean;
  /** The bytes that the session holds: kept, waiting, queued for handlers, and a frame that is not complete. */
  readonly heldBytes: number;
}

/** The resumption of one session, as the session itself uses it. */
export interface ResumptionPart extends Resumption {
  /** Called when the peer has all bytes before `offset`. */
  acknowledge(offset: number): void;
  /** Called when the connection was left. */
  left(): void;
  /** Called when the session goes on over another connection, and the peer has been told what was received. */
  entered(): void;
}

/**
 * Reads from the features of a message 2 what the client says to come back. Returns `undefined` if it asks for a new
 * session, or if what it says is malformed.
 */
export function comebackOf(features: PeerObject): ComebackRequest | undefined {
  const parameters = objectMember(features, RESUME) ?? {};
  const id = stringMember(parameters, "id");
  const key = stringMember(parameters, "key");
  const attempt = integerMember(parameters, "attempt", 1, Number.MAX_SAFE_INTEGER);
  const received = integerMember(parameters, "received", 0, Number.MAX_SAFE_INTEGER);
  if (!isToken(id, ID_BYTES) || !isToken(key, KEY_BYTES) || attempt === undefined || received === undefined) {
    return undefined;
  }
  return { id, key, attempt, received };
}

/** Returns whether a member is base64url of this many bytes. */
export function isToken(text: string | undefined, bytes: number): text is string {
  return text !== undefined && text.length === Math.ceil(bytes * 4 / 3) && /^[\w-]+$/.test(text) &&
    decodeBase64Url(text).length === bytes;
}
