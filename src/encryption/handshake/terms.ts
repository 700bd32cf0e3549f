/**
 * The parts that both ends of the handshake share: the steps and the outcome of their state machines, and the sizes of
 * the messages. The machines do no I/O: they take bytes and return a {@linkcode NoiseStep}.
 *
 * @module
 */

import { ConnectionError, HandshakeError, ProtocolError } from "../../errors.ts";
import type { CipherState } from "../cipher_state.ts";
import { KEY_SIZE, type KeyPair, type Primitives, type Suite, TAG_SIZE } from "../primitives.ts";
import type { SuiteOffer } from "./hello.ts";
import { IDENTITIES, IDENTITY_SIZE, type ShownIdentity, type Verify } from "./payload.ts";

/** The size of message 1: a public key. */
export const MESSAGE_1: number = KEY_SIZE;
/** The size of message 2 without its payload: `e`, `s` with its tag, and the tag of the payload. */
export const OVERHEAD_2: number = 2 * KEY_SIZE + 2 * TAG_SIZE;
/** The size of message 3 without its payload: `s` with its tag, and the tag of the payload. */
export const OVERHEAD_3: number = KEY_SIZE + 2 * TAG_SIZE;
/** The smallest and the largest size of message 2. */
export const MESSAGE_2: readonly [number, number] = [
  OVERHEAD_2 + 1 + IDENTITIES.server[0] * IDENTITY_SIZE,
  5 * 1024,
];
/** The smallest and the largest size of message 3. */
export const MESSAGE_3: readonly [number, number] = [OVERHEAD_3 + 1, 17 * 1024];

/** Tells the caller of a machine what to do next. `send` must be written first. */
export type NoiseStep =
  /** More bytes are needed: call `push()`. */
  | { readonly state: "bytes"; readonly send?: Uint8Array }
  /** Work with public keys is next: call `step()`, in a turn of the event loop that has no other such work. */
  | { readonly state: "turn" }
  /** The peer has shown its identities: call `accept()`, or close. None of them is verified yet. */
  | { readonly state: "trust"; readonly identities: readonly ShownIdentity[] }
  /** The handshake is done, and the records begin. */
  | { readonly state: "done"; readonly send?: Uint8Array; readonly outcome: NoiseOutcome }
  /** The connection must be closed. */
  | { readonly state: "failed"; readonly error: NoiseError };

/** An error that ends a handshake. */
export type NoiseError = HandshakeError | ProtocolError | ConnectionError;

/** The outcome of a handshake. */
export interface NoiseOutcome {
  readonly suite: Suite;
  /** The handshake hash, the same on both sides and on no other connection. */
  readonly handshakeHash: Uint8Array;
  /** The cipher for the bytes that this side sends. */
  readonly sending: CipherState;
  /** The cipher for the bytes that this side receives. */
  readonly receiving: CipherState;
  /** The identities that the peer showed. */
  readonly identities: readonly ShownIdentity[];
  /** The first bytes of the peer's layer above; they may be empty. */
  readonly first: Uint8Array;
  /** The bytes that came after the handshake: the beginning of the records. */
  readonly rest: Uint8Array;
}

/** Options of both ends. */
export interface NoiseEndOptions {
  readonly primitives: Primitives;
  /** Verifies a signature of Ed25519. */
  readonly verify: Verify;
  /** The suites that this side offers. @default the suites that the primitives can do */
  readonly offer?: SuiteOffer;
  /** A key pair that was made in advance, for this handshake only. @default a new one */
  readonly ephemeralKey?: KeyPair;
}

/** Returns true if a peer can cause this error. */
export function isNoiseError(error: unknown): error is NoiseError {
  return error instanceof HandshakeError || error instanceof ProtocolError || error instanceof ConnectionError;
}

/** Returns the bytes `before`, then the u16 length of a message, then the message. */
export function framed(before: Uint8Array, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(before.length + 2 + message.length);
  bytes.set(before);
  bytes[before.length] = message.length >>> 8;
  bytes[before.length + 1] = message.length;
  bytes.set(message, before.length + 2);
  return bytes;
}

/** Creates the error for bytes that the peer must not send yet. */
export function tooEarly(): ProtocolError {
  return new ProtocolError("protocol-error", "The peer sent bytes before it was its turn in the handshake");
}

/** Creates the error for a connection that the peer closed during the handshake. */
export function closedWithin(what: string): HandshakeError {
  return new HandshakeError("handshake-failed", `The peer closed the connection within the handshake: ${what}`);
}
