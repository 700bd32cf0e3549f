/**
 * Finds the next frame after a torn one, with `recovery: "resync"`. It decides what is skipped, and how much may be
 * searched. The search begins inside the frame that failed. It looks for the next magic that begins a complete frame
 * with a matching checksum. Forged headers would make that quadratic, so the work of the checksums is limited. All
 * counts follow from the bytes alone: any chunking of a stream gives the same result.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import { crc32Range } from "../crc32.ts";
import { type FrameLosses, noResync } from "../decoder_options.ts";
import type { Protocol } from "../protocols.ts";

/** The number of bytes that checksums may be computed over for each byte received. */
const WORK = 4;

const ADVICE = "upgrade the Python side to 3.2.1, use its THREADING core there, or send smaller messages";

/** The fault of a stream whose search takes too much work. */
export const FORGED: string = `too many headers announce frames that are none; ${ADVICE}`;

/** Returns the fault of a stream with a gap longer than `limit`, in bytes. */
export function endless(limit: number): string {
  return `more than ${limit} bytes hold no whole frame; ${ADVICE}`;
}

/** The search of one decoder. */
export class Resync {
  /** The number of bytes of the stream so far. The decoder updates it. */
  received = 0;
  /** The number of bytes skipped since the last complete frame. */
  gap = 0;
  /** The number of bytes skipped so far. */
  skipped = 0;
  /** The number of bytes that checksums were computed over. A byte covered by two checksums counts twice. */
  checked = 0;
  readonly #protocol: Protocol;
  readonly #limit: number;
  readonly #losses: FrameLosses | undefined;
  /** The position in the stream up to which bytes have added to the allowance. */
  #reach = 0;
  #allowance = 0;

  /**
   * @param protocol The wire protocol.
   * @param limit The largest frame, and the longest gap, in bytes.
   * @param losses Receives each gap once it has ended.
   * @throws {ConfigError} `invalid-config`: frames of the protocol have no magic to search for.
   */
  constructor(protocol: Protocol, limit: number, losses: FrameLosses | undefined) {
    if (protocol.magic === undefined) throw noResync(`protocol "${protocol.name}"`);
    this.#protocol = protocol;
    this.#limit = limit;
    this.#losses = losses;
  }

  /**
   * Returns whether a checksum over `size` bytes may be computed, for a frame that ends `behind` bytes before the end
   * of what has arrived.
   *
   * The allowance grows with the furthest position that a checked frame reaches, not with the bytes that arrived after
   * it, because those depend on the chunking. It is capped at four times the largest frame, so that a long intact
   * stream does not allow for a long standstill later.
   */
  affords(size: number, behind: number): boolean {
    const end = this.received - behind;
    if (end > this.#reach) {
      this.#allowance = Math.min(WORK * this.#limit, this.#allowance + WORK * (end - this.#reach));
      this.#reach = end;
    }
    if (size > this.#allowance) return false;
    this.#allowance -= size;
    this.checked += size;
    return true;
  }

  /**
   * Returns whether the header at `at` was torn in its size field and the complete frame follows. The beginning of the
   * header then appears a second time inside it. The size that it seems to announce consists of other fields, and the
   * reader would wait for that many bytes. A good header looks like that only if its size is one particular number and
   * its checksum repeats its beginning.
   */
  torn(bytes: Uint8Array, at: number): boolean {
    const { headerSize, layout } = this.#protocol;
    for (let length = layout.size + 1; length < layout.size + 4; length++) {
      const end = Math.min(2 * length, headerSize);
      let same = length;
      while (same < end && bytes[at + same] === bytes[at + same - length]) same++;
      if (same === end) return true;
    }
    return false;
  }

  /**
   * Returns whether a magic begins inside the header at `at`, or may begin with its last byte. It does in every torn
   * header.
   */
  restarts(bytes: Uint8Array, at: number): boolean {
    const last = at + this.#protocol.headerSize - 1;
    for (let i = at + 1; i <= last; i++) {
      if (bytes[i] === 0x56 && (i === last || bytes[i + 1] === 0x58)) return true;
    }
    return false;
  }

  /**
   * Looks for an inner frame, which begins in the type or size field of the header at `at` and ends before the outer
   * frame of `total` bytes that the header announces. If there is one, the outer header is torn and a complete frame
   * follows the torn part. The header of an inner frame proves nothing, since a good outer header could contain the
   * same bytes. Only its matching checksum proves that the outer header is torn.
   *
   * Inner frames are checked in the order in which they end, each once. `seen` is the number of bytes of the outer
   * frame that had arrived at the last check. `behind` is the number of bytes that arrived after the `there` bytes of
   * now.
   *
   * @returns The number of bytes of the outer frame that the next check needs, or `total` if there is no further check;
   * 0 if the header is torn; -1 if the search takes too much work.
   */
  wait(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    there: number,
    total: number,
    seen: number,
    behind: number,
  ): number {
    const { headerSize, layout } = this.#protocol;
    for (let passed = seen;;) {
      let next = total;
      let inner = 0;
      for (let i = layout.code; i < layout.size + 4; i++) {
        if (bytes[at + i] !== 0x56 || bytes[at + i + 1] !== 0x58) continue;
        const end = i + this.#reaches(view, at + i, there - i);
        if (end > passed && end < next) [next, inner] = [end, i];
      }
      if (next > there || next === total) return next;
      passed = next;
      const start = at + inner + headerSize;
      const size = view.getUint32(at + inner + layout.size);
      if (!this.affords(size, behind + there - next)) return -1;
      const digest = view.getUint32(at + inner + layout.digest);
      if (size > 0) {
        if (crc32Range(view, start, size, 0, undefined) === digest) return 0;
      } else if (digest === 0 && bytes[start] === 0x56 && bytes[start + 1] === 0x58) return 0;
    }
  }

  /**
   * Returns the number of bytes needed to check the frame at `at`, or to find out how many are needed; `Infinity` if it
   * cannot be a frame. The checksum of an empty frame proves nothing, so the next magic has to follow it.
   */
  #reaches(view: DataView, at: number, there: number): number {
    const { headerSize, layout } = this.#protocol;
    if (there < headerSize) return headerSize;
    const size = view.getUint32(at + layout.size);
    if (headerSize + size > this.#limit || layout.flags >= 0 && view.getUint8(at + layout.flags) !== 0) return Infinity;
    return headerSize + (size === 0 ? 2 : size);
  }

  /**
   * Skips what begins at `at`, which is no frame.
   *
   * @returns The index where the next magic begins, or may begin with the last byte; the end of `bytes` if there is
   * none; `undefined` if the gap becomes longer than the limit before that.
   */
  next(bytes: Uint8Array, at: number): number | undefined {
    const last = bytes.length - 1;
    const longest = at + this.#limit - this.gap + 1;
    let next = at + 1;
    for (; next < longest; next++) {
      if (next > last || bytes[next] === 0x56 && (next === last || bytes[next + 1] === 0x58)) break;
    }
    this.gap += next - at;
    this.skipped += next - at;
    return this.gap > this.#limit ? undefined : next;
  }

  /** Called when a complete frame is found. Reports the gap before it. */
  found(): void {
    if (this.gap > 0) this.#tell("between two frames");
  }

  /** Called when no more frames follow. Reports the gap after the last one, and returns its length in bytes. */
  end(): number {
    const { gap } = this;
    if (gap > 0) this.#tell("after the last frame");
    return gap;
  }

  #tell(where: string): void {
    const { gap } = this;
    this.gap = 0;
    this.#losses?.skip?.(new ProtocolError("corrupt", `Skipped ${gap} bytes ${where}: no whole frame is in them`));
  }
}
