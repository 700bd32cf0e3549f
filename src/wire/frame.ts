/**
 * Defines a frame, which is one message on the wire, and the numbers that all layers share: flags, system codes and
 * limits.
 *
 * @module
 */

/**
 * One message on the wire.
 *
 * @category Wire protocol
 */
export interface Frame {
  /** The type code: 0–199 system, 200–65535 applications. */
  readonly code: number;
  /** The payload. In a decoded frame it is a view of the received bytes, not a copy. */
  readonly content: Uint8Array;
  /**
   * A number (u16 or u32, depending on the protocol), or a UUID in the 62-byte protocols. In the native protocol, 0
   * means none.
   */
  readonly requestId: number | string;
  /** The {@linkcode Flag}s, combined with bitwise OR; 0 in protocols without flags. */
  readonly flags: number;
  /** The sender's clock, in milliseconds since 1970, in protocols that carry it. Do not trust it. */
  readonly sentAt?: number | undefined;
}

/**
 * Flags of the native protocol.
 *
 * @category Wire protocol
 */
export const Flag = {
  /** Marks a request. The sender waits for a reply with the same id. */
  REQUEST: 0x01,
  /** Marks the reply to the request with the same id. */
  REPLY: 0x02,
  /** Set together with REPLY if the request failed. The content is then JSON `{code, message, details?}`. */
  ERROR: 0x04,
  /** Marks the last piece of one direction of a stream. Only together with STREAM. */
  END: 0x08,
  /** The content is compressed. Feature `compression` only. */
  COMPRESSED: 0x10,
  /** The content begins with metadata. Feature `meta` only. */
  META: 0x20,
  /** Marks the opening of a stream, together with REQUEST, and its pieces. */
  STREAM: 0x40,
} as const;

/** The size of the largest piece of a stream, in bytes. */
export const MAX_PIECE = 65_536;

/** Returns whether a frame with these flags is a piece of a stream. The frame that opens a stream is none. */
export function isPiece(flags: number): boolean {
  return (flags & (Flag.STREAM | Flag.REQUEST)) === Flag.STREAM;
}

/**
 * Type codes below 200, reserved for the library.
 *
 * @category Wire protocol
 */
export const SystemCode = {
  /** Asks for a PONG. Every protocol has it. */
  PING: 0,
  /** Answers the PING with the same id. */
  PONG: 1,
  /** Cancels the request with the same id. Native protocol only. */
  CANCEL: 3,
  /** Asks the peer to start nothing new and to leave. Native protocol only. */
  GOAWAY: 4,
  /** Grants the peer more bytes to send. Native protocol only. */
  CREDIT: 5,
  /** Acknowledges delivery. Native protocol only. */
  ACK: 6,
  /** Grants the peer more bytes to send on a stream. Native protocol only. */
  WINDOW: 7,
  /** Says that the sender reads no more of a stream. Native protocol only. */
  STOP: 8,
  /** The greeting of releases 1.4.0 – 1.7.x. */
  HELLO: 10,
  /** The answer to HELLO. */
  HELLO_ACK: 11,
} as const;

/**
 * Checks a header for a feature, if it has a system code or the flag of one. Returns what is wrong with the header,
 * `true` if the frame may carry an id without REQUEST or REPLY, or `undefined` if the frame does not belong to the
 * feature.
 */
export type HeaderCheck = (flags: number, code: number, id: number) => string | true | undefined;

/** The first code that an application may use. */
export const FIRST_APPLICATION_CODE = 200;

// A doc comment of more than one line inside this object would break the declarations that `deno pack` makes of it.
/**
 * Limits of the wire protocols, each with its reason. They are plain numbers because published declarations do not
 * evaluate a product.
 *
 * @category Wire protocol
 */
export const WIRE_LIMITS = {
  /** The largest frame, header included, in bytes. It is Python's own limit: either side can serve the other. */
  maxMessageSize: 10_485_760,
  /** The largest message 1 or 3 of the JSON handshake, in bytes. A greeting takes 300; the rest is for features. */
  maxHandshakeReply: 4_096,
  /** The largest message 2 of the JSON handshake, in bytes. It may carry credentials of a few kilobytes. */
  maxHandshakeRequest: 16_384,
  /** How deep the JSON of a handshake may nest, which is the same as for a message. */
  maxHandshakeDepth: 128,
  /** The most values in one JSON message of a handshake. A greeting has 20, and 512 take about 30 KB of memory. */
  maxHandshakeValues: 512,
  /** The largest content of a HELLO or HELLO_ACK, in bytes: the version text, and what later releases may append. */
  maxHello: 64,
  /** The most bytes of the JSON of metadata: a few ids of traces, not a second payload. */
  maxMetadata: 8_192,
  /** The most names of metadata. */
  maxMetadataNames: 64,
  /** The most bytes of a Python client before it is let in: one socket read while `authenticate` decides. */
  maxEarly: 65_536,
} as const;
