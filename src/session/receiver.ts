/**
 * The reading side of one connection: chunks in, frames out, a batch at a time, and an eye on frames that were begun
 * and do not go on.
 *
 * @module
 */

import { ConnectionError, ProtocolError } from "../errors.ts";
import type { ChunkReader, Connection } from "../transport.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { FrameLosses } from "../wire/decoder_options.ts";
import { FrameReader } from "../wire/frame_reader.ts";
import type { Recovery } from "../options.ts";
import type { Protocol } from "../wire/protocols.ts";
import { Latch } from "../tools/latch.ts";
import type { BatchWaiter, Share } from "../tools/batch_budget.ts";
import type { SessionShared } from "./shared.ts";
import { LATE_MS, Timeout } from "../tools/timer_wheel.ts";

/** A frame that was begun must come at this rate, in bytes a second, in all of the last {@linkcode STALL_MS}. */
const STALL_RATE = 1024;
const STALL_MS = 10_000;
/** It is looked at every so many milliseconds: twice in that time. */
const STALL_STEP = STALL_MS / 2;

/** Who takes what comes. */
export interface ReceiverEvents {
  /** The next frame. Throws a `ProtocolError` if it may not come now. */
  frame(frame: ReceivedFrame, receivedAt: number): void;
  /** Whether no more frames can be taken now. */
  full(): boolean;
  /** Settles when more can be taken. */
  room(): Promise<void>;
  /** Something was left out: a frame whose checksum does not match, or what lies between two frames. */
  dropped(error: ProtocolError): void;
  /** The peer broke the protocol. */
  broken(error: ProtocolError): void;
  /** The peer's FIN, `partial` bytes into a frame. */
  finished(partial: number): void;
  /** The connection broke. */
  lost(error: Error): void;
  /** A frame that was begun does not go on. */
  dead(error: ConnectionError): void;
}

/** Reads one connection. */
export class Receiver implements BatchWaiter, ChunkReader, FrameLosses, Share {
  readonly #connection: Connection;
  readonly #shared: SessionShared;
  readonly #events: ReceiverEvents;
  readonly #reader: FrameReader;
  #over: Latch | undefined = undefined;
  #ended = false;
  /** Whether the next chunk was asked for just now, and whether one that was there already is done with. */
  #asking = false;
  #done = false;
  #discarding = false;
  /** How much is thrown away at most, and how much was. */
  #most = Infinity;
  #thrown = 0;
  /** When the last bytes came, or when reading went on, by the transport's clock. */
  lastRead: number;
  /** What came and is not handed out yet: nothing is read until it is. */
  #rest: Uint8Array | undefined = undefined;
  #bytes = 0;
  #frames = 0;
  /** The last turn in which frames were handed out, since when, and after how many in all it began. */
  #turn = -1;
  #turnFrom = 0;
  #turnFrames = 0;
  /** What it has used of the last round that it was busy in. */
  round = -1;
  used = 0;
  #dropped = 0;
  #stall: Timeout | undefined = undefined;
  #stallFrom = 0;
  #stallDue = 0;
  #stallCount = 0;
  /** How much of the frame there was then, and at the last look since; negative where there was none. */
  #stallPartial = 0;
  #stallMiddle = -1;

  /**
   * @param connection What to read.
   * @param protocol How frames look.
   * @param maxMessageSize The largest frame taken, in bytes.
   * @param recovery What a torn stream does, where frames have a magic.
   * @param shared Time, and whose turn it is.
   * @param events Who takes what comes.
   */
  constructor(
    connection: Connection,
    protocol: Protocol,
    maxMessageSize: number,
    recovery: Recovery,
    shared: SessionShared,
    events: ReceiverEvents,
  ) {
    this.#connection = connection;
    this.#shared = shared;
    this.#events = events;
    this.lastRead = shared.transport.clock.now();
    const search = protocol.magic === undefined ? "close" : recovery;
    this.#reader = new FrameReader(protocol, { maxMessageSize, recovery: search }, this);
  }

  /** Bytes read so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Frames handed out so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Frames left out so far. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Bytes skipped between frames so far. */
  get skipped(): number {
    return this.#reader.skipped;
  }

  /** Bytes of a frame that is not whole yet. */
  get partial(): number {
    return this.#reader.partial;
  }

  /** Whether nothing is read until what came is handed out. */
  get paused(): boolean {
    return this.#rest !== undefined;
  }

  /** Whether what comes is thrown away. */
  get discarding(): boolean {
    return this.#discarding;
  }

  /** Begins with what came behind the handshake, and reads until the end. */
  run(rest: Uint8Array): void {
    if (rest.length === 0) this.#read();
    else this.#take(rest);
  }

  /** Called by the connection. */
  received(chunk: Uint8Array | null, error?: unknown): void {
    if (error !== undefined) this.#lost(error);
    else if (chunk === null) this.#finish();
    else {
      this.#bytes += chunk.length;
      this.lastRead = this.#shared.transport.clock.now();
      if (this.#discarding) {
        this.#thrown += chunk.length;
        this.#connection.recycle?.(chunk);
        // It takes a turn of others to throw away what may be a flood.
        this.#shared.budget.wait(this);
      } else this.#take(chunk);
    }
  }

  /** Asks for the next chunk, and for the one behind it when it was there already. */
  #read(): void {
    do {
      if (this.#thrown > this.#most) return this.#end();
      this.#asking = true;
      this.#done = false;
      readTo(this.#connection, this);
      this.#asking = false;
    } while (this.#done);
  }

  /** Hands out a chunk, then reads on. */
  #take(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
    this.#hand(chunk, this.lastRead);
  }

  /** Hands out a batch of a chunk that begins `now`; what is left follows when the others had their turn. */
  #hand(chunk: Uint8Array, now: number): void {
    try {
      if (!this.#batch(now)) {
        this.#rest = chunk;
        if (this.#events.full()) void this.#events.room().then(() => this.proceed());
        else this.#shared.budget.wait(this, this);
        return;
      }
      if (this.#rest !== undefined) {
        // The peer's silence meanwhile is ours.
        this.#rest = undefined;
        this.lastRead = this.#shared.transport.clock.now();
        if (this.#stall !== undefined && this.#stall.tick >= 0) this.#watch();
      }
      this.#received();
    } catch (error) {
      this.#lost(error);
      return;
    }
    this.#taken(chunk);
  }

  /** Goes on with what came, or with what is thrown away. */
  proceed(): void {
    if (this.#rest === undefined) this.#read();
    else this.#hand(this.#rest, this.#shared.transport.clock.now());
  }

  #taken(chunk: Uint8Array): void {
    if (!this.#reader.lent) this.#connection.recycle?.(chunk);
    if (this.#asking) this.#done = true;
    else this.#read();
  }

  #finish(): void {
    try {
      this.#reader.end();
      this.#events.finished(this.#discarding ? 0 : this.#reader.partial);
      this.#end();
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    this.#reader.end();
    this.#events.lost(error as Error);
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#over?.release();
  }

  /** Called by the reader. */
  drop(error: ProtocolError): void {
    this.#dropped++;
    this.#events.dropped(error);
  }

  /** Called by the reader. */
  skip(error: ProtocolError): void {
    this.#events.dropped(error);
  }

  /** Settles, never rejects, when nothing more is read. */
  over(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    this.#over ??= new Latch();
    return this.#over.promise;
  }

  /**
   * From now on what comes is read only to be thrown away: `most` bytes of it. To stop reading a peer that sends resets the
   * connection and takes down what was written to it; so an orderly end is limited by time alone.
   */
  discard(most: number = Infinity): void {
    this.#most = Math.min(this.#most, most);
    this.#discarding = true;
    if (this.#stall !== undefined) this.#shared.wheel.remove(this.#stall);
    this.#reader.end();
  }

  /**
   * Decodes and hands out a batch that begins `now`, one frame after the other; whether the chunk is used up, which what is
   * discarded is.
   */
  #batch(now: number): boolean {
    const reader = this.#reader;
    const { budget, flushes } = this.#shared;
    const receivedAt = Date.now();
    flushes.begin();
    let counts = false;
    try {
      if (!this.#may) return this.#discarding;
      if (budget.exhausted(this)) return false;
      // The chunks of a turn share its budget.
      const begins = this.#turn !== flushes.turn;
      if (begins) {
        this.#turn = flushes.turn;
        this.#turnFrom = now;
        this.#turnFrames = this.#frames;
      } else if (!budget.resume(this.#frames - this.#turnFrames, this.#turnFrom, this)) return false;
      counts = true;
      let frame = reader.step();
      if (begins) budget.start(reader.more, now, this);
      // A gap before a frame is told of while it is read: whoever hears of it may close.
      while (frame !== undefined && !this.#discarding) {
        let over: boolean;
        if (frame === null) over = budget.pass();
        else {
          this.#frames++;
          this.#events.frame(frame, receivedAt);
          over = budget.spend();
        }
        if ((over || !this.#may) && reader.more) return this.#discarding;
        frame = reader.step();
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#events.broken(error);
    } finally {
      if (counts) budget.used(this, now);
    }
    return true;
  }

  /** Whether frames may be handed out. */
  get #may(): boolean {
    return !this.#discarding && !this.#events.full();
  }

  /** After all frames of a chunk. */
  #received(): void {
    if (this.#discarding) return;
    if (this.#reader.failure !== undefined) this.#events.broken(this.#reader.failure);
    else if (this.#reader.partial > 0 && (this.#stall === undefined || this.#stall.tick < 0)) this.#watch();
  }

  /** Sees to it that the frame that was begun goes on. */
  #watch(): void {
    this.#stall ??= new Timeout(() => this.#check());
    this.#stallFrom = this.#shared.transport.clock.now();
    this.#stallCount = this.#reader.count + this.#reader.skipped;
    this.#stallPartial = this.#reader.partial;
    this.#stallMiddle = -1;
    this.#checkIn(STALL_STEP);
  }

  #checkIn(ms: number): void {
    this.#stallDue = this.#shared.transport.clock.now() + ms;
    this.#shared.wheel.add(this.#stall!, ms);
  }

  #check(): void {
    const { partial, count, skipped } = this.#reader;
    if (partial === 0) return;
    // Another frame by now, or we are the ones who do not read: that is no stall.
    if (count + skipped !== this.#stallCount || this.paused || this.#events.full()) {
      this.#watch();
      return;
    }
    const now = this.#shared.transport.clock.now();
    const late = now - this.#stallDue;
    if (late > LATE_MS) {
      // What came while we stood still has not been read yet.
      this.#stallFrom += late;
      this.#checkIn(1_000);
      return;
    }
    const seconds = (now - this.#stallFrom) / 1_000;
    const came = partial - this.#stallPartial;
    if (this.#stallMiddle < 0) {
      this.#stallMiddle = partial;
      this.#checkIn(STALL_STEP);
    } else if (came / seconds >= STALL_RATE) {
      // From now on what counts is what comes from the last look on.
      this.#stallPartial = this.#stallMiddle;
      this.#stallMiddle = partial;
      this.#stallFrom = now - STALL_STEP;
      this.#checkIn(STALL_STEP);
    } else {
      this.#events.dead(
        new ConnectionError(
          "timed-out",
          `The peer began a frame and sent ${came} bytes of it in the last ${seconds.toFixed(1)} s`,
        ),
      );
    }
  }
}

/** Reads by callback where the connection can. */
function readTo(connection: Connection, reader: ChunkReader): void {
  if (connection.readTo !== undefined) connection.readTo(reader);
  else {connection.read().then((chunk) =>
      reader.received(chunk), (error) =>
      reader.received(null, error ?? new ConnectionError("closed", "The connection failed, without saying why")));}
}
