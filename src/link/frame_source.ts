/**
 * Reads one connection: takes chunks and hands out frames, one batch at a time. A frame that begins and does not go on
 * ends the connection.
 *
 * @module
 */

import { type ConnectionError, ProtocolError } from "../errors.ts";
import type { ChunkReader } from "../transport.ts";
import type { Channel } from "./channel.ts";
import { type CloseReason, reasonOf } from "./close_reason.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { FIRST_APPLICATION_CODE, isPiece } from "../wire/frame.ts";
import { FrameReader } from "../wire/frame_reader.ts";
import type { FrameLosses, NegotiatedFlags, Recovery } from "../wire/decoder_options.ts";
import type { Protocol } from "../wire/protocols.ts";
import { ResettablePromise } from "../base/resettable_promise.ts";
import type { Clock } from "../base/clock.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { BatchBudget, BatchWaiter, Share } from "./batch_budget.ts";
import type { FlushQueue } from "./flush_queue.ts";
import { Stall, type StallHost } from "./stall_watch.ts";

/** Holds received messages until their handlers run. */
export interface ReceiveQueue {
  /** True while no more messages can be taken. Nothing is read then. */
  readonly full: boolean;
  /** Resolves when more can be taken, or when nothing more arrives. */
  room(): Promise<void>;
  /** True while it has gathered messages for one call of a handler. */
  readonly gathering: boolean;
  /** Hands out what it has gathered. Called before anything that comes after it, and at the end of each batch. */
  handOut(): void;
}

/** Receives frames. */
export interface FrameReceiver {
  readonly inbox: ReceiveQueue;
  /** Called with each frame. Throws a `ProtocolError` if the frame is not allowed now. */
  frame(frame: ReceivedFrame, receivedAt: number): void;
  /** Called for everything that is skipped: a frame with a wrong checksum, or bytes between two frames. */
  skipped(error: ProtocolError): void;
}

/** Receives the end of a {@linkcode FrameSource}. */
export interface FrameSourceEvents {
  /** Called at the peer's FIN, `partial` bytes into a frame. */
  finished(partial: number): void;
  /** Called when the peer breaks the protocol, with a `ProtocolError`, or when the connection fails. */
  failed(error: Error, reason: CloseReason): void;
}

/** The most bytes that are read only to be thrown away, and the number thrown away so far. */
interface Discard {
  most: number;
  thrown: number;
}

/** What all frame sources of a Server or a Client share. */
export interface FrameSourceShared {
  readonly clock: Clock;
  /** Runs the checks of unfinished frames. */
  readonly wheel: TimerWheel;
  /** Shares the time among the connections. */
  readonly budget: BatchBudget;
  /** The turns in which writes are gathered. */
  readonly flushes: FlushQueue;
}

/** The last turn in which a connection handed out frames, and its share of the rounds. */
class Turn implements Share {
  id = -1;
  /** The time at which it began, and the number of frames handed out by then. */
  from = 0;
  frames = 0;
  round = -1;
  used = 0;
  usedBefore: number = Infinity;
  inflates = false;
}

/** Receives the chunks of one connection until it is left. Those that come after that are dropped. */
class ChunkFilter implements ChunkReader {
  readonly #source: FrameSource;
  readonly #channel: Channel;

  constructor(source: FrameSource, channel: Channel) {
    this.#source = source;
    this.#channel = channel;
  }

  received(chunk: Uint8Array | null, error?: unknown): void {
    if (this.#source.channel === this.#channel && !this.#source.away) this.#source.received(chunk, error);
  }
}

/** Reads one connection. */
export class FrameSource implements BatchWaiter, ChunkReader, FrameLosses, StallHost {
  #channel: Channel;
  readonly #shared: FrameSourceShared;
  readonly #receiver: FrameReceiver;
  readonly #events: FrameSourceEvents;
  readonly #reader: FrameReader;
  /** Created when reading ends, or when a caller waits for that. */
  #over: ResettablePromise | undefined = undefined;
  /** Set while the next chunk is being requested. `"done"` if it was there already and has been handed out. */
  #asking: "done" | "not yet" | undefined = undefined;
  #discard: Discard | undefined = undefined;
  /** The time at which the last bytes arrived, or at which reading went on, by the clock. */
  lastRead: number;
  /** The chunk that has not been handed out completely. Nothing is read until it has been. */
  #rest: Uint8Array | undefined = undefined;
  #bytes = 0;
  #frames = 0;
  /** Created with the first chunk, because most connections are idle. */
  #turn: Turn | undefined = undefined;
  #dropped = 0;
  /** Created when a frame does not arrive as a whole. */
  #stall: Stall | undefined = undefined;
  /** Receives chunks: this object itself, or a filter after a call of {@linkcode follow}. */
  #chunks: ChunkReader = this;
  /** Called when all frames of a chunk have been handed out. */
  #consumed: (() => void) | undefined = undefined;
  /** True while there is no connection. */
  #away = false;
  /** True while the last chunk is one of a connection that was left. */
  #foreign = false;
  /** True while others have their turn before the next chunk is read. */
  #resting = false;
  /** True if the last frame was a message, a request or an answer. */
  #message = false;

  /**
   * @param maxMessageSize The largest frame that is taken, header included, in bytes.
   * @param recovery What a torn frame does, in protocols with a magic.
   * @param features The flags that frames may carry beside those of the protocol.
   */
  constructor(
    channel: Channel,
    protocol: Protocol,
    maxMessageSize: number,
    recovery: Recovery,
    features: NegotiatedFlags,
    shared: FrameSourceShared,
    receiver: FrameReceiver,
    events: FrameSourceEvents,
  ) {
    this.#channel = channel;
    this.#shared = shared;
    this.#receiver = receiver;
    this.#events = events;
    this.lastRead = shared.clock.now();
    const search = protocol.magic === undefined ? "close" : recovery;
    this.#reader = new FrameReader(protocol, { maxMessageSize, recovery: search }, features, this);
  }

  /** The number of bytes read so far, over all connections. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of frames handed out so far. */
  get frames(): number {
    return this.#frames;
  }

  /** The number of frames dropped so far because their checksum did not match. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Grows with each complete frame and with everything that is skipped. */
  get steps(): number {
    return this.#reader.count + this.#reader.skipped;
  }

  /** The number of bytes skipped between frames so far. */
  get skipped(): number {
    return this.#reader.skipped;
  }

  /** The number of bytes of a frame that is not complete yet. */
  get partial(): number {
    return this.#reader.partial;
  }

  /** True while nothing is read, because the last chunk has not been handed out completely. */
  get paused(): boolean {
    return this.#rest !== undefined;
  }

  /** True once everything that arrives is thrown away. */
  get discarding(): boolean {
    return this.#discard !== undefined;
  }

  /** The connection, or the one that was left last. */
  get channel(): Channel {
    return this.#channel;
  }

  /**
   * Allows {@linkcode leave} from now on. Called before anything is read. `consumed` is called when all frames of a chunk
   * have been handed out.
   */
  follow(consumed: () => void): void {
    this.#consumed = consumed;
    this.#chunks = new ChunkFilter(this, this.#channel);
  }

  /** Leaves the connection: nothing more of it is read. What was read is still handed out. */
  leave(): void {
    this.#away = true;
    this.#stall?.stop();
  }

  /** Goes on with another connection, when what was read before has been handed out. */
  enter(channel: Channel): void {
    this.#channel = channel;
    this.#chunks = new ChunkFilter(this, channel);
    this.#away = false;
    this.lastRead = this.#shared.clock.now();
    this.#foreign = this.#rest !== undefined;
  }

  /** True while there is no connection. */
  get away(): boolean {
    return this.#away;
  }

  /** Reads until the end. What was read of a connection that was left is handed out before anything of the next one. */
  run(): void {
    if (this.#away || this.#foreign || this.#resting) return;
    if (this.#reader.partial > 0) this.#watch();
    this.#read();
  }

  /** Called by the connection with a chunk, with `null` at the peer's FIN, or with an error. */
  received(chunk: Uint8Array | null, error?: unknown): void {
    if (error !== undefined) this.#lost(error);
    else if (chunk === null) this.#finish();
    else {
      this.#bytes += chunk.length;
      this.lastRead = this.#shared.clock.now();
      if (this.#discard !== undefined) {
        this.#discard.thrown += chunk.length;
        this.channel.recycle(chunk);
        // The peer may send a flood, so the others have their turn between two chunks that are thrown away.
        this.#shared.budget.wait(this);
      } else this.#take(chunk);
    }
  }

  /** Reads the next chunk, and goes on reading while the chunks are there at once. */
  #read(): void {
    let more: boolean;
    do {
      if (this.#away) return;
      if (this.#discard !== undefined && this.#discard.thrown > this.#discard.most) return this.#end();
      this.#asking = "not yet";
      this.#channel.readTo(this.#chunks);
      more = (this.#asking as string) === "done";
      this.#asking = undefined;
    } while (more);
  }

  /** Hands out a chunk and reads on. */
  #take(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
    this.#hand(chunk, this.lastRead);
  }

  /** Hands out a batch of a chunk. `now` is the time. What is left follows when the others have had their turn. */
  #hand(chunk: Uint8Array, now: number): void {
    const { frames } = this;
    try {
      if (!this.#batch(now)) {
        this.#rest = chunk;
        if (this.#receiver.inbox.full) void this.#receiver.inbox.room().then(() => this.proceed());
        else this.#shared.budget.wait(this, this.#turn);
        return;
      }
      if (this.#rest !== undefined) {
        // The peer was not silent meanwhile: this side did not read.
        this.#rest = undefined;
        this.lastRead = this.#shared.clock.now();
        if (this.#stall?.watching === true) this.#stall.watch();
      }
      this.#received();
    } catch (error) {
      this.#lost(error);
      return;
    }
    // The answer to a single message need not wait for others. What streams grant and send in a turn is gathered.
    if (this.#frames - frames === 1 && this.#message) this.#shared.flushes.flush();
    this.#taken(chunk);
  }

  /** Goes on with the chunk that waited, or reads the next one. */
  proceed(): void {
    this.#resting = false;
    if (this.#rest === undefined) this.#read();
    else this.#hand(this.#rest, this.#shared.clock.now());
  }

  #taken(chunk: Uint8Array): void {
    if (!this.#reader.lent && !this.#foreign) this.channel.recycle(chunk);
    this.#foreign = false;
    if (this.#turn?.inflates === true && !this.#channel.pressing) {
      this.#resting = true;
      this.#shared.budget.wait(this, this.#turn);
    } else if (this.#asking === undefined) this.#read();
    else this.#asking = "done";
  }

  #finish(): void {
    try {
      this.#reader.end();
      this.#events.finished(this.discarding ? 0 : this.#reader.partial);
      if (!this.#away) this.#end();
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    this.#reader.end();
    this.#events.failed(error as Error, reasonOf(error));
    if (!this.#away) this.#end();
  }

  #end(): void {
    (this.#over ??= new ResettablePromise()).release();
  }

  /** Called by the reader for a frame whose checksum does not match. */
  drop(error: ProtocolError): void {
    this.#dropped++;
    this.#receiver.skipped(error);
  }

  /** Called by the reader for a gap between two frames, or after the last one. */
  skip(error: ProtocolError): void {
    this.#receiver.skipped(error);
  }

  /** Resolves when nothing more is read; never rejects. */
  over(): Promise<void> {
    this.#over ??= new ResettablePromise();
    return this.#over.promise;
  }

  /**
   * Throws away whatever arrives from now on, and stops reading after `most` bytes. Not to read what a peer sends would
   * reset the connection and discard what was written to it. An orderly end is therefore limited by time alone.
   */
  discard(most: number = Infinity): void {
    // The rest of the chunk counts. Bun reads up to 512 KiB at once, so a peer that floods is not read again for nothing.
    if (this.#discard === undefined) this.#discard = { most, thrown: this.#reader.left };
    else this.#discard.most = Math.min(this.#discard.most, most);
    this.#stall?.stop();
    this.#reader.end();
  }

  /**
   * Decodes and hands out a batch that begins at `now`, one frame after the other. Returns true if the chunk is used up
   * or discarded.
   */
  #batch(now: number): boolean {
    const reader = this.#reader;
    const { budget, flushes } = this.#shared;
    const turn = this.#turn ??= new Turn();
    const receivedAt = Date.now();
    flushes.begin();
    let counts = false;
    // What cannot be slowed down would only wait in memory.
    const { pressing } = this.#channel;
    try {
      if (!this.#may) return this.discarding;
      if (!pressing && budget.exhausted(turn)) return false;
      // The chunks of a turn share its budget.
      const begins = turn.id !== flushes.turn;
      if (begins) {
        turn.id = flushes.turn;
        turn.from = now;
        turn.frames = this.#frames;
      } else if (!budget.resume(this.#frames - turn.frames, turn.from, turn) && !pressing) return false;
      counts = true;
      let frame = reader.step();
      if (begins) budget.start(reader.more, now, turn);
      // A gap before a frame is reported while the frame is decoded, and the receiver may close the connection then.
      while (frame !== undefined && !this.discarding) {
        let over: boolean;
        if (frame === null) over = budget.pass();
        else {
          this.#frames++;
          this.#message = frame.code >= FIRST_APPLICATION_CODE && !isPiece(frame.flags);
          this.#receiver.frame(frame, receivedAt);
          over = budget.spend();
        }
        if ((over && !pressing || !this.#may) && reader.more) return this.discarding;
        frame = reader.step();
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#settle();
      this.#broken(error);
    } finally {
      this.#settle();
      if (counts) {
        budget.used(turn, now);
        // The chunks that follow in this turn have as much less.
        turn.from -= budget.later;
        turn.inflates = budget.inflates;
      }
    }
    return true;
  }

  /** Has what was gathered in this batch handed out. Nothing of it may wait for another chunk, which may never come. */
  #settle(): void {
    const { inbox } = this.#receiver;
    if (inbox.gathering) inbox.handOut();
  }

  /** True while frames may be handed out. */
  get #may(): boolean {
    return !this.discarding && !this.#receiver.inbox.full;
  }

  /** Called after all frames of a chunk have been handed out. */
  #received(): void {
    if (this.discarding) return;
    if (this.#reader.failure !== undefined) this.#broken(this.#reader.failure);
    else {
      if (this.#reader.partial > 0 && this.#stall?.watching !== true && !this.#away) this.#watch();
      this.#consumed?.();
    }
  }

  #watch(): void {
    (this.#stall ??= new Stall(this, this.#shared.wheel, this.#shared.clock)).watch();
  }

  #broken(error: ProtocolError): void {
    this.#events.failed(error, reasonOf(error));
  }

  /** True while this side has stopped reading. */
  get waits(): boolean {
    return this.paused || this.#receiver.inbox.full;
  }

  /** Called when an unfinished frame arrives too slowly. */
  stalled(error: ConnectionError): void {
    this.#events.failed(error, "heartbeat");
  }
}
