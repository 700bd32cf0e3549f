/**
 * The sending direction of a stream. Its pieces are made when there is room for them in the outgoing buffer, and when
 * the peer has granted enough. The first small write of a turn is a piece of its own. Those after it are gathered, and
 * are a piece together at the end of the turn.
 *
 * @module
 */

import { concat } from "../../../base/concat.ts";
import { PayloadError, ProtocolError } from "../../../errors.ts";
import type { Flushable } from "../../../link/flush_queue.ts";
import type { PulledSource, PushedSource } from "../../../link/pulled_sources.ts";
import type { DirectionState, StreamWriter } from "../../streams.ts";

/** The largest balance of a stream, in bytes. */
const MAX_BALANCE = 0x7fffffff;
/** Writes of at most so many bytes are gathered. */
const SMALL = 4_096;
/** The most bytes that are gathered for one piece. */
const BATCH = 16_384;
/** The least size of the buffer for them. */
const LEAST_BATCH = 1_024;

/** The stream of a {@linkcode Sending}. */
export interface SendingStream {
  /** False while the opening of the stream still waits for credit. */
  readonly released: boolean;
  /** Sends a piece; the last one if `end` is true. */
  sendPiece(content: Uint8Array, end: boolean): void;
  /** Ends the stream because of an error. */
  abort(error: unknown): void;
}

/** What the streams of a session share for sending. */
export interface SendingShared {
  /** The most bytes of a piece. */
  readonly maxPiece: number;
  readonly theirs: {
    /** How much may be sent at first, in bytes. */
    readonly window: number;
    /** What a piece costs at least, in bytes. */
    readonly least: number;
  };
  /** Lets a source send when there is room. */
  pull(source: PulledSource): void;
  /** Returns whether there is room for `bytes` that are sent at the end of the turn, and counts them. */
  gathers(bytes: number): boolean;
  /** Called when such bytes no longer wait. */
  gathered(bytes: number): void;
  /** Flushes a source at the end of the turn. */
  later(source: Flushable): void;
  /** Does so no more. */
  notLater(source: Flushable): void;
  /** Lets a source send what it has gathered. Returns false if nothing is sent any more. */
  push(source: PushedSource): boolean;
}

const NOTHING = new Uint8Array(0);

/** The sending direction of a stream. */
export class Sending implements StreamWriter, PulledSource, PushedSource, Flushable {
  state: DirectionState = "open";
  error: unknown = undefined;
  onFailure: (() => void) | undefined = undefined;
  readonly #stream: SendingStream;
  readonly #shared: SendingShared;
  #balance: number;
  #chunk: Uint8Array | undefined = undefined;
  /** The size of the chunk when it was written. A program may take its buffer away meanwhile. */
  #size = 0;
  #at = 0;
  #ending = false;
  #settle: PromiseWithResolvers<void> | undefined = undefined;
  /** The small writes of this turn, and their bytes. */
  #batch: Uint8Array = NOTHING;
  #gathered = 0;
  /** True if it is flushed at the end of this turn. */
  #gathering = false;
  /** True while it is among the sources that are asked for frames. */
  #asked = false;

  constructor(stream: SendingStream, shared: SendingShared) {
    this.#stream = stream;
    this.#shared = shared;
    this.#balance = shared.theirs.window;
  }

  write(bytes: Uint8Array, before: Uint8Array = NOTHING): Promise<void> | undefined {
    if (this.state !== "open") return Promise.reject(this.error);
    if (bytes.length + before.length === 0 || this.#gather(bytes, before)) return undefined;
    this.#chunk = concat(before, bytes);
    this.#size = this.#chunk.length;
    this.#at = 0;
    this.#ask();
    return this.#wait();
  }

  end(): Promise<void> | undefined {
    if (this.state === "ended") return undefined;
    if (this.state === "failed") return Promise.reject(this.error);
    this.#ending = true;
    if (this.#chunk === undefined) this.#at = this.#size = 0;
    this.#ask();
    return this.#wait();
  }

  pull(): boolean {
    if (this.state === "open" && !this.#stream.released) return true;
    if (this.#can) this.#next();
    return this.#asked = this.#can;
  }

  /** Called when the peer grants `bytes` more. */
  grant(bytes: number): void {
    if (this.state !== "open") return;
    this.#balance += bytes;
    if (this.#balance > MAX_BALANCE) {
      throw new ProtocolError("protocol-error", "The peer granted more than 2147483647 bytes for a stream");
    }
    this.#ask();
  }

  flush(): void {
    this.#gathering = this.#gathered > 0 && this.#shared.push(this);
    if (this.#gathering) return this.#shared.later(this);
    // Nothing is sent any more once FIN is. If it were tried again, no other turn would come, and so no end.
    this.#take();
    this.#batch = NOTHING;
  }

  push(): void {
    if (this.state === "open" && this.#gathered > 0) this.#next();
  }

  /** Sends what was gathered, so that nothing overtakes it. */
  pushAll(): void {
    if (this.#gathered > 0) this.#shared.push(this);
  }

  /** Sends nothing more. What waits is dropped. */
  fail(error: unknown): void {
    if (this.state !== "open") return;
    this.state = "failed";
    this.error = error;
    this.#take();
    this.#batch = NOTHING;
    if (this.#gathering) this.#shared.notLater(this);
    this.#chunk = undefined;
    this.#settle?.reject(error);
    this.#settle = undefined;
    this.onFailure?.();
  }

  /** True if there is something to send, and the peer has granted enough for it. */
  get #can(): boolean {
    if (this.state !== "open") return false;
    // The balance covers what was gathered.
    if (this.#gathered > 0) return true;
    return this.#chunk === undefined ? this.#ending : this.#balance >= Math.max(1, this.#shared.theirs.least);
  }

  /** Sends the next piece. */
  #next(): void {
    if (this.#gathered > 0) {
      const batch = this.#take();
      this.#send(batch, this.#chunk === undefined && this.#ending);
      return;
    }
    const chunk = this.#chunk ?? NOTHING;
    const from = this.#at;
    const size = Math.min(this.#size - from, this.#shared.maxPiece, this.#balance);
    const last = from + size === this.#size;
    this.#at += size;
    if (last) this.#chunk = undefined;
    if (chunk.length < this.#size) {
      this.#stream.abort(new TypeError("Cannot send a piece: its buffer was detached or shrunk"));
      return;
    }
    this.#send(size === chunk.length ? chunk : chunk.subarray(from, from + size), last && this.#ending);
    if (!last || this.state === "failed") return;
    this.#settle?.resolve();
    this.#settle = undefined;
  }

  #send(piece: Uint8Array, end: boolean): void {
    if (piece.length > 0) this.#balance -= Math.max(piece.length, this.#shared.theirs.least);
    try {
      if (piece.length < 1 && !end) {
        throw new PayloadError("payload-too-large", "Cannot send a piece: the peer takes none");
      }
      this.#stream.sendPiece(piece, end);
    } catch (error) {
      this.#stream.abort(error);
      return;
    }
    if (!end) return;
    this.state = "ended";
    this.#settle?.resolve();
    this.#settle = undefined;
  }

  /** Gathers a small write, if it can be sent at the end of this turn. Returns false if it is to be sent by itself. */
  #gather(bytes: Uint8Array, before: Uint8Array): boolean {
    const { maxPiece, theirs } = this.#shared;
    const size = bytes.length + before.length;
    const most = Math.min(BATCH, maxPiece);
    if (size > Math.min(SMALL, most) || this.#asked || this.#ending) return false;
    if (!this.#gathering) {
      this.#gathering = true;
      this.#shared.later(this);
      return false;
    }
    if (this.#gathered + size > most) this.#shared.push(this);
    const at = this.#gathered;
    const end = at + size;
    // Nothing is sent any more once the connection is over.
    if (end > most || Math.max(end, theirs.least, 1) > this.#balance || !this.#shared.gathers(size)) return false;
    if (end > this.#batch.length) {
      const grown = new Uint8Array(Math.min(BATCH, Math.max(LEAST_BATCH, 4 * end)));
      grown.set(this.#batch.subarray(0, at));
      this.#batch = grown;
    }
    for (let i = 0; i < before.length; i++) this.#batch[at + i] = before[i];
    this.#batch.set(bytes, at + before.length);
    this.#gathered = end;
    return true;
  }

  /** Returns what was gathered, which no longer waits. */
  #take(): Uint8Array {
    const size = this.#gathered;
    this.#shared.gathered(size);
    this.#gathered = 0;
    return this.#batch.subarray(0, size);
  }

  #ask(): void {
    if (this.#asked || !this.#can) return;
    this.#asked = true;
    this.#shared.pull(this);
  }

  #wait(): Promise<void> | undefined {
    if (this.state === "failed") return Promise.reject(this.error);
    if (this.state === "ended" || this.#chunk === undefined && !this.#ending) return undefined;
    this.#settle ??= Promise.withResolvers();
    return this.#settle.promise;
  }
}
