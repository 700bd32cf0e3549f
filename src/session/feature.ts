/**
 * Defines features: extensions of the native protocol that both sides agree on in the handshake. A session does not
 * know any particular feature. A feature describes what it offers, and its part of a session receives frames, messages
 * and the end.
 *
 * @module
 */

import { objectMember, type PeerObject } from "../base/untrusted.ts";
import type { ByteBudget } from "../base/byte_budget.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { ResumeTerms, ResumptionPart } from "./resumption.ts";
import type { Link } from "../link/link.ts";
import type { StreamOpener } from "./streams.ts";
import type { Clock } from "../base/clock.ts";
import type { CompressionTerms } from "../compression_seam.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { HandshakeOutcome, NativeOffer } from "../wire/handshake/terms.ts";
import type { SplitContent } from "../wire/received_metadata.ts";
import { FIRST_APPLICATION_CODE, Flag, type HeaderCheck, SystemCode } from "../wire/frame.ts";
import type { PulledSource } from "../link/pulled_sources.ts";
import type { Inbox } from "./owner.ts";
import type { Parting, PeerParting } from "./parting.ts";
import type { Request, Sender } from "./sender.ts";
import type { PayloadEncoder } from "./payload_encoding.ts";

/** What features learn of a Server or a Client before any handshake. */
export interface FeatureTerms {
  readonly limits: {
    readonly maxMessageSize: number;
    readonly maxQueuedBytes: number;
    readonly maxQueuedMessages: number;
    readonly maxStreams: number;
    readonly streamWindow: number;
  };
  /** The terms of resumption; `undefined` without the option `resume`. */
  readonly resume?: ResumeTerms | undefined;
  /** How payloads are compressed; `undefined` without the option `compression`. */
  readonly compression?: CompressionTerms | undefined;
  /** The fingerprint of the message types; `undefined` without the option `contract`. */
  readonly contract: string | undefined;
}

/** An extension of the native protocol. */
export interface Feature {
  /** Its name in the handshake. */
  readonly name: string;
  /** The names of features without which it is not in force. @default none */
  readonly needs?: readonly string[];
  /**
   * The frame flags that it owns, combined with bitwise OR. The protocol itself must not use any of them.
   * @default 0
   */
  readonly flags?: number;
  /** The system codes that it owns: codes below 200 that the protocol itself does not use. @default none */
  readonly codes?: readonly number[];
  /**
   * Returns the parameters that this side offers; `undefined` if it does not offer the feature. Called once for a
   * Server or a Client.
   */
  offer(terms: FeatureTerms): PeerObject | undefined;
  /**
   * Called on a server whose client offers the feature, too. Returns the parameters that the server answers with;
   * `undefined` if it declines the feature.
   *
   * @param ours What this side offered.
   * @default what this side offered
   */
  accept?(ours: PeerObject, theirs: PeerObject): PeerObject | undefined;
  /**
   * Called on a client whose server has accepted the feature. Returns false if that is no answer to what this side
   * offered. The handshake then fails.
   *
   * @param ours What this side offered.
   * @default every answer will do
   */
  confirm?(ours: PeerObject, theirs: PeerObject): boolean;
  /**
   * Checks the header of each frame with a system code or with the flag of a feature, before the rest of the frame has
   * arrived.
   */
  readonly check?: HeaderCheck;
  /**
   * Called for each session in which the feature is in force. Returns the feature's part of the session; `undefined` if
   * it has nothing to do there.
   *
   * @param ours What this side answered or offered.
   * @param theirs What the peer answered or offered.
   * @param greeted On a client, what the server offered in its greeting; empty on a server.
   */
  attach?(
    ours: PeerObject,
    theirs: PeerObject,
    host: FeatureHost,
    clock: Clock,
    greeted: PeerObject,
  ): FeaturePart | undefined;
}

/** The session of a {@linkcode FeaturePart}. */
export interface FeatureHost {
  /** Runs timeouts. */
  readonly wheel: TimerWheel;
  readonly limits: { readonly maxStreamBytes: number; readonly maxStreamWindow: number };
  /** What the windows of the streams of all sessions may take. */
  readonly streamBudget: ByteBudget;
  readonly side: "client" | "server";
  /** Sends frames and counts them. */
  readonly sender: Sender;
  readonly link: Link;
  /** Takes messages and counts frames against the peer's rate limit. */
  readonly inbox: Inbox;
  /**
   * Lets a source send frames when there is room for them; see {@linkcode PulledSource}. One that throws is reported as an
   * `error` and dropped.
   */
  pull(source: PulledSource): void;
  /**
   * Decodes the payload of a frame that the feature has taken, such as a piece of a stream. Throws what
   * {@linkcode FeaturePart.decode} throws.
   */
  decode(frame: ReceivedFrame): ReceivedFrame;
  /** Answers a request with an error. Throws what sending throws. */
  refuse(request: Request, error: unknown): void;
  /** Answers a frame that asks for an answer, and is handed to no handler, with an error. */
  rejectRequest(frame: ReceivedFrame, error: Error & { readonly code: string }): void;
  /** Counts a frame that means nothing. */
  useless(frame: ReceivedFrame): void;
  /** Allows the peer `frames` more that mean nothing: it has sent them before it knew. */
  excuse(frames: number): void;
  /** Called when the connection may be dead. */
  suspected(): void;
  /** Called by a feature when the peer says that it goes away. Returns false if the peer has said so before. */
  leave(parting: PeerParting): boolean;
}

/** Payloads that are decoded only when they are handed out, because decoding them takes time and memory. */
export interface DeferredDecoding {
  /** The flags of their frames, combined with bitwise OR. */
  readonly flags: number;
  /**
   * Returns the size that a payload will have, in bytes, at least that of what was received. Limits and credit count it.
   * Called when the frame has arrived.
   *
   * @throws {ProtocolError} The payload is malformed, or larger than this side takes.
   */
  measure(frame: ReceivedFrame): number;
}

/**
 * What a feature does in one session. Each member is optional, and a missing one costs nothing. A `ProtocolError` from
 * `take`, `control`, `reply`, `message` or `decode` ends the session. Anything else that one of these throws is reported
 * as an `error`, and at most that frame is lost, or the stream that it is a piece of. Whatever `handled`, `leave`,
 * `finished` or `close` throws is reported, too. An error of `encode` reaches the caller that sends.
 */
export interface FeaturePart {
  /** True if it keeps the peer from sending more than is allowed, so that reading never has to stop. */
  readonly limitsPeer?: boolean;
  /** The flags of the frames that {@linkcode take} handles: requests with them are counted, and nothing else sees them. */
  readonly takes?: number;
  /** Handles a frame with one of the flags {@linkcode takes}. Nothing of it is decoded yet. */
  take?(frame: ReceivedFrame, receivedAt: number, host: FeatureHost): void;
  /** Opens streams. */
  readonly opener?: StreamOpener;
  /** Lets the session outlive its connection. */
  readonly resumption?: ResumptionPart;
  /** Handles a frame with a system code. Returns false if the frame means nothing to the feature. */
  control?(frame: ReceivedFrame, host: FeatureHost): boolean;
  /**
   * Called with each frame that looks like a reply, before it is matched with a request. Returns true if the feature
   * takes the frame, and false to have it matched.
   */
  reply?(frame: ReceivedFrame, host: FeatureHost): boolean;
  /**
   * Called when a message or a request of `size` bytes, header included, has arrived. Throws a `ProtocolError` if it is
   * not allowed.
   */
  message?(size: number): void;
  /**
   * Called when a message of `size` bytes, header included, no longer waits: it was handed to its handler, or left out.
   */
  handled?(size: number, host: FeatureHost): void;
  readonly encode?: PayloadEncoder["encode"];
  readonly sharing?: PayloadEncoder["sharing"];
  /**
   * Transforms the payload of a received frame, as its flags say. Called for frames with the flag of a feature. Returns
   * `undefined` to leave it as it is. The parts decode in the reverse of the order in which they encode. Throws a
   * `ProtocolError` if the payload is malformed.
   */
  decode?(frame: ReceivedFrame): Uint8Array | SplitContent | undefined;
  /**
   * The payloads that are decoded late, by all parts. At most one part of a session may have this member.
   * @default payloads are decoded when they have arrived
   */
  readonly deferred?: DeferredDecoding;
  /**
   * Called when this side begins an orderly end. A feature that has this member asks the peer to finish in its turn.
   */
  leave?(reason: string, how: Parting, host: FeatureHost): void;
  /** Called when the peer sends nothing more. `makeError` creates the error for what waits for it. */
  finished?(makeError: () => Error): void;
  /** Called when the session is over. `makeError` creates the error for what it ends. */
  close?(makeError: () => Error): void;
}

/** The features in force on a connection. All connections that agreed on the same features share one object. */
export interface AgreedFeatures {
  readonly list: readonly Feature[];
  /** The flags of all of them, combined with bitwise OR. */
  readonly flags: number;
  readonly check: HeaderCheck | undefined;
}

/** The features that a Server or a Client offers. */
export class FeatureSet {
  /** The offer that is sent in the handshake. */
  readonly offer: NativeOffer;
  readonly #features: readonly Feature[];
  /** The features in force on some connections, by their names. */
  readonly #agreed = new Map<string, AgreedFeatures>();

  /**
   * @throws {TypeError} Two features have the same name, or one has a flag or a code that another one or the protocol
   * has.
   */
  constructor(features: readonly Feature[], terms: FeatureTerms) {
    const offered: Record<string, PeerObject> = Object.create(null);
    const names = new Set<string>();
    const taken = new Set(PROTOCOL_CODES);
    let used = Flag.REQUEST | Flag.REPLY | Flag.ERROR;
    for (const feature of features) {
      const { name, flags = 0, codes = [] } = feature;
      const foreign = codes.find((code) => taken.has(code) || code >= FIRST_APPLICATION_CODE);
      if (names.has(name) || (used & flags) !== 0 || foreign !== undefined) {
        const what = names.has(name) ? "name is" : foreign === undefined ? "flags are" : `code ${foreign} is`;
        throw new TypeError(`Cannot offer the feature "${name}": its ${what} not free`);
      }
      names.add(name);
      used |= flags;
      for (const code of codes) taken.add(code);
      const parameters = feature.offer(terms);
      if (parameters !== undefined) offered[name] = parameters;
    }
    this.#features = features.filter(({ name }) => offered[name] !== undefined);
    this.offer = {
      maxMessageSize: terms.limits.maxMessageSize,
      features: offered,
      accept: (name, theirs, all) => {
        const feature = this.#features.find((feature) => feature.name === name)!;
        const met = (need: string): boolean => offered[need] !== undefined && objectMember(all, need) !== undefined;
        if (feature.needs?.every(met) === false) return undefined;
        return feature.accept === undefined ? offered[name] : feature.accept(offered[name], theirs);
      },
      confirm: (name, theirs) => {
        const feature = this.#features.find((feature) => feature.name === name)!;
        return feature.confirm === undefined || feature.confirm(offered[name], theirs);
      },
    };
  }

  /** Returns the features that a handshake agreed on. */
  agreed({ features }: HandshakeOutcome): AgreedFeatures {
    if (features.size === 0) return NONE;
    const key = [...features.keys()].join();
    const known = this.#agreed.get(key);
    if (known !== undefined) return known;
    const list = this.#features.filter(({ name }) => features.has(name));
    const flags = list.reduce((flags, feature) => flags | (feature.flags ?? 0), 0);
    const checks = list.flatMap(({ check }) => check ?? []);
    const check: HeaderCheck | undefined = checks.length < 2 ? checks[0] : (flags, code, id) => {
      let allowed: true | undefined = undefined;
      for (const check of checks) {
        const verdict = check(flags, code, id);
        if (typeof verdict === "string") return verdict;
        allowed ??= verdict;
      }
      return allowed;
    };
    const agreed = { list, flags, check };
    this.#agreed.set(key, agreed);
    return agreed;
  }
}

/** The system codes of the protocol itself. */
const PROTOCOL_CODES: readonly number[] = [
  SystemCode.PING,
  SystemCode.PONG,
  SystemCode.CANCEL,
  SystemCode.HELLO,
  SystemCode.HELLO_ACK,
];

const NONE: AgreedFeatures = { list: [], flags: 0, check: undefined };

/** Attaches the features of a session. */
export function attachFeatures(
  { list }: AgreedFeatures,
  { features, own, greeted }: HandshakeOutcome,
  host: FeatureHost,
  clock: Clock,
): readonly FeaturePart[] {
  const parts = list
    .map((feature) => {
      const { name } = feature;
      return feature.attach?.(own[name], features.get(name)!, host, clock, objectMember(greeted, name) ?? {});
    })
    .filter((part) => part !== undefined);
  // A copy has no spare capacity: V8 keeps space for 17 elements in an array that has grown.
  return parts.slice();
}
