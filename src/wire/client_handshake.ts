/**
 * The client's end of a handshake, as a state machine without I/O. The server always speaks first, so its greeting tells
 * which of the protocols it speaks.
 *
 * @module
 */

import { ConfigError, HandshakeError, type HandshakeErrorCode, ProtocolError, type Refusal } from "../errors.ts";
import { SystemCode, WIRE_LIMITS } from "./frame.ts";
import { describeBytes, detectHello } from "./greeting.ts";
import {
  commonFeatures,
  type HandshakeStep,
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
  helloFrame,
  integerMember,
  jsonMessage,
  JsonReader,
  member,
  objectMember,
  type PeerObject,
  printable,
  releaseMember,
  stringMember,
} from "./handshake_messages.ts";
import { acceptsRelease, type HandshakeKind, isNative, parseRelease, type Protocol, protocol } from "./protocols.ts";

/** Refusals that are errors of their own; any other is `refused-by-peer`. */
const TELLING: readonly HandshakeErrorCode[] = ["too-many-connections", "unauthorized"];

/** What a client brings to a handshake. */
export interface ClientHandshakeOptions {
  /** What the server must speak; `"auto"` takes what it greets with. */
  readonly protocol: Protocol | "auto";
  /** What is offered to a native server. */
  readonly offer: NativeOffer;
  /** Sent to a native server as JSON; with them nothing less than native is accepted. */
  readonly credentials?: unknown;
  /**
   * Accepts nothing less than native, although `protocol` would: a server that has spoken native before must not be talked
   * down by whoever stands in between.
   * @default false
   */
  readonly nativeOnly?: boolean;
  /** The wall clock, in milliseconds since 1970, for protocols that carry it. */
  readonly now: number;
}

/** Answers a server's greeting. Feed it until it is `open` or `failed`. */
export class ClientHandshake {
  readonly #options: ClientHandshakeOptions;
  /** The `native` member of message 2. */
  readonly #native: PeerObject;
  readonly #transcript: Uint8Array[] = [];
  #state: "greeting" | "message-1" | "message-3" = "greeting";
  #held: Uint8Array = EMPTY;
  #json = new JsonReader(WIRE_LIMITS.maxHandshakeReply);
  #release = "";
  #idWindow: number | undefined = undefined;
  #terms: NativeTerms | undefined = undefined;

  /**
   * @param options What this end brings.
   * @throws {TypeError} The credentials are no JSON.
   * @throws {RangeError} Credentials and features do not fit into one handshake message.
   */
  constructor(options: ClientHandshakeOptions) {
    this.#options = options;
    const { offer: { maxMessageSize, features = {} }, credentials } = options;
    this.#native = { versions: NATIVE_VERSIONS, features, maxMessageSize, credentials };
    if (credentials !== undefined && JSON.stringify(credentials) === undefined) {
      throw new TypeError(`Cannot send the credentials: a ${typeof credentials} is no JSON`);
    }
    nativeAnswer("9".repeat(32), this.#native);
  }

  /** A client waits for the greeting; towards the releases without one it is `open` at once. */
  start(): HandshakeStep {
    const { protocol: wanted } = this.#options;
    if (wanted === "auto" || wanted.handshake !== "none") return { state: "waiting" };
    const error = this.#notNative(wanted.release);
    return error === undefined ? this.#open(wanted, EMPTY) : { state: "failed", error };
  }

  /** Takes bytes of the server. */
  push(chunk: Uint8Array): HandshakeStep {
    try {
      return this.#state === "greeting" ? this.#pushGreeting(chunk) : this.#pushJson(chunk);
    } catch (error) {
      if (error instanceof HandshakeError || error instanceof ProtocolError) return { state: "failed", error };
      throw error;
    }
  }

  /** What came so far, for the message of a timeout: `"nothing"` or a description of the first bytes. */
  get received(): string {
    return this.#state === "greeting" ? describeBytes(this.#held) : "the beginning of a JSON handshake";
  }

  #pushGreeting(chunk: Uint8Array): HandshakeStep {
    const bytes = this.#held = concat(this.#held, chunk);
    if (bytes.length < 3) return { state: "waiting" };
    if (bytes[2] === 0x7b) {
      this.#state = "message-1";
      return this.#pushJson(bytes);
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
    const result = member(message, "result");
    if (result === "error") return refused(message);
    if (this.#state === "message-3") {
      if (result !== "ok") throw failed('its last message has neither the result "ok" nor "error"');
      return this.#conclude(message, rest);
    }
    if (rest.length > 0) throw failed("it sent more before it was answered");
    const answer = this.#answer(message);
    this.#transcript.push(answer);
    this.#state = "message-3";
    this.#json = new JsonReader(WIRE_LIMITS.maxHandshakeReply);
    return { state: "waiting", send: answer };
  }

  /** Message 1 in, message 2 out. */
  #answer(message: PeerObject): Uint8Array {
    const release = releaseMember(message);
    const meta = member(message, "meta") === undefined ? {} : objectMember(message, "meta");
    if (release === undefined || meta === undefined) throw failed("its greeting is malformed");
    this.#release = release;
    this.#idWindow = integerMember(meta, "id_window", 1, 65534);
    const { protocol: wanted } = this.#options;
    const terms = wanted === "auto" || isNative(wanted) || wanted.ids === "u16" ? readNativeTerms(meta) : undefined;
    if (terms?.version !== undefined) {
      this.#terms = terms;
      return nativeAnswer(release, this.#native);
    }
    this.#python("json");
    return jsonMessage({ v: release, meta: {} }, WIRE_LIMITS.maxHandshakeRequest);
  }

  /** Message 3 in. */
  #conclude(message: PeerObject, rest: Uint8Array): HandshakeStep {
    if (member(message, "native") === undefined) return this.#open(this.#python("json"), rest);
    const { offer } = this.#options;
    const native = objectMember(message, "native") ?? {};
    const features = objectMember(native, "features");
    if (
      this.#terms === undefined || member(native, "version") !== this.#terms.version || features === undefined ||
      commonFeatures(offer, features).size !== Object.keys(features).length
    ) {
      throw failed("it chose native terms that were not offered");
    }
    return this.#open(NATIVE, rest, undefined, features);
  }

  /** The Python protocol of the announced release, if that will do. */
  #python(handshake: HandshakeKind): Protocol {
    const announced = this.#release;
    const { protocol: wanted } = this.#options;
    const error = this.#notNative(announced);
    if (error !== undefined) throw error;
    const spoken = wanted === "auto" || speaks(wanted, announced) ? knownProtocol(announced) : undefined;
    if (spoken === undefined || spoken.handshake !== handshake) {
      throw new HandshakeError(
        "version-mismatch",
        `Cannot agree with the server: it is release "${printable(announced)}"` +
          (wanted === "auto" ? ", which this library does not speak" : `, and protocol is set to "${wanted.name}"`),
      );
    }
    if (spoken.ids === "u16" && this.#idWindow === undefined) {
      throw failed('its "id_window" is no whole number from 1 to 65534');
    }
    return spoken;
  }

  /** The error of a server that is not native, if it has to be. */
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
      `Cannot agree with the server: it is release "${
        printable(announced)
      }" and does not speak the native protocol${why}`,
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
        idWindow: spoken.ids === "u16" ? this.#idWindow! : 0,
        maxMessageSize: native ? this.#terms!.maxMessageSize : spoken.maxFrameSize ?? PYTHON_MAX_MESSAGE_SIZE,
        features: native ? commonFeatures(this.#options.offer, features) : new Map(),
        rest,
        transcript: this.#transcript,
      },
    };
  }
}

/**
 * Checks a client's credentials together with its `protocol` option. Only the native protocol carries credentials.
 *
 * @throws {ConfigError} `invalid-config`: `protocol` is a Python release.
 * @throws {TypeError} They are no JSON.
 * @throws {RangeError} They do not fit into one handshake message.
 */
export function checkCredentials(spoken: string, credentials: unknown): void {
  if (credentials === undefined) return;
  if (spoken !== "auto" && spoken !== "native") {
    throw new ConfigError(
      "invalid-config",
      `credentials need the native protocol: leave protocol out or set it to "native", not "${spoken}"`,
    );
  }
  new ClientHandshake({ protocol: NATIVE, offer: { maxMessageSize: 0xffffffff }, credentials, now: 0 });
}

/** Message 2 of a native client. */
function nativeAnswer(release: string, native: PeerObject): Uint8Array {
  return jsonMessage({ v: release, meta: { native } }, WIRE_LIMITS.maxHandshakeRequest);
}

/** Whether a server of the release `announced` is what a client that is set to `wanted` asked for. */
function speaks(wanted: Protocol, announced: string): boolean {
  if (parseRelease(wanted.name) === undefined) return announced.startsWith(`${wanted.name}.`);
  return announced === wanted.release || acceptsRelease(wanted.release, announced);
}

function knownProtocol(release: string): Protocol | undefined {
  try {
    return parseRelease(release) && protocol(release);
  } catch {
    return undefined;
  }
}

function refused(message: PeerObject): HandshakeStep {
  const refusal: Refusal = {
    code: printable(stringMember(message, "code") ?? "unknown"),
    message: printable(stringMember(message, "message") ?? "no reason given"),
    retryAfter: integerMember(message, "retryAfter", 0, Number.MAX_SAFE_INTEGER),
  };
  const code = TELLING.find((known) => known === refusal.code) ?? "refused-by-peer";
  const text = `The server refused the connection: ${refusal.message} (${refusal.code})`;
  return { state: "failed", error: new HandshakeError(code, text, { refusal }) };
}
