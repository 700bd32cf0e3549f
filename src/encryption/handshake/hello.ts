/**
 * The hellos. Each side sends one, unencrypted, and it has five bytes: `56 58 53`, the version, and the suites. Bits 0
 * and 1 of the suites say that the side speaks suite 1 or 2. Bits 4 and 5 say that it is fast at suite 1 or 2. The
 * other bits are zero.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { HandshakeError } from "../../errors.ts";
import { type Primitives, type Suite, SUITES } from "../primitives.ts";

/** The size of a hello, in bytes. */
export const HELLO_SIZE = 5;
/** The version of the encryption. */
const VERSION = 1;
/** The beginning of the prologue. */
const NAME = new TextEncoder().encode("Veltix Noise 1");
/** `VXS`. */
const MAGIC: readonly number[] = [0x56, 0x58, 0x53];
/** The first byte of a TLS record that holds an alert. */
const TLS_ALERT = 0x15;
/** The first byte of a TLS record that holds a message of the handshake. */
const TLS_HANDSHAKE = 0x16;

/** The suites of one side. */
export interface SuiteOffer {
  readonly speaks: readonly Suite[];
  readonly fast: readonly Suite[];
}

/** Returns the suites that these primitives can do. */
export function offerOf({ fast }: Primitives): SuiteOffer {
  return { speaks: SUITES, fast };
}

/** Returns the hello of one side. */
export function writeHello({ speaks, fast }: SuiteOffer): Uint8Array {
  let bits = 0;
  for (const suite of speaks) bits |= 1 << suite - 1;
  for (const suite of fast) bits |= 1 << suite + 3;
  return Uint8Array.of(...MAGIC, VERSION, bits);
}

/**
 * Returns the suites of a complete hello. Bits without a meaning are ignored here. The prologue covers them.
 *
 * @param hello A hello that has passed {@linkcode checkHello}.
 */
export function readHello(hello: Uint8Array): SuiteOffer {
  const bits = hello[HELLO_SIZE - 1];
  return {
    speaks: SUITES.filter((suite) => bits >> suite - 1 & 1),
    fast: SUITES.filter((suite) => bits >> suite + 3 & 1),
  };
}

/**
 * Checks the first bytes of a peer, as many as have arrived.
 *
 * @param bytes What the peer has sent so far.
 * @param peer The role of the peer.
 * @throws {HandshakeError} They are not a hello of this version. The code is `encryption-unavailable` for another
 * version and for any other bytes of a server. For other bytes of a client it is `encryption-required` or
 * `tls-unavailable`.
 */
export function checkHello(bytes: Uint8Array, peer: "server" | "client"): void {
  for (let i = 0; i < MAGIC.length && i < bytes.length; i++) {
    if (bytes[i] !== MAGIC[i]) throw peer === "server" ? notServer(bytes) : notClient(bytes);
  }
  const version = bytes[MAGIC.length];
  if (bytes.length > MAGIC.length && version !== VERSION) {
    throw new HandshakeError(
      "encryption-unavailable",
      `Cannot encrypt: the ${peer} speaks version ${version} of the encryption, this side version ${VERSION}`,
    );
  }
}

/**
 * Returns the suite that a server chooses among those that both speak. Suites that both are fast at come first, then
 * those that the server is fast at, then the others. If both are fast at both, it is suite 2: processors have instructions
 * for AES. Within the other groups, suite 1 comes before suite 2, because it is the faster one without them.
 *
 * @throws {HandshakeError} `encryption-unavailable`: there is none.
 */
export function chooseSuite(server: SuiteOffer, client: SuiteOffer): Suite {
  const common = SUITES.filter((suite) => server.speaks.includes(suite) && client.speaks.includes(suite));
  const fast = common.filter((suite) => server.fast.includes(suite));
  const suite = fast.findLast((suite) => client.fast.includes(suite)) ?? fast[0] ?? common[0];
  if (suite !== undefined) return suite;
  throw new HandshakeError("encryption-unavailable", "Cannot encrypt: the two sides speak no common cipher suite");
}

/** Returns the bytes that must be the same on both sides. */
export function prologueOf(serverHello: Uint8Array, clientHello: Uint8Array, suite: Suite): Uint8Array {
  return concat(NAME, serverHello, clientHello, Uint8Array.of(suite));
}

/** Creates the error of a client that gets no hello. */
function notServer(bytes: Uint8Array): HandshakeError {
  let what = "what it sends is no hello of the encryption";
  if (bytes[0] === TLS_ALERT) what = "it speaks TLS";
  else if (bytes[2] === 0x7b) what = "it greets in plain JSON";
  else if (bytes[0] === MAGIC[0] && bytes[1] === MAGIC[1]) what = "it greets with a plain frame";
  return new HandshakeError(
    "encryption-unavailable",
    `Cannot encrypt: the server is not set to encryption: ${what}`,
  );
}

/** Creates the error of a server that gets no hello. */
function notClient(bytes: Uint8Array): HandshakeError {
  if (bytes[0] === TLS_HANDSHAKE) {
    return new HandshakeError("tls-unavailable", "Cannot speak TLS: this listener is set to encryption without TLS");
  }
  return new HandshakeError(
    "encryption-required",
    "Cannot talk in plain: this listener is set to encryption, and the client is not",
  );
}
