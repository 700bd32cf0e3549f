/**
 * A session whose beginning was seen. It may go on over another connection, within a frame. The numbers that the ends tell
 * each other then say which bytes come again.
 *
 * @module
 */

import type { CompressionCodec } from "../../compression_seam.ts";
import type { NegotiatedFlags } from "../../wire/decoder_options.ts";
import type { Protocol } from "../../wire/protocols.ts";
import { type CutterSink, FrameCutter } from "./frame_cutter.ts";
import type { Sender } from "./seen.ts";

/** What two ends agreed on for the frames of a session. */
export interface SessionTerms {
  readonly protocol: Protocol;
  readonly flags: NegotiatedFlags;
  readonly codec: CompressionCodec | undefined;
  /** The largest frame, header included, in bytes. */
  readonly limit: number;
}

/** Takes the frames of a session. */
export interface SessionSink {
  frame(from: Sender, bytes: Uint8Array, offset: number, fault: string | undefined): void;
  damage(from: Sender, bytes: Uint8Array, offset: number, reason: string): void;
}

/** Both directions of a session. */
export class KnownSession {
  readonly terms: SessionTerms;
  readonly client: SessionDirection;
  readonly server: SessionDirection;

  constructor(terms: SessionTerms) {
    this.terms = terms;
    this.client = new SessionDirection("client", terms);
    this.server = new SessionDirection("server", terms);
  }

  /** Continues on a connection whose frames begin at these offsets, one for each sender. */
  enter(sink: SessionSink, begin: Readonly<Record<Sender, number>>): void {
    this.client.enter(sink, begin.client);
    this.server.enter(sink, begin.server);
  }
}

/** One direction of a session. */
export class SessionDirection implements CutterSink {
  readonly #from: Sender;
  readonly #cutter: FrameCutter;
  #sink: SessionSink | undefined = undefined;
  /** What is added to an offset of the session to have that of the connection. */
  #shift = 0;
  /** How many bytes are yet to come that were seen before. */
  #again = 0;

  constructor(from: Sender, { flags, limit, protocol }: SessionTerms) {
    this.#from = from;
    this.#cutter = new FrameCutter(protocol, flags, limit, this);
  }

  /** Continues on a connection on which `begin` bytes came before the first frame. */
  enter(sink: SessionSink, begin: number): void {
    this.#sink = sink;
    this.#shift = begin - this.#cutter.taken;
  }

  /**
   * Continues where the peer wants it.
   *
   * @param received How many bytes of the session the peer has received.
   * @returns How many bytes come again, or are missing if it is negative.
   */
  resumeFrom(received: number): number {
    const again = this.#cutter.taken - received;
    this.#shift += again;
    this.#again = Math.max(0, again);
    if (again < 0) this.#cutter.gap(`${-again} bytes of the session were not seen`);
    return again;
  }

  push(chunk: Uint8Array): void {
    const skipped = Math.min(this.#again, chunk.length);
    this.#again -= skipped;
    if (skipped < chunk.length) this.#cutter.push(chunk.subarray(skipped));
  }

  /** Ends the direction, unless the session can go on with what there is of a frame. */
  end(): void {
    this.#cutter.end();
  }

  /** The number of bytes of a frame that is not complete. */
  get partial(): number {
    return this.#cutter.partial;
  }

  frame(bytes: Uint8Array, offset: number, fault: string | undefined): void {
    this.#sink?.frame(this.#from, bytes, offset + this.#shift, fault);
  }

  damage(bytes: Uint8Array, offset: number, reason: string): void {
    this.#sink?.damage(this.#from, bytes, offset + this.#shift, reason);
  }
}
