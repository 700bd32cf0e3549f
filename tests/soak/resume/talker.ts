/**
 * One side of a conversation that must survive every cut: it sends numbered messages and requests, opens streams, and holds
 * what arrives against what the other side has sent.
 *
 * @module
 */

import {
  BackpressureError,
  bytes,
  type Client,
  type ConnectedClient,
  type IncomingStream,
  json,
  messageType,
  type Metadata,
  streamType,
} from "@veltix/core";
import { createHash } from "node:crypto";
import { sleep } from "../../processes/waiting.ts";
import { Random } from "../../wire_support.ts";
import { type Arrivals, mix, payloadOf, Serials } from "./serials.ts";

/** What goes through a stream, both ways. */
interface Load {
  readonly bytes: number;
  readonly seed: number;
}

/** What the other side of a stream tells at its end: the digests of what it received and of what it sent. */
interface Digests {
  readonly received: string;
  readonly sent: string;
}

/** A message with a number. */
export const MESSAGE = messageType(200, "message", bytes);
/** A request with a number of the same row. The answer is made of it. */
export const ASK = messageType(201, "ask", bytes, bytes);
/** A stream both ways. */
export const STREAM = streamType(202, "stream", { head: json<Load>(), result: json<Digests>() });
/** The first request of a client: which talker of the server talks with it. */
export const HELLO = messageType(203, "hello", json<Talk>(), json<boolean>());

/** How to talk. */
export interface Talk {
  /** Its number among all of the run. */
  readonly lane: number;
  /** Whether messages have metadata. */
  readonly meta: boolean;
  /** The least that each side sends. */
  readonly messages: number;
  /** How many streams each side opens while it does. */
  readonly streams: number;
  /** The bytes of each stream in each direction. */
  readonly streamBytes: number;
  /** How long it waits after a few messages, in milliseconds; 0 to wait only until more may be sent. */
  readonly pause: number;
  /** Every so manieth is a request. */
  readonly asks: number;
}

/** What one side has sent, and what became of what is settled there. */
export interface Sent {
  /** How many numbers it has given away. */
  readonly serials: number;
  /** Those that could not be sent, as the sender was told at once. */
  readonly skipped: readonly number[];
  readonly asked: number;
  readonly answered: number;
  /** Answers that are another one's. */
  readonly wrong: number;
  /** The errors of requests and streams that failed. */
  readonly failed: readonly string[];
  readonly streams: number;
  /** Streams of which a digest differs. */
  readonly different: number;
}

/** A few messages: then who has a pause makes it. */
const FEW = 20;
/** The most requests under way. */
const UNDER_WAY = 64;
const PIECE = 16_384;
/** The longest pause between two pieces of a stream, in milliseconds. */
const PIECE_PAUSE = 20;
/** How long an answer may take, in milliseconds: longer than a session is kept. */
const PATIENCE = 60_000;
const NONE: Metadata = {};

/** A side. */
export class Talker {
  readonly #peer: Client | ConnectedClient;
  readonly #talk: Talk;
  readonly #seed: number;
  readonly #random: Random;
  readonly #serials: Serials;
  readonly #skipped: number[] = [];
  readonly #failed: string[] = [];
  readonly #streams: Promise<void>[] = [];
  readonly #asks = new Set<Promise<void>>();
  #sent = 0;
  #asked = 0;
  #answered = 0;
  #wrong = 0;
  #opened = 0;
  #different = 0;
  #badMeta = 0;
  #stopped = false;
  #pouring: Promise<void> = Promise.resolve();

  constructor(peer: Client | ConnectedClient, talk: Talk, side: "client" | "server") {
    this.#peer = peer;
    this.#talk = talk;
    const [own, other] = side === "client" ? [0, 1] : [1, 0];
    this.#seed = 2 * talk.lane + own;
    this.#random = new Random(this.#seed);
    this.#serials = new Serials(2 * talk.lane + other);
  }

  /** How many messages and requests came. */
  get came(): number {
    return this.#serials.came;
  }

  /** Begins to send. */
  start(): void {
    this.#pouring = this.#pour().catch((error) => void this.#failed.push(`sending: ${error}`));
  }

  /** Takes a message. */
  take(payload: Uint8Array, meta: Metadata): void {
    const serial = this.#serials.take(payload);
    if (this.#talk.meta && meta.n !== metaOf(serial).n) this.#badMeta++;
  }

  /** Takes a request. */
  answer(payload: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const serial = this.#serials.take(payload);
    const answer = answerTo(serial, this.#talk.lane);
    const drawn = this.#random.below(80);
    return drawn < 10 ? sleep(drawn).then(() => answer) : answer;
  }

  /** Sends no more; resolves with what it has sent once everything is settled. */
  async stop(): Promise<Sent> {
    this.#stopped = true;
    await this.#pouring;
    await Promise.all([...this.#asks, ...this.#streams]);
    return {
      serials: this.#sent,
      skipped: this.#skipped,
      asked: this.#asked,
      answered: this.#answered,
      wrong: this.#wrong,
      failed: this.#failed,
      streams: this.#opened,
      different: this.#different,
    };
  }

  /** What came of what the other side has sent. */
  arrivals({ serials, skipped }: Pick<Sent, "serials" | "skipped">): Arrivals {
    const arrivals = this.#serials.arrivals(serials, skipped);
    return { ...arrivals, changed: arrivals.changed + this.#badMeta };
  }

  async #pour(): Promise<void> {
    const { messages, streams, pause, asks } = this.#talk;
    while (!this.#stopped) {
      if (this.#opened < streams && this.#sent * streams >= this.#opened * messages) {
        this.#streams.push(this.#stream(this.#opened++));
      }
      let more = true;
      for (let left = FEW; left > 0 && more && !this.#stopped; left--) {
        if (this.#sent % asks === asks - 1) {
          this.#asks.size >= UNDER_WAY && await Promise.race(this.#asks);
          this.#ask();
        } else more = this.#send();
      }
      if (!more) await this.#peer.ready();
      if (pause > 0) await sleep(pause);
    }
    for (; this.#opened < streams; this.#opened++) this.#streams.push(this.#stream(this.#opened));
  }

  /** Sends a message. Returns whether more may be sent. */
  #send(): boolean {
    const serial = this.#sent;
    const meta = this.#talk.meta ? metaOf(serial) : NONE;
    try {
      const more = meta === NONE
        ? this.#peer.send(MESSAGE, payloadOf(serial, this.#seed))
        : this.#peer.send(MESSAGE, payloadOf(serial, this.#seed), { meta });
      this.#sent++;
      return more;
    } catch (error) {
      // The number is free for the next.
      if (error instanceof BackpressureError) return false;
      throw error;
    }
  }

  #ask(): void {
    const serial = this.#sent++;
    this.#asked++;
    const answered = this.#peer.request(ASK, payloadOf(serial, this.#seed), { timeout: PATIENCE }).then((answer) => {
      this.#answered++;
      if (!answer.every((byte, i) => byte === answerTo(serial, this.#talk.lane)[i])) this.#wrong++;
    }, (error) => {
      if (error instanceof BackpressureError) {
        this.#skipped.push(serial);
        this.#asked--;
      } else this.#failed.push(`request ${serial}: ${error}`);
    }).finally(() => this.#asks.delete(answered));
    this.#asks.add(answered);
  }

  async #stream(index: number): Promise<void> {
    const load: Load = { bytes: this.#talk.streamBytes, seed: mix(this.#seed * 1_000 + index) };
    try {
      const { readable, writable, result } = this.#peer.open(STREAM, load);
      const [sent, received, digests] = await Promise.all([
        write(writable, load, this.#random),
        digestOf(readable),
        result,
      ]);
      if (digests.received !== sent || digests.sent !== received) this.#different++;
    } catch (error) {
      this.#failed.push(`stream ${index}: ${error}`);
    }
  }
}

/** Handles a stream. */
export async function takeStream(
  { head, readable, writable }: IncomingStream<Load, Uint8Array, Uint8Array>,
): Promise<Digests> {
  const own = { ...head, seed: mix(head.seed) };
  const [sent, received] = await Promise.all([write(writable, own, new Random(own.seed)), digestOf(readable)]);
  return { sent, received };
}

/** Writes the bytes of a load, with pauses. Returns their digest. */
async function write(writable: WritableStream<Uint8Array>, { bytes, seed }: Load, random: Random): Promise<string> {
  const digest = createHash("sha256");
  const writer = writable.getWriter();
  for (let left = bytes; left > 0; left -= PIECE) {
    const piece = new Uint8Array(Math.min(left, PIECE));
    for (let at = 0, state = seed ^ left; at < piece.length; at++) piece[at] = (state = mix(state + at)) & 255;
    digest.update(piece);
    await writer.write(piece);
    await sleep(random.below(PIECE_PAUSE));
  }
  await writer.close();
  return digest.digest("hex");
}

async function digestOf(readable: ReadableStream<Uint8Array>): Promise<string> {
  const digest = createHash("sha256");
  for await (const chunk of readable) digest.update(chunk);
  return digest.digest("hex");
}

/** The metadata of some messages. */
function metaOf(serial: number): Metadata {
  return serial % 8 === 0 ? { n: `${serial}` } : NONE;
}

function answerTo(serial: number, lane: number): Uint8Array {
  const answer = new Uint8Array(12);
  const view = new DataView(answer.buffer);
  view.setUint32(0, serial);
  view.setUint32(4, mix(serial + lane));
  view.setUint32(8, lane);
  return answer;
}
