/**
 * Message 1 of the JSON handshake, which a server sends to each connection. Only the nonce differs, so the rest is encoded
 * once.
 *
 * @module
 */

import { WIRE_LIMITS } from "../frame.ts";
import { isNative, type Protocol, PROTOCOL_VERSION } from "../protocols.ts";
import { ID_WINDOW } from "../python/id_numbering.ts";
import { jsonMessage } from "./messages.ts";
import { NATIVE_VERSIONS, type NativeOffer } from "./terms.ts";

/** The release that a native-only server announces. Native peers come through the handshake of that release. */
export const NATIVE_RELEASE = "2.0.0";

/** The nonces that need no encoding. */
const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/;
/** Stands for one of them. */
const PLACEHOLDER = "#".repeat(36);

/** The greetings of one protocol with one offer. */
export class Greeting {
  readonly #protocol: Protocol;
  readonly #offer: NativeOffer;
  /** The greeting with the placeholder, and where that begins. */
  #form: Uint8Array | undefined = undefined;
  #at = 0;

  constructor(protocol: Protocol, offer: NativeOffer) {
    this.#protocol = protocol;
    this.#offer = offer;
  }

  /**
   * Returns the greeting with a nonce. It must not be changed.
   *
   * @throws {RangeError} The greeting is longer than a handshake allows.
   */
  encode(nonce: string): Uint8Array {
    if (!UUID.test(nonce)) return this.#message(nonce);
    const form = this.#form ??= this.#makeForm();
    if (!upgrades(this.#protocol)) return form;
    const bytes = form.slice();
    for (let i = 0; i < nonce.length; i++) bytes[this.#at + i] = nonce.charCodeAt(i);
    return bytes;
  }

  #makeForm(): Uint8Array {
    const form = this.#message(PLACEHOLDER);
    // The nonce comes last, after whatever features offer.
    this.#at = form.lastIndexOf(PLACEHOLDER.charCodeAt(0)) - PLACEHOLDER.length + 1;
    return form;
  }

  #message(nonce: string): Uint8Array {
    const protocol = this.#protocol;
    const { features = {}, maxMessageSize } = this.#offer;
    const native = { versions: NATIVE_VERSIONS, features, maxMessageSize, nonce };
    const value = upgrades(protocol)
      ? {
        v: isNative(protocol) ? NATIVE_RELEASE : protocol.release,
        pv: PROTOCOL_VERSION,
        meta: { id_window: ID_WINDOW, native },
      }
      : { v: protocol.release, meta: {} };
    return jsonMessage(value, WIRE_LIMITS.maxHandshakeReply);
  }
}

/** Returns whether native peers may upgrade inside this protocol's handshake. */
export function upgrades(protocol: Protocol): boolean {
  return isNative(protocol) || protocol.ids === "u16";
}
