/**
 * Reads one connection: it takes chunks and hands out frames, one batch at a time. A frame that begins and does not go on
 * ends the connection.
 *
 * @module
 */

import { type ConnectionError, ProtocolError } from "../errors.ts";
import type { ChunkReader } from "../transport.ts";
import type { Channel } from "./channel.ts";
import { type CloseReason, reasonOf } from "./close_reason.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
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
  /** True while no more messages can be taken: then nothing is read. */
  readonly full: boolean;
  /** Settles when more can be taken, or when nothing more comes. */
  room(): Promise<void>;
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
  /** Called when the connection fails, or the peer breaks the protocol. The latter has a `ProtocolError`. */
  failed(error: Error, reason: CloseReason): void;
}

/** Bytes that are read only to be thrown away: the most, and so far. */
interface Discard {
  most: number;
  thrown: number;
}

/** What all frame sources of a Server or a Client share. */
export interface FrameSourceShared {
  /** The time. */
  readonly clock: Clock;
  /** Runs the checks of unfinished frames. */
  readonly wheel: TimerWheel;
  /** Shares the time among the connections. */
  readonly budget: BatchBudget;
  /** The turns in which writes are gathered. */
  readonly flushes: FlushQueue;
}

/** The last turn in which a connection handed out frames, and its part of the rounds. */
class Turn implements Share {
  id = -1;
  /** When it began, and after how many frames. */
  from = 0;
  frames = 0;
  round = -1;
  used = 0;
  usedBefore: number = Infinity;
}

/** Reads one connection. */
export class FrameSource implements BatchWaiter, ChunkReader, FrameLosses, StallHost {
  readonly channel: Channel;
  readonly #shared: FrameSourceShared;
  readonly #receiver: FrameReceiver;
  readonly #events: FrameSourceEvents;
  readonly #reader: FrameReader;
  /** Made when the end is waited for, or there. */
  #over: ResettablePromise | undefined = undefined;
  /** The next chunk is asked for just now: whether it was there already, and is done with. */
  #asking: "done" | "not yet" | undefined = undefined;
  #discard: Discard | undefined = undefined;
  /** When the last bytes came, or when reading went on, by the clock. */
  lastRead: number;
  /** What came and is not handed out yet: nothing is read until it is. */
  #rest: Uint8Array | undefined = undefined;
  #bytes = 0;
  #frames = 0;
  /** Made with the first frame: most connections are idle. */
  #turn: Turn | undefined = undefined;
  #dropped = 0;
  /** Made when a frame does not come as a whole. */
  #stall: Stall | undefined = undefined;

  /**
   * @param channel What to read.
   * @param protocol How frames look.
   * @param maxMessageSize The largest frame taken, in bytes.
   * @param recovery What a torn stream does, where frames have a magic.
   * @param features The flags that frames may carry beside those of the protocol.
   * @param shared Time, and whose turn it is.
   * @param events Who takes what comes.
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
    this.channel = channel;
    this.#shared = shared;
    this.#receiver = receiver;
    this.#events = events;
    this.lastRead = shared.clock.now();
    const search = protocol.magic === undefined ? "close" : recovery;
    this.#reader = new FrameReader(protocol, { maxMessageSize, recovery: search }, features, this);
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

  /** What comes as a whole, or was passed over: it grows with each. */
  get steps(): number {
    return this.#reader.count + this.#reader.skipped;
  }

  /** Bytes skipped between frames so far. */
  get skipped(): number {
    return this.#reader.skipped;
  }

  /** Bytes of a frame that is not whole yet. */
  get partial(): number {
    return this.#reader.partial;
  }

  /** True while nothing is read, because what came has not been handed out yet. */
  get paused(): boolean {
    return this.#rest !== undefined;
  }

  /** True while everything that comes is thrown away. */
  get discarding(): boolean {
    return this.#discard !== undefined;
  }

  /** Reads until the end. */
  run(): void {
    this.#read();
  }

  /** Called by the connection. */
  received(chunk: Uint8Array | null, error?: unknown): void {
    if (error !== undefined) this.#lost(error);
    else if (chunk === null) this.#finish();
    else {
      this.#bytes += chunk.length;
      this.lastRead = this.#shared.clock.now();
      if (this.#discard !== undefined) {
        this.#discard.thrown += chunk.length;
        this.channel.recycle(chunk);
        // It takes a turn of others to throw away what may be a flood.
        this.#shared.budget.wait(this);
      } else this.#take(chunk);
    }
  }

  /** Asks for the next chunk, again and again while one is there at once. */
  #read(): void {
    let more: boolean;
    do {
      if (this.#discard !== undefined && this.#discard.thrown > this.#discard.most) return this.#end();
      this.#asking = "not yet";
      this.channel.readTo(this);
      more = (this.#asking as string) === "done";
      this.#asking = undefined;
    } while (more);
  }

  /** Hands out a chunk and reads on. */
  #take(chunk: Uint8Array): void {
    this.#reader.feed(chunk);
    this.#hand(chunk, this.lastRead);
  }

  /** Hands out a batch of a chunk that begins `now`; what is left follows when the others had their turn. */
  #hand(chunk: Uint8Array, now: number): void {
    try {
      if (!this.#batch(now)) {
        this.#rest = chunk;
        if (this.#receiver.inbox.full) void this.#receiver.inbox.room().then(() => this.proceed());
        else this.#shared.budget.wait(this, this.#turn);
        return;
      }
      if (this.#rest !== undefined) {
        // The peer's silence meanwhile is ours.
        this.#rest = undefined;
        this.lastRead = this.#shared.clock.now();
        if (this.#stall?.watching === true) this.#stall.watch();
      }
      this.#received();
    } catch (error) {
      this.#lost(error);
      return;
    }
    this.#taken(chunk);
  }

  /** Goes on with the chunk that waited, or reads the next one. */
  proceed(): void {
    if (this.#rest === undefined) this.#read();
    else this.#hand(this.#rest, this.#shared.clock.now());
  }

  #taken(chunk: Uint8Array): void {
    if (!this.#reader.lent) this.channel.recycle(chunk);
    if (this.#asking === undefined) this.#read();
    else this.#asking = "done";
  }

  #finish(): void {
    try {
      this.#reader.end();
      this.#events.finished(this.discarding ? 0 : this.#reader.partial);
      this.#end();
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    this.#reader.end();
    this.#events.failed(error as Error, reasonOf(error));
    this.#end();
  }

  #end(): void {
    (this.#over ??= new ResettablePromise()).release();
  }

  /** Called by the reader. */
  drop(error: ProtocolError): void {
    this.#dropped++;
    this.#receiver.skipped(error);
  }

  /** Called by the reader. */
  skip(error: ProtocolError): void {
    this.#receiver.skipped(error);
  }

  /** Resolves when nothing more is read. Never rejects. */
  over(): Promise<void> {
    this.#over ??= new ResettablePromise();
    return this.#over.promise;
  }

  /**
   * From now on what comes is read only to be thrown away: `most` bytes of it. To stop reading a peer that sends resets the
   * connection and takes down what was written to it; so an orderly end is limited by time alone.
   */
  discard(most: number = Infinity): void {
    if (this.#discard === undefined) this.#discard = { most, thrown: 0 };
    else this.#discard.most = Math.min(this.#discard.most, most);
    this.#stall?.stop();
    this.#reader.end();
  }

  /**
   * Decodes and hands out a batch that begins `now`, one frame after the other; whether the chunk is used up, which what is
   * discarded is.
   */
  #batch(now: number): boolean {
    const reader = this.#reader;
    const { budget, flushes } = this.#shared;
    const turn = this.#turn ??= new Turn();
    const receivedAt = Date.now();
    flushes.begin();
    let counts = false;
    try {
      if (!this.#may) return this.discarding;
      if (budget.exhausted(turn)) return false;
      // The chunks of a turn share its budget.
      const begins = turn.id !== flushes.turn;
      if (begins) {
        turn.id = flushes.turn;
        turn.from = now;
        turn.frames = this.#frames;
      } else if (!budget.resume(this.#frames - turn.frames, turn.from, turn)) return false;
      counts = true;
      let frame = reader.step();
      if (begins) budget.start(reader.more, now, turn);
      // A gap before a frame is told of while it is read: whoever hears of it may close.
      while (frame !== undefined && !this.discarding) {
        let over: boolean;
        if (frame === null) over = budget.pass();
        else {
          this.#frames++;
          this.#receiver.frame(frame, receivedAt);
          over = budget.spend();
        }
        if ((over || !this.#may) && reader.more) return this.discarding;
        frame = reader.step();
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#broken(error);
    } finally {
      if (counts) budget.used(turn, now);
    }
    return true;
  }

  /** True while frames may be handed out. */
  get #may(): boolean {
    return !this.discarding && !this.#receiver.inbox.full;
  }

  /** After all frames of a chunk. */
  #received(): void {
    if (this.discarding) return;
    if (this.#reader.failure !== undefined) this.#broken(this.#reader.failure);
    else if (this.#reader.partial > 0 && this.#stall?.watching !== true) {
      (this.#stall ??= new Stall(this, this.#shared.wheel, this.#shared.clock)).watch();
    }
  }

  #broken(error: ProtocolError): void {
    this.#events.failed(error, reasonOf(error));
  }

  /** True while this side is the one that does not read. */
  get waits(): boolean {
    return this.paused || this.#receiver.inbox.full;
  }

  /** The frame that was begun does not go on. */
  stalled(error: ConnectionError): void {
    this.#events.failed(error, "heartbeat");
  }
}
