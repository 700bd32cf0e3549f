/**
 * Plays one side of a recorded conversation against a live peer, and compares what the peer sends with the record.
 *
 * What depends on time is not compared: PING and PONG, ACK, CREDIT and WINDOW. This side keeps to what the peer grants now. Pieces of a
 * stream are compared as the bytes that they make together. Request ids are matched, nonces and sessions may differ.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import type { Connection } from "../../transport.ts";
import { encodeFrame } from "../../wire/encoder.ts";
import { Flag, SystemCode } from "../../wire/frame.ts";
import { isNative, type Protocol } from "../../wire/protocols.ts";
import { Balances } from "./balances.ts";
import { compareFrames, compareHandshakes, type Difference, nameOf } from "./compare.ts";
import { Conversation } from "./conversation.ts";
import { loadKnowledge } from "./knowledge.ts";
import type { RecordedConnection } from "./script.ts";
import { peerOf, type Seen, type SeenFrame, type SeenHandshake, type Sender } from "./seen.ts";

export type { Difference };

/** How a conversation is played. */
export interface PlayOptions {
  /** Members of JSON payloads that may differ. */
  readonly ignored: ReadonlySet<string>;
  /** How long the peer may take for anything, in milliseconds. */
  readonly timeout: number;
  readonly protocol: Protocol | undefined;
  readonly signal: AbortSignal;
}

/** Frames that come when they come. */
const TIMED = new Set(["ping", "pong", "ack", "credit", "window"]);
/** Frames that belong to a request of the other side. */
const ANSWERS = new Set(["reply", "error", "end"]);

type Comparable = SeenFrame | SeenHandshake;

/** Plays a connection. Returns what was different. The connection is over then. */
export async function play(
  script: RecordedConnection,
  own: Sender,
  connection: Connection,
  options: PlayOptions,
): Promise<Difference[]> {
  const knowledge = await loadKnowledge({ protocol: options.protocol, secrets: true });
  const player = new Player(own, connection, options);
  player.live = new Conversation(knowledge, (seen) => player.see(seen));
  return await player.run(script);
}

class Player {
  live!: Conversation;
  readonly #own: Sender;
  readonly #connection: Connection;
  readonly #options: PlayOptions;
  readonly #differences: Difference[] = [];
  /** What the peer has sent and nobody has compared. */
  readonly #queue: Comparable[] = [];
  readonly #balances = new Balances();
  /** Bytes of pieces, recorded and live, by their streams. */
  readonly #pieces = { recorded: new Map<string, Uint8Array>(), live: new Map<string, Uint8Array>() };
  /** The live ids of the peer's requests, by their recorded ones. */
  readonly #ids = new Map<number | string, number | string>();
  /** Settles when everything so far is written. */
  #written: Promise<void> = Promise.resolve();
  #over = false;
  #broken: Error | undefined = undefined;
  #wake: () => void = () => {};

  constructor(own: Sender, connection: Connection, options: PlayOptions) {
    this.#own = own;
    this.#connection = connection;
    this.#options = options;
  }

  async run({ items }: RecordedConnection): Promise<Difference[]> {
    const reading = this.#read();
    try {
      for (const item of items) {
        if (item.type === "note") continue;
        if (item.type === "end") {
          if (item.from === this.#own) await this.#written.then(() => this.#connection.closeWrite());
          else if (!await this.#until(() => this.#over)) this.#differ("the end", "it does not come", "FIN", "nothing");
        } else if (!await (item.from === this.#own ? this.#send(item) : this.#expect(item))) break;
      }
      this.#finish();
    } catch (error) {
      const what = (this.#broken ?? error as Error).message;
      this.#differ("the connection", "it broke", "a connection that goes on", what);
    } finally {
      this.#connection.abort();
      await reading;
    }
    return this.#differences;
  }

  /** Takes what the live peer has sent, and what was sent to it. */
  see(seen: Seen): void {
    if (seen.from === this.#own) return;
    if (seen.type === "damage" || seen.type === "unreadable") {
      const what = seen.type === "damage" ? seen.reason : seen.what;
      this.#differ("the connection", "the peer sends what cannot be read", "frames", what);
    }
    if (seen.type === "handshake") {
      this.#balances.terms(seen);
      this.#queue.push(seen);
    }
    if (seen.type === "frame") {
      if (seen.kind === "ping") this.#pong(seen);
      this.#balances.received(seen);
      this.#gather(seen, this.#pieces.live);
      if (!TIMED.has(seen.kind) && seen.kind !== "piece") this.#queue.push(seen);
    }
    this.#wake();
  }

  async #read(): Promise<void> {
    const peer = peerOf(this.#own);
    try {
      for (;;) {
        const chunk = await this.#connection.read();
        if (chunk === null) break;
        this.live.push(peer, chunk);
        this.#connection.recycle?.(chunk);
      }
      this.live.end(peer);
    } catch (error) {
      this.#broken = error as Error;
    }
    this.#over = true;
    this.#wake();
  }

  /** Sends what was recorded, with the ids of this conversation. Returns false if the peer does not take it. */
  async #send(item: Seen): Promise<boolean> {
    if (item.type === "note") return true;
    let { bytes } = item;
    if (item.type === "frame") {
      // An ACK tells what has come, which is another number now. PINGs are answered when they come.
      if (item.kind === "ack" && item.payload.value !== 0 || item.kind === "pong") return true;
      const id = this.#liveId(item);
      if (id !== item.fields.id) bytes = withId(item, id);
      if (!await this.#until(() => this.#balances.allows(item, id))) {
        this.#differ(nameOf(item), "the peer does not let it be sent", "enough credit or window", "too little");
        return false;
      }
      this.#balances.sent(item, id);
    }
    this.live.push(this.#own, bytes);
    await this.#write(bytes);
    return true;
  }

  /** Writes after what is being written. */
  #write(bytes: Uint8Array): Promise<void> {
    return this.#written = this.#written.then(() => this.#connection.write(bytes));
  }

  /** Returns the id that a recorded frame of this side has now. */
  #liveId({ fields: { flags, id }, protocol }: SeenFrame): number | string {
    // Without REPLY a native frame is about a request or a stream of its sender.
    if (isNative(protocol) && ((flags ?? 0) & Flag.REPLY) === 0) return id;
    return this.#ids.get(id) ?? id;
  }

  /** Waits for what was recorded. Returns false if it does not come. */
  async #expect(item: Seen): Promise<boolean> {
    if (item.type === "damage" || item.type === "unreadable" || item.type === "note") return true;
    if (item.type === "frame") {
      this.#gather(item, this.#pieces.recorded);
      if (TIMED.has(item.kind)) return true;
      // Its bytes are compared when the stream is over.
      if (item.kind === "piece") return true;
    }
    let found: Comparable | undefined;
    await this.#until(() => (found = this.#take(item)) !== undefined);
    if (found === undefined) return this.#missing(item);
    if (item.type === "handshake") {
      this.#differences.push(...compareHandshakes(item, found as SeenHandshake));
    } else {
      const live = found as SeenFrame;
      if (((item.fields.flags ?? 0) & Flag.REPLY) === 0) this.#ids.set(item.fields.id, live.fields.id);
      this.#differences.push(...compareFrames(item, live, this.#options.ignored));
    }
    return true;
  }

  /** Takes the live counterpart of a recorded item from the queue. An answer is found by its id. */
  #take(item: Comparable): Comparable | undefined {
    const answer = item.type === "frame" && ANSWERS.has(item.kind) && isNative(item.protocol) &&
      ((item.fields.flags ?? 0) & Flag.REPLY) !== 0;
    const index = this.#queue.findIndex((live) => {
      if (live.type !== item.type) return false;
      if (live.type !== "frame" || item.type !== "frame") return true;
      if (answer) return ANSWERS.has(live.kind) && live.fields.id === item.fields.id;
      return !(isNative(live.protocol) && ANSWERS.has(live.kind) && ((live.fields.flags ?? 0) & Flag.REPLY) !== 0);
    });
    return index < 0 ? undefined : this.#queue.splice(index, 1)[0];
  }

  /** Compares what is left when everything was played. */
  #finish(): void {
    for (const live of this.#queue) this.#differ(nameOf(live), "it was not recorded", "nothing", nameOf(live));
    for (const key of new Set([...this.#pieces.recorded.keys(), ...this.#pieces.live.keys()])) {
      const recorded = this.#pieces.recorded.get(key) ?? new Uint8Array(0);
      const live = this.#pieces.live.get(key) ?? new Uint8Array(0);
      const at = recorded.findIndex((byte, i) => byte !== live[i]);
      if (at < 0 && recorded.length === live.length) continue;
      const where = at < 0 ? "their lengths differ" : `byte ${at} differs`;
      this.#differ(`the pieces of stream ${key}`, where, `${recorded.length} bytes`, `${live.length} bytes`);
    }
  }

  /** Keeps the bytes of a piece of the peer. */
  #gather(frame: SeenFrame, pieces: Map<string, Uint8Array>): void {
    if (frame.kind !== "piece" && frame.kind !== "end") return;
    const key = keyOf(frame);
    pieces.set(key, concat(pieces.get(key) ?? new Uint8Array(0), frame.payload.bytes));
  }

  #pong({ fields: { id, sentAt }, payload: { bytes }, protocol }: SeenFrame): void {
    const flags = isNative(protocol) ? Flag.REPLY : 0;
    const pong = encodeFrame(protocol, { code: SystemCode.PONG, content: bytes, requestId: id, flags, sentAt });
    this.#write(pong).catch(() => {});
  }

  #missing(item: Comparable): false {
    const got = this.#broken !== undefined
      ? this.#broken.message
      : this.#over
      ? "the end of the connection"
      : "nothing";
    this.#differ(nameOf(item), "it does not come", nameOf(item), got);
    return false;
  }

  #differ(item: string, what: string, expected: string, got: string): void {
    this.#differences.push({ item, what, expected, got });
  }

  /** Waits until something is true. Resolves with false if it takes too long or cannot become true any more. */
  async #until(done: () => boolean): Promise<boolean> {
    const { signal, timeout } = this.#options;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, timeout);
    const stop = (): void => this.#wake();
    signal.addEventListener("abort", stop);
    try {
      while (!done()) {
        if (late || this.#over || signal.aborted) return false;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      return true;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }
}

/** Returns the stream of a piece, by its id and who opened it. */
function keyOf({ fields: { flags = 0, id } }: SeenFrame): string {
  return `${id}${(flags & Flag.REPLY) === 0 ? "" : " (answering)"}`;
}

/** Returns the bytes of a frame with another id. */
function withId(
  { bytes, fields: { code, flags = 0, sentAt }, protocol }: SeenFrame,
  requestId: number | string,
): Uint8Array {
  const content = bytes.subarray(protocol.headerSize);
  return encodeFrame(protocol, { code, content, requestId, flags, sentAt }, 0xff);
}
