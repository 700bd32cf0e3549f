/**
 * Encodes frames into the segments of a scheduler.
 *
 * @module
 */

import { usesWhole } from "../wire/crc32.ts";
import { sealFrame } from "../wire/encoder.ts";
import { viewOf } from "../wire/integers.ts";
import type { Protocol } from "../wire/protocols.ts";
import { MOST_ROOM, SHARE_FROM } from "./segments.ts";
import { MESSAGE, type Priority, type SendScheduler } from "./send_scheduler.ts";

/**
 * Encodes a frame of `total` bytes, header included. `alone` is true if it is written at once, and `cost` is what it costs in
 * credit.
 */
export function encodeBytes(
  scheduler: SendScheduler,
  protocol: Protocol,
  code: number,
  flags: number,
  requestId: number | string,
  content: Uint8Array,
  sentAt: number,
  total: number,
  priority: Priority,
  alone: boolean,
  cost: number,
): void {
  const { headerSize, maxFrameSize } = protocol;
  const size = total - headerSize;
  // Another thread may write to a shared buffer meanwhile, or grow it. The checksum is therefore that of the copy. That of
  // a short content always is, so it is not asked for its buffer, which takes as long as copying it.
  const shared = usesWhole(size) && !(content.buffer instanceof ArrayBuffer);
  const source = shared ? content.subarray(0, size) : content;
  if (isLarge(protocol, size)) {
    encodePieces(
      scheduler,
      protocol,
      code,
      flags,
      requestId,
      shared ? new Uint8Array(source) : source,
      sentAt,
      priority,
      cost,
    );
    return;
  }
  const segment = scheduler.room(total, priority, alone);
  const at = segment.used;
  copyTo(segment.bytes, at + headerSize, source, size);
  sealFrame(protocol, segment.buffer.view, at, code, flags, requestId, size, sentAt, shared ? undefined : content);
  segment.used = at + total;
  scheduler.add(total, priority, cost);
  if (maxFrameSize !== undefined) scheduler.seal();
}

/** Copies the first `size` bytes of `source`, which was no longer than that when it was asked. */
function copyTo(target: Uint8Array, at: number, source: Uint8Array, size: number): void {
  try {
    target.set(source, at);
  } catch {
    // Another thread has made it longer meanwhile.
    target.set(source.subarray(0, size), at);
  }
}

/**
 * Returns whether a payload of `size` bytes and its header fit into no buffer of the pool. It is copied in pieces, or, if it
 * was given away, not at all. For smaller ones, a write of their own would take longer than the copy.
 */
export function isLarge({ headerSize, integrity }: Protocol, size: number): boolean {
  return headerSize + size > MOST_ROOM && integrity !== "sha256";
}

/** Encodes a message whose payload is written from where it lies. Nobody changes its bytes. */
export function encodeShared(
  scheduler: SendScheduler,
  protocol: Protocol,
  code: number,
  requestId: number | string,
  content: Uint8Array,
  sentAt: number,
  alone: boolean,
): void {
  const { headerSize } = protocol;
  const segment = scheduler.room(headerSize, MESSAGE, alone);
  sealFrame(protocol, segment.buffer.view, segment.used, code, 0, requestId, content.length, sentAt, content);
  segment.used += headerSize;
  scheduler.shareBehind(content, headerSize);
}

/** A whole frame. Nobody changes its bytes, and several connections may send them. */
export interface EncodedFrame {
  readonly bytes: Uint8Array;
  /** What it costs in credit, in bytes. */
  readonly cost: number;
}

/** Encodes a frame that waits by itself. Does not check its arguments. */
export function encodeAlone(
  protocol: Protocol,
  code: number,
  flags: number,
  requestId: number | string,
  content: Uint8Array,
  sentAt: number,
): Uint8Array {
  const { headerSize } = protocol;
  const size = content.length;
  const bytes = new Uint8Array(headerSize + size);
  // Another thread may make a shared buffer longer meanwhile. The checksum is that of the copy.
  bytes.set(content.subarray(0, size), headerSize);
  sealFrame(protocol, viewOf(bytes), 0, code, flags, requestId, size, sentAt);
  return bytes;
}

/** Encodes a large frame in pieces, so that the memory of each piece is freed as soon as the piece is sent. */
function encodePieces(
  scheduler: SendScheduler,
  protocol: Protocol,
  code: number,
  flags: number,
  requestId: number | string,
  bytes: Uint8Array,
  sentAt: number,
  priority: Priority,
  cost: number,
): void {
  const { headerSize } = protocol;
  const size = bytes.length;
  for (let from = 0; from < size;) {
    const before = from === 0 ? headerSize : 0;
    const part = Math.min(MOST_ROOM - before, size - from);
    const segment = scheduler.room(before + part, priority, false);
    const at = segment.used;
    segment.bytes.set(bytes.subarray(from, from + part), at + before);
    if (from === 0) sealFrame(protocol, segment.buffer.view, at, code, flags, requestId, size, sentAt, bytes);
    segment.used = at + before + part;
    from += part;
  }
  scheduler.add(headerSize + size, priority, cost);
}

/** Queues frames that are encoded already and that nobody will change. */
export function queueEncoded(
  scheduler: SendScheduler,
  protocol: Protocol,
  bytes: Uint8Array,
  alone: boolean,
  cost: number,
): void {
  if (bytes.length >= SHARE_FROM) {
    scheduler.share(bytes, cost);
    return;
  }
  const segment = scheduler.room(bytes.length, MESSAGE, alone);
  segment.bytes.set(bytes, segment.used);
  segment.used += bytes.length;
  scheduler.add(bytes.length, MESSAGE, cost);
  if (protocol.maxFrameSize !== undefined) scheduler.seal();
}
