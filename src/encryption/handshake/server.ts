/**
 * The server's end of the handshake, as a state machine without I/O.
 *
 * @module
 */

import { HandshakeError } from "../../errors.ts";
import { HandshakeState } from "../noise.ts";
import type { KeyPair, Suite } from "../primitives.ts";
import {
  checkHello,
  chooseSuite,
  HELLO_SIZE,
  offerOf,
  prologueOf,
  readHello,
  type SuiteOffer,
  writeHello,
} from "./hello.ts";
import { Inbox } from "./inbox.ts";
import {
  IDENTITIES,
  IDENTITY_SIZE,
  type Payload,
  readPayload,
  signedText,
  type Signer,
  writePayload,
} from "./payload.ts";
import { NoiseEnd } from "./noise_end.ts";
import {
  closedWithin,
  framed,
  MESSAGE_1,
  MESSAGE_2,
  MESSAGE_3,
  type NoiseEndOptions,
  type NoiseError,
  type NoiseStep,
  OVERHEAD_2,
  tooEarly,
} from "./terms.ts";

/** The size of what a client sends before message 2: its hello and message 1. */
const OPENING = HELLO_SIZE + 2 + MESSAGE_1;

/** Options of the server's end. */
export interface ServerNoiseOptions extends NoiseEndOptions {
  /** The identities of the server, one to four. */
  readonly signers: readonly Signer[];
  /** Returns the static key pair of a suite. All connections use the same one. Each suite has its own. */
  readonly staticKey: (suite: Suite) => KeyPair;
  /** The first bytes of the layer above. Anyone can ask for them, so they must hold no secret. */
  readonly greeting: Uint8Array;
}

/**
 * Does the handshake with a client. Call {@linkcode start}, then {@linkcode push} and {@linkcode step} as the returned
 * steps say, and {@linkcode accept} at the end.
 */
export class ServerNoise extends NoiseEnd {
  readonly #options: ServerNoiseOptions;
  readonly #offer: SuiteOffer;
  readonly #hello: Uint8Array;
  readonly #inbox = new Inbox();
  #state: "message-1" | "turn-2" | "message-3" | "turn-3" | "trust" | "over" = "message-1";
  #suite: Suite = 1;
  #noise: HandshakeState | undefined = undefined;
  #payload: Payload | undefined = undefined;

  /**
   * @param options The options.
   * @throws {RangeError} There are too few or too many identities, or they leave no room for the greeting.
   */
  constructor(options: ServerNoiseOptions) {
    super();
    const { signers, greeting } = options;
    const [least, most] = IDENTITIES.server;
    if (signers.length < least || signers.length > most) {
      throw new RangeError(`Cannot show ${signers.length} identities: a server has ${least} to ${most}`);
    }
    const room = MESSAGE_2[1] - OVERHEAD_2 - 1 - signers.length * IDENTITY_SIZE;
    if (greeting.length > room) {
      throw new RangeError(`Cannot send a greeting of ${greeting.length} bytes: there is room for ${room}`);
    }
    this.#options = options;
    this.#offer = options.offer ?? offerOf(options.primitives);
    this.#hello = writeHello(this.#offer);
  }

  /** The number of bytes of the client that are kept. */
  get held(): number {
    return this.#inbox.size;
  }

  /** Returns the hello, which must be written as soon as the client is connected. */
  start(): NoiseStep {
    return { state: "bytes", send: this.#hello };
  }

  /** Takes bytes from the client. Bytes after message 3 are kept for the records. */
  push(chunk: Uint8Array): NoiseStep {
    if (this.#state === "over") return this.failed();
    // One byte too many is enough to see that there are too many.
    const most = this.#state === "message-1" ? OPENING + 1 - this.held : chunk.length;
    this.#inbox.add(chunk.subarray(0, most));
    return this.guard(() => this.#look());
  }

  /** Does the work with public keys that the previous step announced: writes message 2, or reads message 3. */
  step(): NoiseStep {
    if (this.#state === "turn-2") return this.guard(() => this.#writeMessage2());
    if (this.#state === "turn-3") return this.guard(() => this.#readMessage3());
    throw new Error("Cannot go on with the handshake: it does not wait for a turn");
  }

  /** Lets the client in. Its identities, if they matter, must have been verified. */
  accept(): NoiseStep {
    const { identities, first } = this.#payload ?? {};
    if (this.#state !== "trust" || this.#noise === undefined || identities === undefined || first === undefined) {
      throw new Error("Cannot accept the client: it has not shown its identities");
    }
    const handshakeHash = this.#noise.hash;
    const ciphers = this.#noise.split();
    this.#state = "over";
    const rest = this.#inbox.bytes;
    return { state: "done", outcome: { suite: this.#suite, handshakeHash, ...ciphers, identities, first, rest } };
  }

  /** Called when the client's FIN has arrived. Returns the error; `undefined` if all messages have arrived. */
  finish(): NoiseError | undefined {
    if (this.error !== undefined) return this.error;
    if (this.#state === "turn-3" || this.#state === "trust" || this.#state === "over") return undefined;
    let error = closedWithin("it sent the beginning of the first message");
    if (this.#state !== "message-1") {
      error = closedWithin("it sent no answer to the server's identities, as a client does that does not trust them");
    } else if (this.#inbox.bytes.length === 0) {
      const what = "Cannot talk in plain: the client closed without a byte, as a client without encryption does";
      error = new HandshakeError("encryption-required", what);
    }
    this.end(error);
    return error;
  }

  /** Drops all keys. The handshake is over. */
  override destroy(): void {
    this.#state = "over";
    this.#noise?.destroy();
    this.#options.ephemeralKey?.destroy();
  }

  #look(): NoiseStep {
    switch (this.#state) {
      case "message-1": {
        checkHello(this.#inbox.bytes, "client");
        const end = this.#inbox.endOfMessage(HELLO_SIZE, MESSAGE_1, MESSAGE_1);
        if (end === undefined) return { state: "bytes" };
        this.#suite = chooseSuite(this.#offer, readHello(this.#inbox.bytes));
        this.#state = "turn-2";
        return this.#look();
      }
      case "turn-2":
        // A client cannot make message 3 before it has message 2.
        if (this.held > OPENING) throw tooEarly();
        return { state: "turn" };
      case "message-3": {
        const end = this.#inbox.endOfMessage(0, ...MESSAGE_3);
        if (end === undefined) return { state: "bytes" };
        this.#state = "turn-3";
        return { state: "turn" };
      }
      case "trust":
        return { state: "trust", identities: this.#payload?.identities ?? [] };
      default:
        return { state: "turn" };
    }
  }

  #writeMessage2(): NoiseStep {
    const { primitives, signers, greeting } = this.#options;
    const opening = this.#inbox.take(OPENING);
    const suite = this.#suite;
    const staticKey = this.#options.staticKey(suite);
    const noise = this.#noise = new HandshakeState("responder", {
      primitives,
      suite,
      prologue: prologueOf(this.#hello, opening.subarray(0, HELLO_SIZE), suite),
      staticKey,
      ephemeralKey: this.#options.ephemeralKey ?? primitives.generateKeyPair(),
    });
    noise.readMessage(opening.subarray(HELLO_SIZE + 2));
    const payload = writePayload(signers, signedText("server", noise.hash, staticKey.publicKey), greeting);
    const message = noise.writeMessage(payload);
    this.#state = "message-3";
    return { state: "bytes", send: framed(Uint8Array.of(suite), message) };
  }

  #readMessage3(): NoiseStep {
    const noise = this.#noise!;
    const { bytes } = this.#inbox;
    const message = this.#inbox.take(2 + (bytes[0] << 8 | bytes[1])).subarray(2);
    const hash = noise.hash;
    const payload = noise.readMessage(message);
    const text = signedText("client", hash, noise.remoteStatic);
    const { identities } = this.#payload = readPayload(payload, "client", text, this.#options.verify);
    this.#state = "trust";
    return { state: "trust", identities };
  }
}
