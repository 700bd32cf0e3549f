/**
 * The sending direction of a stream. Its pieces are made when there is room for them in the outgoing buffer, and when
 * the peer has granted enough.
 *
 * @module
 */

import { PayloadError, ProtocolError } from "../../../errors.ts";
import type { PulledSource } from "../../../link/pulled_sources.ts";
import type { DirectionState, StreamWriter } from "../../streams.ts";

/** The largest balance of a stream, in bytes. */
const MAX_BALANCE = 0x7fffffff;

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
}

const NOTHING = new Uint8Array(0);

/** The sending direction of a stream. */
export class Sending implements StreamWriter, PulledSource {
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
  /** True while it is among the sources that are asked for frames. */
  #asked = false;

  constructor(stream: SendingStream, shared: SendingShared) {
    this.#stream = stream;
    this.#shared = shared;
    this.#balance = shared.theirs.window;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.state !== "open") return Promise.reject(this.error);
    if (bytes.length === 0) return undefined;
    this.#chunk = bytes;
    this.#size = bytes.length;
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

  /** Sends nothing more. What waits is dropped. */
  fail(error: unknown): void {
    if (this.state !== "open") return;
    this.state = "failed";
    this.error = error;
    this.#chunk = undefined;
    this.#settle?.reject(error);
    this.#settle = undefined;
    this.onFailure?.();
  }

  /** True if there is something to send, and the peer has granted enough for it. */
  get #can(): boolean {
    if (this.state !== "open") return false;
    return this.#chunk === undefined ? this.#ending : this.#balance >= Math.max(1, this.#shared.theirs.least);
  }

  /** Sends the next piece. */
  #next(): void {
    const chunk = this.#chunk ?? NOTHING;
    const { maxPiece, theirs } = this.#shared;
    const from = this.#at;
    const size = Math.min(this.#size - from, maxPiece, this.#balance);
    const last = from + size === this.#size;
    this.#at += size;
    if (size > 0) this.#balance -= Math.max(size, theirs.least);
    if (last) this.#chunk = undefined;
    const end = last && this.#ending;
    try {
      if (size < 1 && !end) throw new PayloadError("payload-too-large", "Cannot send a piece: the peer takes none");
      if (chunk.length < this.#size) throw new TypeError("Cannot send a piece: its buffer was detached or shrunk");
      this.#stream.sendPiece(size === chunk.length ? chunk : chunk.subarray(from, from + size), end);
    } catch (error) {
      this.#stream.abort(error);
      return;
    }
    if (end) this.state = "ended";
    if (!last) return;
    this.#settle?.resolve();
    this.#settle = undefined;
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
