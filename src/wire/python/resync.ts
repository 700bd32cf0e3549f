/**
 * How a decoder finds its way back after a torn frame, where it is told to (`recovery: "resync"`): what it skips, and how
 * much it may search. It searches from inside the frame that failed for the next magic whose whole frame checks out.
 * Forged headers would make that quadratic, so that the checksums computed are counted. All counts follow from the bytes
 * alone: any cutting of a stream gives the same.
 *
 * @module
 */

import { ConfigError, ProtocolError } from "../../errors.ts";
import { crc32Range } from "../crc32.ts";
import type { FrameLosses } from "../decoder_options.ts";
import type { Protocol } from "../protocols.ts";

/** Checksums may be computed over so many bytes for each byte that came. */
const WORK = 4;

const ADVICE = "upgrade the Python side to 3.2.1, use its THREADING core there, or send smaller messages";

/** What is wrong where the work is too much. */
export const FORGED: string = `too many headers announce frames that are none; ${ADVICE}`;

/** What is wrong where a gap is longer than the limit. */
export function endless(limit: number): string {
  return `more than ${limit} bytes hold no whole frame; ${ADVICE}`;
}

/** The search of one decoder. */
export class Resync {
  /** Bytes of the stream so far; the decoder counts them up. */
  received = 0;
  /** Bytes passed over since the last whole frame. */
  gap = 0;
  /** Bytes passed over so far. */
  skipped = 0;
  /** Bytes that checksums were computed over; one that was in two of them counts twice. */
  checked = 0;
  readonly #protocol: Protocol;
  readonly #limit: number;
  readonly #losses: FrameLosses | undefined;
  /** How far into the stream bytes have earned their share of work. */
  #reach = 0;
  #allowance = 0;

  /**
   * @param protocol The wire protocol.
   * @param limit The largest frame, and the longest gap, in bytes.
   * @param losses Told of each gap, when it is over.
   * @throws {ConfigError} `invalid-config`: its frames have no magic to search for.
   */
  constructor(protocol: Protocol, limit: number, losses: FrameLosses | undefined) {
    if (protocol.magic === undefined) throw noResync(`protocol "${protocol.name}"`);
    this.#protocol = protocol;
    this.#limit = limit;
    this.#losses = losses;
  }

  /**
   * Whether a checksum over `size` bytes may be computed, of a frame that ends `behind` bytes before the end of what came.
   *
   * What earns work is how far the frames looked at reach, not what came after them: that depends on the cutting. No more
   * is saved up than four of the largest frames need, so that a long good stream does not pay for a long standstill.
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
   * Whether the header at `at` was torn in its size, and the whole frame follows: then its beginning comes anew inside it. The
   * size that it seems to announce is made of other fields, and would be waited for. A good header looks like that only
   * if its size is one certain number and its checksum repeats its beginning.
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

  /** Whether a magic begins inside the header at `at`, or may with its last byte: it does in every header that is torn. */
  restarts(bytes: Uint8Array, at: number): boolean {
    const last = at + this.#protocol.headerSize - 1;
    for (let i = at + 1; i <= last; i++) {
      if (bytes[i] === 0x56 && (i === last || bytes[i + 1] === 0x58)) return true;
    }
    return false;
  }

  /**
   * Looks for a frame that begins inside the header at `at`, in its type or size, and ends before the frame of `total` bytes
   * does that the header announces: another whole frame follows the torn part. Its header alone could stand in a good one;
   * as soon as its checksum matches the header is torn.
   *
   * Frames inside are looked at in the order in which they end, and each once: `seen` is how many bytes of the outer frame
   * were there at the last look, and `behind` how many came behind the `there` that there are now.
   *
   * @returns How many bytes of the outer frame the next look needs, or `total` if there is no next one; 0 if it is torn, -1 if
   * the work is too much.
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
   * How many bytes must be there to check the frame at `at`, or to know how many that are; `Infinity` if it can be none. The
   * checksum of an empty one means nothing: the magic after it has to vouch for it.
   */
  #reaches(view: DataView, at: number, there: number): number {
    const { headerSize, layout } = this.#protocol;
    if (there < headerSize) return headerSize;
    const size = view.getUint32(at + layout.size);
    if (headerSize + size > this.#limit || layout.flags >= 0 && view.getUint8(at + layout.flags) !== 0) return Infinity;
    return headerSize + (size === 0 ? 2 : size);
  }

  /**
   * Passes over what stands at `at`, which is no frame.
   *
   * @returns Where the next magic begins, or may begin with the last byte; the end of `bytes` if there is none;
   * `undefined` if the gap is longer than the limit by then.
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

  /** A whole frame: tells of the gap before it. */
  found(): void {
    if (this.gap > 0) this.#tell("between two frames");
  }

  /** No more frames: tells of the gap after the last, and returns how long it is. */
  end(): number {
    const { gap } = this;
    if (gap > 0) this.#tell("behind the last frame");
    return gap;
  }

  #tell(where: string): void {
    const { gap } = this;
    this.gap = 0;
    this.#losses?.skip?.(new ProtocolError("corrupt", `Skipped ${gap} bytes ${where}: no whole frame is in them`));
  }
}

/** The error where `what` leaves nothing to search for. */
export function noResync(what: string): ConfigError {
  return new ConfigError(
    "invalid-config",
    `${what} goes without recovery: "resync": only the Python releases from 1.7 on begin their frames with a magic`,
  );
}
