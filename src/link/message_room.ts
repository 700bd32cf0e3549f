/**
 * Decides which messages of one connection are refused for lack of room, and lets callers wait until there is room.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import { Waiters } from "../base/waiters.ts";
import type { BufferLimits, RoomWaiter, TotalBuffer } from "./total_buffer.ts";

/** The outgoing buffer of the connection. */
export interface MessageRoomOwner {
  /** The number of bytes that wait to be sent. */
  readonly buffered: number;
  /** True while no message should be sent. */
  readonly full: boolean;
}

/** Lets callers wait until a message of the size that was refused can be taken. */
export class MessageRoom implements RoomWaiter {
  readonly #owner: MessageRoomOwner;
  readonly #total: TotalBuffer;
  readonly #waiters = new Waiters();
  /** The size of the largest message that was refused since the callers last went on, in bytes. */
  #refused = 0;

  constructor(owner: MessageRoomOwner, total: TotalBuffer) {
    this.#owner = owner;
    this.#total = total;
  }

  /** The room that a refused message lacks, in bytes. */
  get lacks(): number {
    return this.#refused;
  }

  /** True while somebody waits. */
  get awaited(): boolean {
    return this.#waiters.size > 0;
  }

  /** Called when a message of `size` bytes was refused. */
  refuse(size: number): void {
    this.#refused = Math.max(this.#refused, size);
  }

  /** Resolves when there is room. */
  wait(): Promise<void> {
    return this.#waiters.wait();
  }

  /** Lets the callers that wait go on. Returns false while all connections together have no room for them. */
  retry(): boolean {
    // The connection calls `retry` again once its own buffer is no longer full.
    if (this.#owner.full) return true;
    if (!this.#total.takesMessage(this.#owner.buffered, this.#refused)) {
      this.#total.waitFor("message", this);
      return false;
    }
    this.#refused = 0;
    this.#waiters.release();
    return true;
  }

  /** Called when the connection is over. Lets the callers that wait go on. */
  close(): void {
    this.#total.leave(this);
    this.#waiters.release();
  }
}

/**
 * Returns the error for a message of `size` bytes if there is no room for it. Connections that take their bytes too slowly
 * are closed to make room, and `owner` may be one of them.
 */
export function refusalOf(
  size: number,
  owner: MessageRoomOwner,
  limits: BufferLimits,
  total: TotalBuffer,
): BackpressureError | undefined {
  const { buffered } = owner;
  // Up to the high-water mark, one message of any size is taken, because `send` has said that more may be sent.
  if (buffered > limits.highWaterMark && buffered + size > limits.maxBufferedBytes) {
    return new BackpressureError(
      "buffer-full",
      `Cannot take the message: ${buffered} bytes wait for this peer already, await ready() first`,
    );
  }
  if (total.takesMessage(buffered, size)) return undefined;
  total.press(size);
  // A slow connection may have been closed to make room.
  if (total.takesMessage(owner.buffered, size)) return undefined;
  return new BackpressureError(
    "total-buffer-full",
    `Cannot take the message: ${total.buffered} bytes wait for all peers together`,
  );
}
