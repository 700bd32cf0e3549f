/**
 * A frame: one message as it stands on the wire, and the numbers that every room above the wire shares: flags, system
 * codes, limits.
 *
 * @module
 */

/** One message on the wire. */
export interface Frame {
  /** The type code: 0–199 system, 200–65535 applications. */
  readonly code: number;
  /** The payload. In a decoded frame it is a view of the received bytes, not a copy. */
  readonly content: Uint8Array;
  /** A number (u16 or u32, by protocol), or a UUID in the 62-byte protocols. 0 for "none" in the native protocol. */
  readonly requestId: number | string;
  /** {@linkcode Flag}s, or-ed; 0 in protocols without flags. */
  readonly flags: number;
  /** The sender's clock in milliseconds since 1970, in protocols that carry it; never trustworthy. */
  readonly sentAt?: number | undefined;
}

/** Flags of the native protocol. */
export const Flag = {
  /** The sender waits for a reply under this id. */
  REQUEST: 0x01,
  /** Answers the request of this id. */
  REPLY: 0x02,
  /** With REPLY: the request failed; the content is JSON `{code, message, details?}`. */
  ERROR: 0x04,
} as const;

/** Type codes below 200, reserved for the library. */
export const SystemCode = {
  /** Asks for a PONG; in every protocol. */
  PING: 0,
  /** Answers a PING under the same id. */
  PONG: 1,
  /** Cancels the request of this id; native. */
  CANCEL: 3,
  /** Asks the peer to start nothing new and to leave; native. */
  GOAWAY: 4,
  /** Grants more bytes; native. */
  CREDIT: 5,
  /** Acknowledges delivery; native. */
  ACK: 6,
  /** The greeting of releases 1.4.0 – 1.7.x. */
  HELLO: 10,
  /** The answer to it. */
  HELLO_ACK: 11,
} as const;

/**
 * Checks a header for a feature: returns what is wrong with it, `true` if the frame may carry an id without REQUEST or
 * REPLY, `undefined` if the frame is none of the feature's.
 */
export type HeaderCheck = (flags: number, code: number, id: number) => string | true | undefined;

/** The first code that an application may use. */
export const FIRST_APPLICATION_CODE = 200;

/** Limits of the wire, each with its reason. Plain numbers, as published declarations do not evaluate a product. */
export const WIRE_LIMITS = {
  /** Header and content of one frame, in bytes: Python's own limit, so that either side can be served by the other. */
  maxMessageSize: 10_485_760,
  /** Message 1 and 3 of the JSON handshake: a greeting is under 300 bytes; the rest is room for features. */
  maxHandshakeReply: 4_096,
  /** Message 2: it may carry credentials, and tokens are a few kilobytes. */
  maxHandshakeRequest: 16_384,
  /** How deep the JSON of a handshake may nest: as deep as that of a message. */
  maxHandshakeDepth: 128,
  /** Values in one JSON message of a handshake: a greeting has 20; the rest is room for credentials. 512 take some 30 KB. */
  maxHandshakeValues: 512,
  /** The content of a HELLO or HELLO_ACK: the version text and what later releases may append. */
  maxHello: 64,
  /** What a Python client may send before it is let in, which takes as long as `authenticate` does: one socket read. */
  maxEarly: 65_536,
} as const;
