/**
 * Reads one connection from outside: finds out what is spoken, reads the handshake, and cuts the frames of both
 * directions. Nothing that it is given makes it throw; what cannot be read is shown as that.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { integerMember, isPeerObject, objectMember, type PeerObject, stringMember } from "../../base/untrusted.ts";
import { WIRE_LIMITS } from "../../wire/frame.ts";
import { type JsonMessage, JsonReader } from "../../wire/handshake/json_reader.ts";
import { releaseMember, versionMember } from "../../wire/handshake/messages.ts";
import { headerFault } from "../../wire/header.ts";
import { get32, viewOf } from "../../wire/integers.ts";
import { NATIVE } from "../../wire/handshake/terms.ts";
import { isNative, type Protocol } from "../../wire/protocols.ts";
import { describeBytes, detectHello, framingOf, isNoise, isTls, LOOKED_AT } from "../../wire/python/hello.ts";
import { pythonProtocol } from "../../wire/python/release_choice.ts";
import { digestOf, kindOf, readFields } from "./header_fields.ts";
import { allFlags, type Knowledge } from "./knowledge.ts";
import { KnownSession, type SessionSink, type SessionTerms } from "./known_session.ts";
import { openPayload } from "./payload.ts";
import type { Seen, Sender } from "./seen.ts";
import { isUpgrade, WebSocketBytes } from "./web_socket_bytes.ts";

/** The largest frame that is put together unless the ends agree on a larger one, header included, in bytes. */
const LIMIT = 16 * 1024 * 1024;
/** How large a frame the ends may agree on, so that it is put together. */
const MOST = 64 * 1024 * 1024;

/** How many sessions are remembered, so that they can be read when they go on over another connection. */
const SESSIONS = 1_000;

/**
 * How far a conversation has come: nothing is known; message 2 or 3 of the JSON handshake is next; frames; nothing that can
 * be read.
 */
type Stage = "begin" | "json-2" | "json-3" | "frames" | "unreadable";

/** One direction. */
class Direction {
  /** What waits until it is clear what it is. */
  held: Uint8Array = new Uint8Array(0);
  /** How many bytes were taken before `held`. */
  offset = 0;
  json: JsonReader | undefined = undefined;
  /** The bytes within WebSocket frames. */
  inner: WebSocketBytes | undefined = undefined;
  ended = false;

  take(count: number): Uint8Array {
    const bytes = this.held.subarray(0, count);
    this.held = this.held.slice(count);
    this.offset += count;
    return bytes;
  }
}

/** Reads one connection. */
export class Conversation implements SessionSink {
  readonly #knowledge: Knowledge;
  readonly #seen: (seen: Seen) => void;
  readonly #directions: Readonly<Record<Sender, Direction>> = { client: new Direction(), server: new Direction() };
  readonly #alone: Sender | undefined;
  #stage: Stage = "begin";
  /** What an unreadable conversation is. */
  #what = "";
  /** True if nobody can read it but the two ends. */
  #encrypted = false;
  /** The server's greeting and the client's answer. */
  #greeting: PeerObject = {};
  #answer: PeerObject = {};
  #session: KnownSession | undefined = undefined;
  /** True if the session may go on over another connection. */
  #resumable = false;

  /**
   * @param seen Called with what is seen, in the order in which it is complete.
   * @param alone The only end whose bytes are there. Default: those of both are.
   */
  constructor(knowledge: Knowledge, seen: (seen: Seen) => void, alone?: Sender) {
    this.#knowledge = knowledge;
    this.#seen = seen;
    this.#alone = alone;
  }

  /** Takes bytes of one end, and keeps none of `chunk`. */
  push(from: Sender, chunk: Uint8Array): void {
    const direction = this.#directions[from];
    if (direction.inner !== undefined) direction.inner.push(chunk);
    else this.#take(from, chunk);
  }

  /** Ends one direction. */
  end(from: Sender): void {
    const direction = this.#directions[from];
    if (direction.ended) return;
    direction.ended = true;
    direction.inner?.end();
    if (this.#stage === "frames") {
      const cutter = this.#session![from];
      if (this.#resumable && cutter.partial > 0) {
        this.#note(
          from,
          `the connection ends within a frame, after ${cutter.partial} bytes of it; the session may go on`,
        );
      } else if (!this.#resumable) cutter.end();
      return;
    }
    const { length } = direction.held;
    if (length === 0) return;
    if (this.#stage === "begin") {
      // Nothing more will help to find out what this is.
      this.#become("unreadable", this.#describe(direction.held));
      return;
    }
    this.#damage(from, direction.take(length), "the direction ends within the handshake");
  }

  #take(from: Sender, chunk: Uint8Array): void {
    const direction = this.#directions[from];
    if (this.#stage === "frames") {
      direction.offset += chunk.length;
      this.#session![from].push(chunk);
      return;
    }
    direction.held = direction.held.length === 0 ? chunk.slice() : concat(direction.held, chunk);
    this.#settle();
  }

  /** Takes what is held, as far as it is clear what it is. */
  #settle(): void {
    for (let stage: Stage | undefined = undefined; stage !== this.#stage;) {
      stage = this.#stage;
      if (stage === "begin") this.#begin();
      else if (stage === "json-2") this.#message("client", 2);
      else if (stage === "json-3") this.#message("server", 3);
    }
    for (const from of ["server", "client"] as const) {
      const direction = this.#directions[from];
      if (direction.held.length === 0) continue;
      if (this.#stage === "unreadable") {
        const { offset } = direction;
        this.#seen({
          type: "unreadable",
          from,
          offset,
          bytes: direction.take(direction.held.length),
          what: this.#what,
          hidden: !this.#encrypted && !this.#knowledge.secrets,
        });
      } else if (this.#stage === "frames") {
        const bytes = direction.take(direction.held.length);
        this.#session![from].push(bytes);
      } else if (direction.held.length > WIRE_LIMITS.maxEarly) {
        this.#become("unreadable", this.#describe(direction.held));
      }
    }
  }

  /** Looks at the first bytes. */
  #begin(): void {
    const server = this.#directions.server.held;
    const client = this.#directions.client.held;
    const { protocol } = this.#knowledge;
    for (const bytes of [server, client]) {
      const what = bytes.length > 1 && isTls(bytes)
        ? "TLS"
        : bytes.length > 2 && isNoise(bytes)
        ? "encrypted (Noise)"
        : undefined;
      if (what === undefined) continue;
      this.#encrypted = true;
      return this.#become("unreadable", what);
    }
    if (isUpgrade(client)) return this.#upgrade();
    if (server.length > 2 && server[2] === 0x7b) {
      this.#stage = this.#alone === undefined ? "json-2" : "json-3";
      return this.#message("server", 1);
    }
    if (this.#alone === "client" && client.length > 2 && client[2] === 0x7b) {
      this.#stage = "json-2";
      return;
    }
    if (protocol !== undefined) {
      if (server.length > 2 || client.length > 2 || protocol.handshake === "none") {
        this.#frames(termsOf(this.#knowledge, protocol));
      }
      return;
    }
    if (server.length > 0) {
      // The third byte tells JSON from HELLO.
      if (server.length < 3) return;
      try {
        const hello = detectHello(server);
        if (hello === undefined) return;
        const { layout, release } = hello;
        return this.#frames(
          termsOf(this.#knowledge, spoken({ handshake: "hello", release, version: undefined }) ?? layout),
        );
      } catch {
        const framing = framed(server);
        if (framing === undefined) this.#become("unreadable", this.#describe(server));
        else this.#frames(termsOf(this.#knowledge, framing));
        return;
      }
    }
    const framing = framed(client);
    if (framing !== undefined) return this.#frames(termsOf(this.#knowledge, framing));
    if (client.length >= LOOKED_AT) this.#become("unreadable", this.#describe(client));
  }

  /** Reads the bytes within WebSocket frames from now on. */
  #upgrade(): void {
    for (const from of ["client", "server"] as const) {
      const direction = this.#directions[from];
      const { secrets } = this.#knowledge;
      direction.inner = new WebSocketBytes(from, secrets, {
        bytes: (bytes) => this.#take(from, bytes),
        note: (text) => this.#note(from, text),
        unreadable: (bytes, offset, what) =>
          this.#seen({ type: "unreadable", from, offset, bytes, what, hidden: !secrets }),
      });
      const held = direction.held;
      direction.held = new Uint8Array(0);
      direction.inner.push(held);
    }
  }

  /** Reads a message of the JSON handshake, if it is there as a whole. */
  #message(from: Sender, step: 1 | 2 | 3): void {
    const direction = this.#directions[from];
    const { maxHandshakeReply, maxHandshakeRequest } = WIRE_LIMITS;
    const { offset } = direction;
    let read: JsonMessage | undefined;
    try {
      read = new JsonReader(step === 2 ? maxHandshakeRequest : maxHandshakeReply).push(direction.held);
    } catch (error) {
      this.#damage(from, direction.take(direction.held.length), (error as Error).message);
      return this.#become("unreadable", "after a handshake that cannot be read");
    }
    if (read === undefined) {
      if (step === 1) this.#stage = "begin";
      return;
    }
    const { message } = read;
    const bytes = direction.take(read.bytes.length);
    this.#seen({
      type: "handshake",
      from,
      offset,
      bytes,
      step,
      message: this.#knowledge.secrets ? message : withoutSecrets(message),
      hidden: !this.#knowledge.secrets,
    });
    if (step === 1) this.#greeting = message;
    else if (step === 2) {
      this.#answer = message;
      this.#stage = "json-3";
      if (this.#alone === "client") this.#assume(message);
    } else this.#conclude(message);
    if (step === 1 && (message.result === "error" || typeof message.error === "string") || message.result === "error") {
      this.#become("unreadable", "after a refusal");
    }
  }

  /** Finds out by message 3 what follows. */
  #conclude(message: PeerObject): void {
    const native = objectMember(message, "native");
    if (native === undefined) {
      const release = releaseMember(this.#greeting) ?? "";
      const version = versionMember(this.#greeting);
      const python = spoken({ handshake: "json", release, version }) ?? this.#knowledge.protocol;
      if (python === undefined) return this.#become("unreadable", `frames of an unknown release "${release}"`);
      return this.#frames(termsOf(this.#knowledge, python));
    }
    const features = objectMember(native, "features") ?? {};
    const resume = objectMember(features, "resume");
    const asked = objectMember(featuresIn(this.#answer), "resume");
    const going = integerMember(resume ?? {}, "received", 0, Number.MAX_SAFE_INTEGER);
    const known = going === undefined ? undefined : this.#knowledge.sessions.get(stringMember(asked ?? {}, "id") ?? "");
    if (going !== undefined && known !== undefined) {
      this.#resumable = true;
      this.#enter(known);
      const wanted = integerMember(asked!, "received", 0, Number.MAX_SAFE_INTEGER) ?? 0;
      for (const [from, received] of [["client", going], ["server", wanted]] as const) {
        const again = known[from].resumeFrom(received);
        const what = again < 0 ? `${-again} bytes were not seen` : again > 0 ? `${again} bytes come again` : "";
        this.#note(from, `the session goes on at byte ${received}${what === "" ? "" : `: ${what}`}`);
      }
      return;
    }
    const parameters = new Map(
      Object.entries(features).filter((entry): entry is [string, PeerObject] => isPeerObject(entry[1])),
    );
    const codec = this.#knowledge.codec(stringMember(objectMember(features, "compression") ?? {}, "codec"));
    const flags = this.#knowledge.flagsOf(parameters);
    const session = new KnownSession({ protocol: NATIVE, flags, codec, limit: this.#agreedLimit() });
    const id = stringMember(resume ?? {}, "id");
    if (id !== undefined) {
      const { sessions } = this.#knowledge;
      sessions.set(id, session);
      // The oldest one is the first.
      for (const old of sessions.keys()) if (sessions.size > SESSIONS) sessions.delete(old);
      this.#resumable = true;
    }
    this.#note("server", `native, with ${[...parameters.keys()].join(", ") || "no features"}`);
    this.#enter(session);
    if (going !== undefined) {
      for (const from of ["client", "server"] as const) session[from].resumeFrom(1);
      this.#note("server", "the session goes on, and its beginning was not seen: the next frame is looked for");
    }
  }

  /** Guesses by message 2 what follows, where the server's part is not there. */
  #assume(message: PeerObject): void {
    const release = releaseMember(message) ?? "";
    const native = objectMember(objectMember(message, "meta") ?? {}, "native") !== undefined;
    const python = native ? NATIVE : spoken({ handshake: "json", release, version: versionMember(message) });
    this.#frames(termsOf(this.#knowledge, this.#knowledge.protocol ?? python ?? NATIVE));
  }

  #agreedLimit(): number {
    const sizes = [this.#greeting, this.#answer].map((message) =>
      integerMember(nativeIn(message), "maxMessageSize", 16, 0xffffffff) ?? 0
    );
    return Math.min(MOST, Math.max(LIMIT, ...sizes));
  }

  #frames(terms: SessionTerms): void {
    const { name } = terms.protocol;
    this.#note("server", isNative(terms.protocol) ? "native" : `frames as of Python's release ${name}`);
    this.#enter(new KnownSession(terms));
  }

  #enter(session: KnownSession): void {
    this.#session = session;
    const { client, server } = this.#directions;
    session.enter(this, { client: client.offset, server: server.offset });
    this.#stage = "frames";
  }

  #become(stage: "unreadable", what: string): void {
    this.#stage = stage;
    this.#what = what;
    this.#settle();
  }

  frame(from: Sender, bytes: Uint8Array, offset: number, fault: string | undefined): void {
    const { codec, protocol } = this.#session!.terms;
    const fields = readFields(protocol, bytes);
    const payload = openPayload(protocol, fields, bytes.subarray(protocol.headerSize), codec);
    this.#seen({ type: "frame", from, offset, bytes, protocol, fields, payload, kind: kindOf(fields), fault });
  }

  damage(from: Sender, bytes: Uint8Array, offset: number, reason: string): void {
    this.#seen({ type: "damage", from, offset, bytes, reason, hidden: false });
  }

  /** Tells of a handshake that cannot be read. */
  #damage(from: Sender, bytes: Uint8Array, reason: string): void {
    const offset = this.#directions[from].offset - bytes.length;
    this.#seen({ type: "damage", from, offset, bytes, reason, hidden: !this.#knowledge.secrets });
  }

  /** Returns what bytes are. */
  #describe(bytes: Uint8Array): string {
    const text = describeBytes(bytes);
    const hide = !this.#knowledge.secrets && text.startsWith("an HTTP request");
    return hide ? text.replace(/\?.*"$/, '?(secret)"') : text;
  }

  #note(from: Sender, text: string): void {
    this.#seen({ type: "note", from, offset: this.#directions[from].offset, text });
  }
}

/** Returns the protocol of the frame that the bytes begin with. */
function framed(bytes: Uint8Array): Protocol | undefined {
  const python = framingOf(bytes);
  if (python !== undefined || bytes.length < NATIVE.headerSize) return python;
  const total = NATIVE.headerSize + get32(bytes, NATIVE.layout.size);
  if (total > bytes.length || headerFault(NATIVE, LIMIT, 0xff, undefined, viewOf(bytes), 0, 16)?.code === "corrupt") {
    return undefined;
  }
  const { digest } = readFields(NATIVE, bytes);
  return digest === digestOf(NATIVE, bytes.subarray(0, total)) ? NATIVE : undefined;
}

/** Returns the terms of a protocol whose handshake says nothing about features. */
function termsOf(knowledge: Knowledge, protocol: Protocol): SessionTerms {
  const flags = isNative(protocol) ? allFlags(knowledge) : { flags: 0, check: undefined };
  return { protocol, flags, codec: undefined, limit: LIMIT };
}

/** Returns the protocol of a release; `undefined` if it is not known. */
function spoken(announced: Parameters<typeof pythonProtocol>[1]): Protocol | undefined {
  try {
    return pythonProtocol("auto", announced);
  } catch {
    return undefined;
  }
}

function nativeIn(message: PeerObject): PeerObject {
  return objectMember(objectMember(message, "meta") ?? {}, "native") ?? {};
}

function featuresIn(message: PeerObject): PeerObject {
  return objectMember(nativeIn(message), "features") ?? {};
}

/** The members of handshakes that prove who somebody is. */
const SECRETS = new Set(["credentials", "key"]);

/** Returns a message with its secrets replaced. */
function withoutSecrets(value: PeerObject): PeerObject {
  return JSON.parse(JSON.stringify(value, (name, member) => SECRETS.has(name) ? "(secret)" : member));
}
