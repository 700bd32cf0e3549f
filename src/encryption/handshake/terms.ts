/**
 * The parts that both ends of the handshake share: the steps and the outcome of their machines, and the sizes of the
 * messages. The machines do no I/O: they take bytes and return a {@linkcode NoiseStep}.
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
/** What message 2 has besides its payload: `e`, `s` with its tag, and the tag of the payload. */
export const OVERHEAD_2: number = 2 * KEY_SIZE + 2 * TAG_SIZE;
/** What message 3 has besides its payload: `s` with its tag, and the tag of the payload. */
export const OVERHEAD_3: number = KEY_SIZE + 2 * TAG_SIZE;
/** The least and the most bytes of message 2. */
export const MESSAGE_2: readonly [number, number] = [
  OVERHEAD_2 + 1 + IDENTITIES.server[0] * IDENTITY_SIZE,
  5 * 1024,
];
/** The least and the most bytes of message 3. */
export const MESSAGE_3: readonly [number, number] = [OVERHEAD_3 + 1, 17 * 1024];

/** What the caller has to do after a machine was started, fed or told to go on. `send` is to be written first. */
export type NoiseStep =
  /** More bytes are needed: `push()`. */
  | { readonly state: "bytes"; readonly send?: Uint8Array }
  /** Work with public keys is next: `step()`, in a turn of the event loop that has no other such work. */
  | { readonly state: "turn" }
  /** The peer has shown its identities: `accept()`, or close. None of them is verified yet. */
  | { readonly state: "trust"; readonly identities: readonly ShownIdentity[] }
  /** The handshake is done, and the records begin. */
  | { readonly state: "done"; readonly send?: Uint8Array; readonly outcome: NoiseOutcome }
  /** The connection is to be closed. */
  | { readonly state: "failed"; readonly error: NoiseError };

/** What ends a handshake. */
export type NoiseError = HandshakeError | ProtocolError | ConnectionError;

/** What a handshake leads to. */
export interface NoiseOutcome {
  readonly suite: Suite;
  /** The handshake hash, the same on both sides and on no other connection. */
  readonly handshakeHash: Uint8Array;
  /** The cipher of what this side sends. */
  readonly sending: CipherState;
  /** The cipher of what this side receives. */
  readonly receiving: CipherState;
  /** The identities that the peer showed. */
  readonly identities: readonly ShownIdentity[];
  /** The first bytes of the peer's layer above; they may be empty. */
  readonly first: Uint8Array;
  /** The bytes that came after the handshake: the beginning of the records. */
  readonly rest: Uint8Array;
}

/** What both ends are made with. */
export interface NoiseEndOptions {
  readonly primitives: Primitives;
  /** Verifies a signature of Ed25519. */
  readonly verify: Verify;
  /** The suites that this side offers. @default what the primitives can do */
  readonly offer?: SuiteOffer;
  /** A key pair that was made ahead, for this handshake alone. @default a new one */
  readonly ephemeralKey?: KeyPair;
}

/** Returns true for an error that a peer can cause. */
export function isNoiseError(error: unknown): error is NoiseError {
  return error instanceof HandshakeError || error instanceof ProtocolError || error instanceof ConnectionError;
}

/** Returns a message with its u16 length in front, and bytes before both. */
export function framed(before: Uint8Array, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(before.length + 2 + message.length);
  bytes.set(before);
  bytes[before.length] = message.length >>> 8;
  bytes[before.length + 1] = message.length;
  bytes.set(message, before.length + 2);
  return bytes;
}

/** Creates the error for bytes that no peer can send yet. */
export function tooEarly(): ProtocolError {
  return new ProtocolError("protocol-error", "The peer sent bytes before it was its turn in the handshake");
}

/** Creates the error for a connection that the peer closed within the handshake. */
export function closedWithin(what: string): HandshakeError {
  return new HandshakeError("handshake-failed", `The peer closed the connection within the handshake: ${what}`);
}
