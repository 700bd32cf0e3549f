/**
 * The server's end of a handshake, as a state machine without I/O: HELLO frames (1.4.0 – 1.7.x), JSON (1.8 and later, with
 * the native protocol negotiated inside 2.0's), or none (1.2, 1.3).
 *
 * @module
 */

import { HandshakeError, ProtocolError } from "../errors.ts";
import { SystemCode, WIRE_LIMITS } from "./frame.ts";
import {
  commonFeatures,
  type HandshakeOutcome,
  type HandshakeStep,
  ID_WINDOW,
  NATIVE,
  NATIVE_VERSIONS,
  type NativeOffer,
  type NativeTerms,
  PYTHON_MAX_MESSAGE_SIZE,
  readNativeTerms,
} from "./handshake.ts";
import {
  concat,
  EMPTY,
  failed,
  firstFrame,
  helloFrame,
  helloVersion,
  jsonMessage,
  JsonReader,
  member,
  objectMember,
  type PeerObject,
  printable,
  releaseMember,
} from "./handshake_messages.ts";
import { acceptsRelease, isNative, type Protocol } from "./protocols.ts";

/** What a server brings to a handshake. */
export interface ServerHandshakeOptions {
  /** What is announced and served; native peers upgrade inside 2.0, and `native` takes nobody else. */
  readonly protocol: Protocol;
  /** What is offered to native peers. */
  readonly offer: NativeOffer;
  /** Fresh and unpredictable: the id of the HELLO frame (a u32 or a UUID, as the protocol has it). */
  readonly helloId: number | string;
  /** Fresh and unpredictable, sent to native peers. */
  readonly nonce: string;
  /** The wall clock, in milliseconds since 1970, for protocols that carry it. */
  readonly now: number;
}

/** Greets, checks the answer, and lets the caller decide. Feed it until it is `open` or `failed`. */
export class ServerHandshake {
  readonly #options: ServerHandshakeOptions;
  readonly #transcript: Uint8Array[] = [];
  readonly #json = new JsonReader(WIRE_LIMITS.maxHandshakeRequest);
  /** An unfinished HELLO_ACK. */
  #held: Uint8Array = EMPTY;
  #proposal: Omit<HandshakeOutcome, "transcript"> | undefined = undefined;

  /** @param options What this end brings. */
  constructor(options: ServerHandshakeOptions) {
    this.#options = options;
  }

  /** The greeting to send; `open` at once for the releases that have no handshake. */
  start(): HandshakeStep {
    const { protocol, helloId, now } = this.#options;
    if (protocol.handshake === "none") {
      this.#propose("", EMPTY);
      return this.accept();
    }
    const greeting = protocol.handshake === "hello"
      ? helloFrame(protocol, SystemCode.HELLO, helloId, now, protocol.release)
      : jsonMessage(this.#greeting(), WIRE_LIMITS.maxHandshakeReply);
    this.#transcript.push(greeting);
    return { state: "waiting", send: greeting };
  }

  /** Takes bytes of the client. */
  push(chunk: Uint8Array): HandshakeStep {
    try {
      if (this.#proposal !== undefined) return this.#early(this.#proposal, chunk);
      return this.#options.protocol.handshake === "hello" ? this.#pushHello(chunk) : this.#pushJson(chunk);
    } catch (error) {
      if (error instanceof ProtocolError) return { state: "failed", error };
      if (error instanceof HandshakeError) return this.refuse(error);
      throw error;
    }
  }

  /** Lets the peer in: the last bytes to send, and the outcome. */
  accept(): HandshakeStep {
    const proposal = this.#proposal;
    if (proposal === undefined) throw new TypeError("Cannot accept the peer: it has proposed nothing yet");
    let send: Uint8Array | undefined;
    if (this.#options.protocol.handshake === "json") {
      const { features: offered = {} } = this.#options.offer;
      const features = Object.fromEntries([...proposal.features.keys()].map((name) => [name, offered[name]]));
      const native = isNative(proposal.protocol) ? { version: NATIVE_VERSIONS[0], features } : undefined;
      send = jsonMessage({ result: "ok", native }, WIRE_LIMITS.maxHandshakeReply);
      this.#transcript.push(send);
    }
    return { state: "open", send, outcome: { ...proposal, transcript: this.#transcript } };
  }

  /** Does not let the peer in: the last bytes to send, if its protocol has words for it, and `error` as it was given. */
  refuse(error: HandshakeError): HandshakeStep {
    return { state: "failed", error, send: refusalMessage(this.#options.protocol, error) };
  }

  /** Message 1. */
  #greeting(): PeerObject {
    const { protocol, offer, nonce } = this.#options;
    if (!upgrades(protocol)) return { v: protocol.release, meta: {} };
    const { features = {}, maxMessageSize } = offer;
    return {
      v: isNative(protocol) ? "2.0.0" : protocol.release,
      meta: { id_window: ID_WINDOW, native: { versions: NATIVE_VERSIONS, features, maxMessageSize, nonce } },
    };
  }

  #pushHello(chunk: Uint8Array): HandshakeStep {
    const { protocol, helloId } = this.#options;
    const bytes = this.#held = concat(this.#held, chunk);
    const frame = firstFrame(protocol, bytes);
    if (frame === "partial") return { state: "waiting" };
    if (frame === "damaged") throw failed("its first frame is damaged");
    if (frame.code !== SystemCode.HELLO_ACK) throw failed(`it sent a frame of type ${frame.code} before HELLO_ACK`);
    if (frame.requestId !== helloId) throw failed("its HELLO_ACK carries another id");
    const release = helloVersion(frame.content);
    if (release === undefined) throw failed("its HELLO_ACK holds no version");
    this.#checkRelease(release);
    this.#transcript.push(bytes.slice(0, frame.end));
    return this.#propose(release, bytes.subarray(frame.end));
  }

  #pushJson(chunk: Uint8Array): HandshakeStep {
    const whole = this.#json.push(chunk);
    if (whole === undefined) return { state: "waiting" };
    const { message, bytes, rest } = whole;
    this.#transcript.push(bytes);
    const release = releaseMember(message);
    if (release === undefined) throw failed('its message has no version "v"');
    const meta = member(message, "meta") === undefined ? {} : objectMember(message, "meta");
    if (meta === undefined) throw failed('its "meta" is no object');

    const { protocol } = this.#options;
    const terms = upgrades(protocol) ? readNativeTerms(meta) : undefined;
    if (terms?.version !== undefined) {
      if (rest.length > 0) throw tooEarly();
      return this.#propose(release, rest, terms);
    }
    if (isNative(protocol)) {
      throw new HandshakeError("native-required", "Cannot agree with the peer: it does not speak the native protocol");
    }
    this.#checkRelease(release);
    return this.#propose(release, rest);
  }

  /** Bytes between the peer's last message and the decision: a Python client may begin, a native one may not. */
  #early(proposal: Omit<HandshakeOutcome, "transcript">, chunk: Uint8Array): HandshakeStep {
    if (chunk.length > 0 && isNative(proposal.protocol)) throw tooEarly();
    const rest = concat(proposal.rest, chunk);
    if (rest.length > WIRE_LIMITS.maxEarly) throw failed("it sent too much before it was let in");
    this.#proposal = { ...proposal, rest };
    return { state: "waiting" };
  }

  #checkRelease(release: string): void {
    const ours = this.#options.protocol.release;
    if (release === ours || acceptsRelease(release, ours) || acceptsRelease(ours, release)) return;
    throw new HandshakeError(
      "version-mismatch",
      `Cannot agree with the peer: it is release "${printable(release)}", this listener serves "${ours}"`,
    );
  }

  #propose(release: string, rest: Uint8Array, terms?: NativeTerms): HandshakeStep {
    const { protocol, offer } = this.#options;
    const native = terms !== undefined;
    this.#proposal = {
      protocol: native ? NATIVE : protocol,
      release,
      idWindow: !native && protocol.ids === "u16" ? ID_WINDOW : 0,
      maxMessageSize: native ? terms.maxMessageSize : protocol.maxFrameSize ?? PYTHON_MAX_MESSAGE_SIZE,
      features: native ? commonFeatures(offer, terms.features) : new Map(),
      rest,
    };
    return { state: "proposed", peer: { release, native, credentials: terms?.credentials } };
  }
}

/**
 * What to send to a peer that is not let in, in place of message 1 or 3, before closing: the refusal of `error`, or else its
 * code and message; nothing where the protocol has no words for it. Of each text, 200 characters arrive.
 */
export function refusalMessage(protocol: Protocol, error: HandshakeError): Uint8Array | undefined {
  if (protocol.handshake !== "json") return undefined;
  const { code, message } = error.refusal ?? error;
  const retryAfter = error.refusal?.retryAfter;
  const words = { result: "error", code: printable(code), message: printable(message), retryAfter };
  return jsonMessage(words, WIRE_LIMITS.maxHandshakeReply);
}

/** Whether native peers may upgrade inside this protocol's handshake. */
function upgrades(protocol: Protocol): boolean {
  return isNative(protocol) || protocol.ids === "u16";
}

function tooEarly(): ProtocolError {
  return new ProtocolError("protocol-error", "Cannot agree with the peer: it sent frames before it was let in");
}
