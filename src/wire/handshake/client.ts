/**
 * The client's end of a handshake, as a state machine without I/O. The server always speaks first, so its greeting
 * shows which of the protocols it speaks.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { HandshakeError, ProtocolError } from "../../errors.ts";
import { SystemCode, WIRE_LIMITS } from "../frame.ts";
import { adviceFor, describeBytes, detectHello, isNoise, isTls } from "../python/hello.ts";
import {
  commonFeatures,
  type HandshakeStep,
  NATIVE,
  NATIVE_VERSIONS,
  type NativeOffer,
  type NativeTerms,
  PYTHON_MAX_MESSAGE_SIZE,
  readNativeTerms,
} from "./terms.ts";
import { integerMember, member, objectMember, type PeerObject } from "../../base/untrusted.ts";
import { EMPTY, failed, jsonMessage, named, releaseMember, versionMember } from "./messages.ts";
import { checkNative, nativeAnswer } from "./credentials.ts";
import { JsonReader } from "./json_reader.ts";
import { helloFrame } from "../python/hello_frames.ts";
import { type Numbering, numberingOf } from "../python/id_numbering.ts";
import { type HandshakeKind, isNative, type Protocol, PROTOCOL_VERSION } from "../protocols.ts";
import { refusalIn } from "./refusal.ts";
import { pythonProtocol } from "../python/release_choice.ts";

/** The release that a client names to a server that names none. */
const ANY_RELEASE = "2.0.0";

/** The possible reasons why a server sends nothing. A client cannot tell the three apart. */
const SILENCE = "it sent nothing: it is no Veltix server (check the host and the port), a Python server that is full " +
  "or held up by another client, or a Python server of release 1.2 or 1.3, which do not greet " +
  '(set protocol to "1.3.0" or "1.2.1" then)';

/** The options of a client's handshake. */
export interface ClientHandshakeOptions {
  /** The protocol that the server must speak. `"auto"` accepts the one that it greets with. */
  readonly protocol: Protocol | "auto";
  /** What is offered to a native server. */
  readonly offer: NativeOffer;
  /**
   * Called once, when the answer to a native server's greeting is made. Returns the parameters that replace some of
   * those in `offer`, by the names of the features.
   * @default none are replaced
   */
  readonly answered?: (() => Readonly<Record<string, PeerObject>>) | undefined;
  /** Sent to a native server as JSON. With credentials, only native servers are accepted. */
  readonly credentials?: unknown;
  /**
   * Accepts only native servers, even where `protocol` allows others. An attacker in between must not be able to
   * downgrade the connection to a server that has spoken native before.
   * @default false
   */
  readonly nativeOnly?: boolean;
  /** The wall clock, in milliseconds since 1970, for protocols that carry it. */
  readonly now: number;
}

/** Answers a server's greeting. Feed it until it is `open` or `failed`. */
export class ClientHandshake {
  readonly #options: ClientHandshakeOptions;
  /** The `native` member of message 2, without what {@linkcode ClientHandshakeOptions.answered} replaces. */
  readonly #native: PeerObject;
  /** This end's parameters of the features, as message 2 has them. */
  #own: Readonly<Record<string, PeerObject>>;
  readonly #transcript: Uint8Array[] = [];
  #state: "greeting" | "message-1" | "message-3" = "greeting";
  #held: Uint8Array = EMPTY;
  #json = new JsonReader(WIRE_LIMITS.maxHandshakeReply);
  #release = "";
  #version: string | undefined = undefined;
  #numbering: Numbering | undefined = undefined;
  #terms: NativeTerms | undefined = undefined;

  /**
   * @param options The options.
   * @throws {TypeError} The credentials cannot be represented as JSON.
   * @throws {RangeError} Credentials and features do not fit into one handshake message: too large, too deep, or too
   * many values.
   */
  constructor(options: ClientHandshakeOptions) {
    this.#options = options;
    const { offer: { maxMessageSize, features = {} }, credentials } = options;
    this.#own = features;
    this.#native = { versions: NATIVE_VERSIONS, features, maxMessageSize, credentials };
    // Without credentials the message is small, whatever the release of the server.
    if (credentials !== undefined) checkNative(this.#native);
  }

  /**
   * Waits for the greeting. For releases without one, the result is `open` at once, or `failed` if native is required.
   */
  start(): HandshakeStep {
    const { protocol: wanted } = this.#options;
    if (wanted === "auto" || wanted.handshake !== "none") return { state: "waiting" };
    const error = this.#notNative(wanted.release);
    return error === undefined ? this.#open(wanted, EMPTY) : { state: "failed", error };
  }

  /** Takes bytes from the server. */
  push(chunk: Uint8Array): HandshakeStep {
    try {
      return this.#state === "greeting" ? this.#pushGreeting(chunk) : this.#pushJson(chunk);
    } catch (error) {
      if (error instanceof HandshakeError || error instanceof ProtocolError) return { state: "failed", error };
      throw error;
    }
  }

  /** Describes how far an unfinished handshake came, and what may be the cause. */
  unfinished(how: "closed" | "late"): string {
    if (this.#state === "message-3") {
      const announced = `it greeted as release "${named(this.#release)}"`;
      return how === "late"
        ? `${announced} of the Python protocol and has not let the client in yet, for example because its ` +
          "`authenticate` is slow"
        : `${announced}: Python servers refuse a client by closing, one of another release among them`;
    }
    if (this.#state === "message-1") return "it sent the beginning of a JSON handshake";
    const bytes = this.#held;
    if (bytes.length > 0) return `it sent ${describeBytes(bytes)}; ${adviceFor(bytes)}`;
    return how === "closed" ? "it sent nothing; check the host and the port" : SILENCE;
  }

  #pushGreeting(chunk: Uint8Array): HandshakeStep {
    const bytes = this.#held = concat(this.#held, chunk);
    if (bytes.length < 3) return { state: "waiting" };
    if (bytes[2] === 0x7b) {
      this.#state = "message-1";
      return this.#pushJson(bytes);
    }
    if (isTls(bytes) || isNoise(bytes)) {
      const greeted = `it greeted with ${describeBytes(bytes)}, which is no Veltix greeting; ${adviceFor(bytes)}`;
      const code = isTls(bytes) ? "tls-required" : "encryption-required";
      throw new HandshakeError(code, `Cannot agree with the peer: ${greeted}`);
    }
    const hello = detectHello(bytes);
    if (hello === undefined) return { state: "waiting" };
    const { frame, layout, release } = hello;
    this.#release = release;
    const spoken = this.#python("hello");
    if (spoken.headerSize !== layout.headerSize) {
      throw failed(`it calls itself release "${release}" but frames like "${layout.name}"`);
    }
    const ack = helloFrame(spoken, SystemCode.HELLO_ACK, frame.requestId, this.#options.now, release);
    this.#transcript.push(bytes.slice(0, frame.end), ack);
    return this.#open(spoken, bytes.subarray(frame.end), ack);
  }

  #pushJson(chunk: Uint8Array): HandshakeStep {
    const whole = this.#json.push(chunk);
    if (whole === undefined) return { state: "waiting" };
    const { message, bytes, rest } = whole;
    this.#transcript.push(bytes);
    const refusal = refusalIn(message, this.#state === "message-1");
    if (refusal !== undefined) throw refusal;
    if (this.#state === "message-3") {
      if (member(message, "result") !== "ok") throw failed('its last message has neither the result "ok" nor "error"');
      return this.#conclude(message, rest);
    }
    if (rest.length > 0) throw failed("it sent more before it was answered");
    const answer = this.#answer(message);
    this.#transcript.push(answer);
    this.#state = "message-3";
    this.#json = new JsonReader(WIRE_LIMITS.maxHandshakeReply);
    return { state: "waiting", send: answer };
  }

  /** Reads message 1 and returns message 2. */
  #answer(message: PeerObject): Uint8Array {
    const version = this.#version = versionMember(message);
    const name = releaseMember(message);
    const release = this.#release = name ?? "";
    const meta = member(message, "meta") === undefined ? {} : objectMember(message, "meta");
    if (name === undefined && version === undefined || meta === undefined) throw failed("its greeting is malformed");
    this.#numbering = numberingOf("server", release, version, integerMember(meta, "id_window", 1, 65534));
    const { protocol: wanted } = this.#options;
    const v = name ?? ANY_RELEASE;
    const terms = wanted === "auto" || isNative(wanted) || wanted.ids === "u16" ? readNativeTerms(meta) : undefined;
    if (terms?.version !== undefined) {
      this.#terms = terms;
      const { answered } = this.#options;
      if (answered !== undefined) this.#own = { ...this.#own, ...answered() };
      return nativeAnswer(v, { ...this.#native, features: this.#own });
    }
    const { ids } = this.#python("json");
    const pv = ids === "u16" && version !== undefined ? PROTOCOL_VERSION : undefined;
    return jsonMessage({ v, pv, meta: {} }, WIRE_LIMITS.maxHandshakeRequest);
  }

  /** Reads message 3. */
  #conclude(message: PeerObject, rest: Uint8Array): HandshakeStep {
    if (member(message, "native") === undefined) return this.#open(this.#python("json"), rest);
    const { offer } = this.#options;
    const native = objectMember(message, "native") ?? {};
    const features = objectMember(native, "features");
    if (
      this.#terms === undefined || member(native, "version") !== this.#terms.version || features === undefined ||
      commonFeatures(offer, features).size !== Object.keys(features).length ||
      offer.confirm !== undefined &&
        ![...commonFeatures(offer, features)].every((feature) => offer.confirm!(...feature))
    ) {
      throw failed("it chose native terms that were not offered");
    }
    return this.#open(NATIVE, rest, undefined, features);
  }

  /** Returns the Python protocol of the announced release. Throws if it is not acceptable. */
  #python(handshake: HandshakeKind): Protocol {
    const release = this.#release;
    const error = this.#notNative(release);
    if (error !== undefined) throw error;
    const spoken = pythonProtocol(this.#options.protocol, { handshake, release, version: this.#version });
    if (spoken.ids === "u16" && this.#numbering === undefined) {
      throw failed('its "id_window" is no whole number from 1 to 65534');
    }
    return spoken;
  }

  /** Returns the error for a server that is not native; `undefined` if the server need not be native. */
  #notNative(announced: string): HandshakeError | undefined {
    const { protocol: wanted, credentials, nativeOnly = false } = this.#options;
    const why = credentials !== undefined
      ? ", which credentials need"
      : nativeOnly
      ? ", which was spoken here before"
      : wanted !== "auto" && isNative(wanted)
      ? ""
      : undefined;
    if (why === undefined) return undefined;
    return new HandshakeError(
      "native-required",
      `Cannot agree with the server: it is release "${named(announced)}" and does not speak the native protocol${why}`,
    );
  }

  #open(spoken: Protocol, rest: Uint8Array, send?: Uint8Array, features: PeerObject = {}): HandshakeStep {
    const native = isNative(spoken);
    return {
      state: "open",
      send,
      outcome: {
        protocol: spoken,
        release: this.#release,
        numbering: spoken.ids === "u16" ? this.#numbering : undefined,
        maxMessageSize: native ? this.#terms!.maxMessageSize : spoken.maxFrameSize ?? PYTHON_MAX_MESSAGE_SIZE,
        features: native ? commonFeatures(this.#options.offer, features) : new Map(),
        own: this.#own,
        greeted: native ? this.#terms!.features : {},
        transcript: this.#transcript,
      },
      rest,
    };
  }
}
