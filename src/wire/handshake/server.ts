/**
 * The server's end of a handshake, as a state machine without I/O: HELLO frames (1.4.0 – 1.7.x), JSON (1.8 and later,
 * with the native protocol negotiated inside that of 2.0 and later), or none (1.2, 1.3).
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { HandshakeError, ProtocolError } from "../../errors.ts";
import { SystemCode, WIRE_LIMITS } from "../frame.ts";
import { adviceFor, describeBytes, framingOf, isNoise, isTls, LOOKED_AT } from "../python/hello.ts";
import {
  acceptFeatures,
  CREDENTIALS_PATH,
  type HandshakeOutcome,
  type HandshakeStep,
  NATIVE,
  NATIVE_VERSIONS,
  type NativeOffer,
  type NativeTerms,
  PYTHON_MAX_MESSAGE_SIZE,
  readNativeTerms,
} from "./terms.ts";
import { member, objectMember, type PeerObject, printable } from "../../base/untrusted.ts";
import { EMPTY, failed, jsonMessage, named, releaseMember, versionMember, versionMismatch } from "./messages.ts";
import { JsonReader } from "./json_reader.ts";
import { firstFrame, helloFrame, helloVersion } from "../python/hello_frames.ts";
import { get16 } from "../integers.ts";
import { ID_WINDOW, numberingOf } from "../python/id_numbering.ts";
import { acceptsRelease } from "../python/accepted_releases.ts";
import { isNative, type Protocol, speaksVersion } from "../protocols.ts";
import { Greeting, NATIVE_RELEASE, upgrades } from "./greeting.ts";
import { refusalMessage } from "./refusal.ts";

/** The options of a server's handshake. */
export interface ServerHandshakeOptions {
  /**
   * The protocol that is announced and served. Native peers upgrade inside 2.0 and later; `native` accepts only them.
   */
  readonly protocol: Protocol;
  /** What is offered to native peers. */
  readonly offer: NativeOffer;
  /** Makes the greetings of this protocol and offer. @default a new one */
  readonly greeting?: Greeting;
  /** The id of the HELLO frame, a u32 or a UUID, depending on the protocol. It must be fresh and unpredictable. */
  readonly helloId: number | string;
  /** Sent to native peers. It must be fresh and unpredictable. */
  readonly nonce: string;
  /** The wall clock, in milliseconds since 1970, for protocols that carry it. */
  readonly now: number;
}

/** Greets the peer, checks its answer, and lets the caller decide. Feed it until it is `open` or `failed`. */
export class ServerHandshake {
  readonly #options: ServerHandshakeOptions;
  readonly #transcript: Uint8Array[] = [];
  readonly #json = new JsonReader(WIRE_LIMITS.maxHandshakeRequest, CREDENTIALS_PATH);
  /** An unfinished HELLO_ACK. */
  #held: Uint8Array = EMPTY;
  /** The first bytes that arrived, kept to describe them in an error. */
  #first: Uint8Array = EMPTY;
  #proposal: Proposal | undefined = undefined;

  constructor(options: ServerHandshakeOptions) {
    this.#options = options;
  }

  /** Returns the greeting to send. For releases that have no handshake, the result is `open` at once. */
  start(): HandshakeStep {
    const { protocol, helloId, now } = this.#options;
    if (protocol.handshake === "none") {
      this.#propose("", undefined, EMPTY);
      return this.accept();
    }
    const greeting = protocol.handshake === "hello"
      ? helloFrame(protocol, SystemCode.HELLO, helloId, now, protocol.release)
      : (this.#options.greeting ?? new Greeting(protocol, this.#options.offer)).encode(this.#options.nonce);
    this.#transcript.push(greeting);
    return { state: "waiting", send: greeting };
  }

  /** Takes bytes from the client. */
  push(chunk: Uint8Array): HandshakeStep {
    try {
      if (this.#proposal !== undefined) return this.#early(this.#proposal, chunk);
      if (this.#first.length < LOOKED_AT) {
        // A copy: a view would keep the whole chunk for as long as the handshake takes.
        this.#first = concat(this.#first, chunk.slice(0, LOOKED_AT - this.#first.length));
      }
      return this.#options.protocol.handshake === "hello" ? this.#pushHello(chunk) : this.#pushJson(chunk);
    } catch (error) {
      if (error instanceof ProtocolError) return { state: "failed", error };
      if (error instanceof HandshakeError) return this.refuse(error);
      throw error;
    }
  }

  /** Describes how far an unfinished handshake came, and what may be the cause. */
  unfinished(how: "closed" | "late"): string {
    const { release } = this.#options.protocol;
    if (this.#first.length > 0) return `it sent ${this.#strange ? this.#looks() : "the beginning of an answer"}`;
    const reaction = how === "closed" ? "left without a word" : "said nothing";
    return `it was greeted by release "${release === "" ? NATIVE_RELEASE : release}" and ${reaction}: ${JUST_THAT}`;
  }

  /** Returns whether both sides take part in a feature. Called once the peer has proposed. */
  agrees(feature: string): boolean {
    return this.#proposal?.features.has(feature) ?? false;
  }

  /**
   * Lets the peer in. Returns the last bytes to send, and the outcome.
   *
   * @param own Parameters that replace some of this end's, by the names of features that were agreed on.
   */
  accept(own?: Readonly<Record<string, PeerObject>>): HandshakeStep {
    let proposal = this.#proposal;
    if (proposal === undefined) throw new TypeError("Cannot accept the peer: it has proposed nothing yet");
    if (own !== undefined) proposal = { ...proposal, own: { ...proposal.own, ...own } };
    let send: Uint8Array | undefined;
    if (this.#options.protocol.handshake === "json") {
      const native = isNative(proposal.protocol) ? { version: NATIVE_VERSIONS[0], features: proposal.own } : undefined;
      send = jsonMessage({ result: "ok", native }, WIRE_LIMITS.maxHandshakeReply);
      this.#transcript.push(send);
    }
    const { rest, ...terms } = proposal;
    return { state: "open", send, outcome: { ...terms, transcript: this.#transcript }, rest };
  }

  /** Refuses the peer. Returns the last bytes to send, if its protocol can express a refusal, and `error` unchanged. */
  refuse(error: HandshakeError): HandshakeStep {
    return { state: "failed", error, send: refusalMessage(this.#options.protocol, error) };
  }

  #pushHello(chunk: Uint8Array): HandshakeStep {
    const { protocol, helloId } = this.#options;
    const bytes = this.#held = concat(this.#held, chunk);
    const frame = this.#telling(() => {
      const frame = firstFrame(protocol, bytes);
      if (frame === "damaged") throw failed("its first frame is damaged");
      return frame;
    });
    if (frame === "partial") return { state: "waiting" };
    if (frame.code !== SystemCode.HELLO_ACK) {
      // Clients of 1.4.0 to 1.6.1 go on after the greeting of another release as if nothing were wrong.
      const why = protocol.integrity === "sha256" ? `: ${JUST_THAT}` : "";
      throw failed(`it sent a frame of type ${frame.code} before HELLO_ACK${why}`);
    }
    if (frame.requestId !== helloId) throw failed("its HELLO_ACK carries another id");
    const release = helloVersion(frame.content);
    if (release === undefined) throw failed("its HELLO_ACK holds no version");
    this.#checkRelease(release);
    this.#transcript.push(bytes.slice(0, frame.end));
    return this.#propose(release, undefined, bytes.subarray(frame.end));
  }

  #pushJson(chunk: Uint8Array): HandshakeStep {
    const whole = this.#telling(() => this.#json.push(chunk));
    if (whole === undefined) return { state: "waiting" };
    const { message, bytes, cut, rest } = whole;
    this.#transcript.push(bytes);
    const { protocol } = this.#options;
    const version = upgrades(protocol) ? versionMember(message) : undefined;
    const release = releaseMember(message) ?? (version === undefined ? undefined : "");
    if (release === undefined) throw failed('its message has no version "v"');
    const meta = member(message, "meta") === undefined ? {} : objectMember(message, "meta");
    if (meta === undefined) throw failed('its "meta" is no object');

    const terms = upgrades(protocol) ? readNativeTerms(meta) : undefined;
    if (terms?.version !== undefined) {
      if (rest.length > 0) throw tooEarly();
      return this.#propose(release, version, rest, terms, cut[terms.credentials as number]);
    }
    if (isNative(protocol)) {
      throw new HandshakeError(
        "native-required",
        `Cannot agree with the peer: it is release "${named(release)}" and does not speak the native protocol, ` +
          "and this listener takes nothing else",
      );
    }
    // From 2.0.3 on, the version of the protocol is compared in place of the release.
    if (version === undefined) this.#checkRelease(release);
    else if (!speaksVersion(version)) throw versionMismatch("peer", release, version);
    return this.#propose(release, version, rest);
  }

  /** True if the bytes that arrived do not even begin like an answer. */
  get #strange(): boolean {
    const { protocol } = this.#options;
    const first = this.#first;
    if (protocol.handshake === "json") return first.length < 3 || first[2] !== 0x7b;
    const { magic, code } = protocol.layout;
    if (first.length < code + 2) return true;
    const framing = framingOf(first)?.headerSize;
    if (magic < 0) return get16(first, code) !== SystemCode.HELLO_ACK && framing !== protocol.headerSize;
    return first[0] !== 0x56 || first[1] !== 0x58 || framing !== undefined && framing !== protocol.headerSize;
  }

  /** Describes what the client began with, and what to do about it. */
  #looks(): string {
    return `${describeBytes(this.#first)}; ${adviceFor(this.#first)}`;
  }

  /** Runs a step. If the step cannot interpret the bytes, its error says what they look like. */
  #telling<Value>(step: () => Value): Value {
    try {
      return step();
    } catch (error) {
      if (!this.#strange) throw error;
      if (isTls(this.#first) || isNoise(this.#first)) {
        const code = isTls(this.#first) ? "tls-unavailable" : "encryption-unavailable";
        throw new HandshakeError(code, `Cannot agree with the peer: it sent ${this.#looks()}`);
      }
      if (error instanceof HandshakeError) {
        throw new HandshakeError(error.code, `${error.message}; it sent ${this.#looks()}`);
      }
      if (!(error instanceof ProtocolError)) throw error;
      throw new ProtocolError(error.code, `Cannot agree with the peer: it sent ${this.#looks()}`);
    }
  }

  /**
   * Takes bytes between the peer's last message and the decision. A Python client may already send frames; a native one
   * may not.
   */
  #early(proposal: Proposal, chunk: Uint8Array): HandshakeStep {
    if (chunk.length > 0 && isNative(proposal.protocol)) throw tooEarly();
    // A copy, as the chunk may be a small part of a large buffer.
    const rest = chunk.length === 0 ? proposal.rest.slice() : concat(proposal.rest, chunk.slice());
    if (rest.length > WIRE_LIMITS.maxEarly) throw failed("it sent too much before it was let in");
    this.#proposal = { ...proposal, rest };
    return { state: "waiting" };
  }

  #checkRelease(release: string): void {
    const { handshake, release: ours } = this.#options.protocol;
    // 1.7.3 and 1.7.4 accept no release, not even their own.
    const same = handshake === "hello" && release === ours;
    if (same || acceptsRelease(release, ours) || acceptsRelease(ours, release)) return;
    const why = release === ours
      ? `it is release "${release}" but names no version of its protocol ("pv"), which that release does`
      : `it is release "${printable(release)}", this listener serves "${ours}"; ${ANOTHER_RELEASE}`;
    throw new HandshakeError("version-mismatch", `Cannot agree with the peer: ${why}`);
  }

  #propose(
    release: string,
    version: string | undefined,
    rest: Uint8Array,
    terms?: NativeTerms,
    credentials?: Uint8Array,
  ): HandshakeStep {
    const { protocol, offer } = this.#options;
    const native = terms !== undefined;
    // The bytes were understood, so no error will have to describe them.
    this.#first = this.#held = EMPTY;
    this.#proposal = {
      protocol: native ? NATIVE : protocol,
      release,
      numbering: !native && protocol.ids === "u16" ? numberingOf("client", release, version, ID_WINDOW) : undefined,
      maxMessageSize: native ? terms.maxMessageSize : protocol.maxFrameSize ?? PYTHON_MAX_MESSAGE_SIZE,
      ...native ? acceptFeatures(offer, terms.features) : { features: new Map(), own: {} },
      greeted: {},
      rest,
    };
    const features = native ? terms.features : {};
    return { state: "proposed", peer: { release: named(release), native, credentials, features } };
  }
}

/** What was agreed on with a peer, and the bytes after its last message. */
type Proposal = Omit<HandshakeOutcome, "transcript"> & { readonly rest: Uint8Array };

/** Advice about clients of another release. */
const ANOTHER_RELEASE = "set protocol to its release, or serve it at an address of its own with listen";
const JUST_THAT = `a Python client of another release does just that; ${ANOTHER_RELEASE}`;

function tooEarly(): ProtocolError {
  return new ProtocolError("protocol-error", "Cannot agree with the peer: it sent frames before it was let in");
}
