/**
 * Encodes frames into the segments of a scheduler.
 *
 * @module
 */

import { sealFrame } from "../wire/encoder.ts";
import { viewOf } from "../wire/integers.ts";
import type { Protocol } from "../wire/protocols.ts";
import { WRITE_SLICE } from "./backlog.ts";
import { SHARE_FROM } from "./segments.ts";
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
  const { headerSize, integrity, maxFrameSize } = protocol;
  // Another thread may write to a shared buffer meanwhile, or grow it. The checksum is therefore that of the copy.
  const shared = !(content.buffer instanceof ArrayBuffer);
  const size = total - headerSize;
  const source = shared ? content.subarray(0, size) : content;
  if (total > WRITE_SLICE && integrity !== "sha256") {
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
  segment.bytes.set(source, at + headerSize);
  sealFrame(protocol, segment.buffer.view, at, code, flags, requestId, size, sentAt, shared ? undefined : content);
  segment.used = at + total;
  scheduler.add(total, priority, cost);
  if (maxFrameSize !== undefined) scheduler.seal();
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
    const part = Math.min(WRITE_SLICE - before, size - from);
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
