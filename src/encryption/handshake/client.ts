/**
 * The client's end of the handshake, as a state machine without I/O.
 *
 * @module
 */

import { HandshakeError, ProtocolError } from "../../errors.ts";
import { NOTHING } from "../cipher_state.ts";
import { HandshakeState } from "../noise.ts";
import { type KeyPair, type Suite, SUITES } from "../primitives.ts";
import { checkHello, HELLO_SIZE, offerOf, prologueOf, readHello, type SuiteOffer, writeHello } from "./hello.ts";
import { Inbox } from "./inbox.ts";
import { IDENTITY_SIZE, type Payload, readPayload, signedText, type Signer, writePayload } from "./payload.ts";
import { NoiseEnd } from "./noise_end.ts";
import {
  closedWithin,
  framed,
  MESSAGE_2,
  MESSAGE_3,
  type NoiseEndOptions,
  type NoiseError,
  type NoiseStep,
  OVERHEAD_3,
  tooEarly,
} from "./terms.ts";

/** Options of the client's end. */
export interface ClientNoiseOptions extends NoiseEndOptions {
  /** The identity of the client. @default none: it stays anonymous */
  readonly signer?: Signer;
  /**
   * Returns the first bytes of the layer above, from those of the server. Called once, when the server is trusted.
   *
   * @param greeting The first bytes of the server's layer above.
   */
  readonly answer: (greeting: Uint8Array) => Uint8Array;
}

/**
 * Does the handshake with a server. Call {@linkcode start}, then {@linkcode push} until the server has shown its
 * identities, then {@linkcode accept}.
 */
export class ClientNoise extends NoiseEnd {
  readonly #options: ClientNoiseOptions;
  readonly #offer: SuiteOffer;
  readonly #hello: Uint8Array;
  readonly #ephemeral: KeyPair;
  /**
   * The static key pair, for this connection only. With one for all, an anonymous client could be recognized. It is made
   * when message 1 is on its way, while the server works.
   */
  #static: KeyPair | undefined = undefined;
  readonly #inbox = new Inbox();
  #state: "message-2" | "trust" | "over" = "message-2";
  #suite: Suite = 1;
  #noise: HandshakeState | undefined = undefined;
  #payload: Payload | undefined = undefined;

  constructor(options: ClientNoiseOptions) {
    super();
    this.#options = options;
    this.#offer = options.offer ?? offerOf(options.primitives);
    this.#hello = writeHello(this.#offer);
    this.#ephemeral = options.ephemeralKey ?? options.primitives.generateKeyPair();
  }

  /**
   * Returns the hello and message 1, which must be written as soon as the client is connected. They do not depend on
   * any byte of the server: message 1 is the ephemeral key in every suite.
   */
  start(): NoiseStep {
    return { state: "bytes", send: framed(this.#hello, this.#ephemeral.publicKey) };
  }

  /** Makes what message 3 needs. Called when the bytes of {@linkcode start} are on their way; else done later. */
  prepare(): void {
    if (this.#state !== "over") this.#staticKey();
  }

  /** Takes bytes from the server. */
  push(chunk: Uint8Array): NoiseStep {
    if (this.#state === "over") return this.failed();
    this.#inbox.add(chunk);
    return this.guard(() => this.#look());
  }

  /**
   * Called when the server is trusted: one of its identities is wanted and has been verified. Returns message 3 and the
   * outcome.
   *
   * @throws {RangeError} The answer of the layer above does not fit into message 3.
   */
  accept(): NoiseStep {
    const { identities, first } = this.#payload ?? {};
    const noise = this.#noise;
    if (this.#state !== "trust" || noise === undefined || identities === undefined || first === undefined) {
      throw new Error("Cannot trust the server: it has not shown its identities");
    }
    this.#state = "over";
    try {
      const signers = this.#options.signer === undefined ? [] : [this.#options.signer];
      const answer = this.#options.answer(first);
      const room = MESSAGE_3[1] - OVERHEAD_3 - 1 - signers.length * IDENTITY_SIZE;
      if (answer.length > room) {
        throw new RangeError(`Cannot send an answer of ${answer.length} bytes: there is room for ${room}`);
      }
      const text = signedText("client", noise.hash, this.#staticKey().publicKey);
      const payload = writePayload(signers, text, answer);
      const send = framed(NOTHING, noise.writeMessage(payload));
      // The answer may contain credentials.
      payload.fill(0);
      const handshakeHash = noise.hash;
      const ciphers = noise.split();
      const outcome = { suite: this.#suite, handshakeHash, ...ciphers, identities, first, rest: NOTHING };
      return { state: "done", send, outcome };
    } finally {
      this.destroy();
    }
  }

  /** Called when the server's FIN has arrived. Returns the error; `undefined` if the handshake is done. */
  finish(): NoiseError | undefined {
    if (this.#state === "over") return this.error;
    const { bytes } = this.#inbox;
    let error = closedWithin("it sent no whole message");
    if (this.#state === "trust") error = closedWithin("it did not wait for the answer to its identities");
    else if (bytes.length === 0) {
      const what = "Cannot encrypt: the server closed without a byte, as a server without encryption does";
      error = new HandshakeError("encryption-unavailable", what);
    }
    this.end(error);
    return error;
  }

  /** Drops all keys. The handshake is over. */
  override destroy(): void {
    this.#state = "over";
    this.#noise?.destroy();
    this.#ephemeral.destroy();
    this.#static?.destroy();
  }

  #staticKey(): KeyPair {
    return this.#static ??= this.#options.primitives.generateKeyPair();
  }

  #look(): NoiseStep {
    const { bytes } = this.#inbox;
    // A server sends nothing more until it has message 3.
    if (this.#state === "trust") throw tooEarly();
    checkHello(bytes, "server");
    if (bytes.length > HELLO_SIZE) this.#checkSuite(bytes);
    const end = this.#inbox.endOfMessage(HELLO_SIZE + 1, ...MESSAGE_2);
    if (end === undefined) return { state: "bytes" };
    if (bytes.length > end) throw tooEarly();
    return this.#readMessage2(this.#inbox.take(end));
  }

  /** Checks the suite that the server has chosen: both must speak it. */
  #checkSuite(bytes: Uint8Array): void {
    const { speaks } = readHello(bytes);
    const suite = SUITES.find((suite) => suite === bytes[HELLO_SIZE]);
    if (suite === undefined || !speaks.includes(suite) || !this.#offer.speaks.includes(suite)) {
      throw new ProtocolError(
        "protocol-error",
        `The server chose cipher suite ${bytes[HELLO_SIZE]}, which one of the two sides does not speak`,
      );
    }
    this.#suite = suite;
  }

  #readMessage2(bytes: Uint8Array): NoiseStep {
    const { primitives, verify } = this.#options;
    const noise = this.#noise = new HandshakeState("initiator", {
      primitives,
      suite: this.#suite,
      prologue: prologueOf(bytes.subarray(0, HELLO_SIZE), this.#hello, this.#suite),
      staticKey: this.#staticKey(),
      ephemeralKey: this.#ephemeral,
    });
    noise.writeMessage(NOTHING);
    const hash = noise.hash;
    const payload = noise.readMessage(bytes.subarray(HELLO_SIZE + 3));
    const text = signedText("server", hash, noise.remoteStatic);
    const { identities } = this.#payload = readPayload(payload, "server", text, verify);
    this.#state = "trust";
    return { state: "trust", identities };
  }
}
