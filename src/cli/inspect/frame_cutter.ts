/**
 * Cuts one direction of a connection into frames for people to look at. It uses the checks and the decoder of `src/wire`,
 * one frame at a time, so that it knows where each frame lies, and goes on after damage: behind a frame whose size can be
 * trusted, else at the next frame whose checksum matches.
 *
 * @module
 */

import { FrameDecoder } from "../../wire/decoder.ts";
import type { NegotiatedFlags } from "../../wire/decoder_options.ts";
import { type HeaderFault, headerFault } from "../../wire/header.ts";
import { get32, viewOf } from "../../wire/integers.ts";
import { isNative, type Protocol } from "../../wire/protocols.ts";
import { checkOf, digestOf, readFields } from "./header_fields.ts";

/** Takes what a cutter finds. Offsets count from the first byte that the cutter was given. */
export interface CutterSink {
  /** Called for a whole frame. `fault` says what its sender must not do, such as set a flag that is not in use. */
  frame(bytes: Uint8Array, offset: number, fault: string | undefined): void;
  /** Called for bytes that are no frame. */
  damage(bytes: Uint8Array, offset: number, reason: string): void;
}

/** How many bytes without a frame are kept while the next frame is looked for. */
const KEPT = 1024 * 1024;
/** How many headers may wait for the rest of their frames while the next frame is looked for. */
const CANDIDATES = 256;
/** The smallest buffer, in bytes. */
const SMALLEST = 4096;

/** A search for the next frame. */
interface Search {
  readonly reason: string;
  /** Where the next header may begin, from the beginning of what is kept. */
  next: number;
  /** Headers whose frames are not there as a whole. */
  waiting: { at: number; total: number }[];
}

/** Cuts the bytes of one sender. */
export class FrameCutter {
  readonly #protocol: Protocol;
  readonly #features: NegotiatedFlags;
  readonly #limit: number;
  readonly #sink: CutterSink;
  #buffer = new Uint8Array(0);
  #start = 0;
  #end = 0;
  /** The number of bytes before `#start`. */
  #offset = 0;
  #search: Search | undefined = undefined;
  /**
   * How many bytes searches may still compute checksums over. It grows with what is received, and not with the number of
   * searches: whoever sends headers that announce much would make each search cost much.
   */
  #allowance = 2 * KEPT;
  #examined = 0;

  /**
   * @param features The flags that the two ends agreed on.
   * @param limit The largest frame, header included, in bytes. A header that announces more is damage.
   */
  constructor(protocol: Protocol, features: NegotiatedFlags, limit: number, sink: CutterSink) {
    this.#protocol = protocol;
    this.#features = features;
    this.#limit = limit;
    this.#sink = sink;
  }

  /** The number of bytes taken so far. */
  get taken(): number {
    return this.#offset + this.#held;
  }

  /** The number of bytes of a frame that is not complete. */
  get partial(): number {
    return this.#search === undefined ? this.#held : 0;
  }

  /** How many bytes searches have computed checksums over. */
  get examined(): number {
    return this.#examined;
  }

  get #held(): number {
    return this.#end - this.#start;
  }

  /** Takes bytes, and keeps none of `chunk`. */
  push(chunk: Uint8Array): void {
    this.#append(chunk);
    // What is saved up is enough for the largest frame.
    this.#allowance = Math.min(this.#allowance + 8 * chunk.length, 2 * KEPT + this.#limit);
    while (this.#held > 0 && (this.#search === undefined ? this.#cut() : this.#find(this.#search))) {
      // Each turn takes one frame, or begins or ends a search.
    }
  }

  /** Ends the direction: what is left is no frame. */
  end(): void {
    if (this.#held === 0) return;
    const unfinished = this.#unfinished();
    this.#lose(this.#held, this.#search?.reason ?? unfinished);
    this.#search = undefined;
  }

  /** Notes that bytes are missing behind those that were taken. The next frame is looked for. */
  gap(reason: string): void {
    this.#search ??= { reason, next: 0, waiting: [] };
  }

  #unfinished(): string {
    const { headerSize, layout } = this.#protocol;
    const held = this.#held;
    if (held < headerSize) return `the direction ends within a header, after ${held} of ${headerSize} bytes`;
    const size = get32(this.#buffer, this.#start + layout.size);
    return `the direction ends within a frame, after ${held} of ${headerSize + size} bytes`;
  }

  /** Takes the frame at the beginning. Returns false if it is not there as a whole. */
  #cut(): boolean {
    const { headerSize, layout } = this.#protocol;
    const there = this.#held;
    const fault = this.#faultAt(this.#start, there);
    if (fault !== undefined && !this.#believes(fault)) return this.#lost(fault.what);
    if (there < headerSize) return false;
    const total = headerSize + get32(this.#buffer, this.#start + layout.size);
    if (total > this.#limit) return this.#lost(`a frame of ${total} bytes is above the limit of ${this.#limit}`);
    if (there < total) return false;
    const bytes = this.#buffer.slice(this.#start, this.#start + total);
    const wrong = this.#wrongIn(bytes);
    const offset = this.#offset;
    this.#skip(total);
    if (wrong === undefined) this.#sink.frame(bytes, offset, fault?.what);
    else this.#sink.damage(bytes, offset, wrong);
    return true;
  }

  /** Returns whether the size in a faulty header can be trusted: the header is intact, and only what it says is wrong. */
  #believes({ code }: HeaderFault): boolean {
    if (code !== "protocol-error") return false;
    const { magic } = this.#protocol.layout;
    return magic < 0 ||
      this.#buffer[this.#start] === 0x56 && (this.#held < 2 || this.#buffer[this.#start + 1] === 0x58);
  }

  #faultAt(at: number, there: number, view: DataView = viewOf(this.#buffer)): HeaderFault | undefined {
    const { flags, check } = this.#features;
    return headerFault(this.#protocol, this.#limit, flags, check, view, at, there);
  }

  /** Returns which checksum of a whole frame is wrong. */
  #wrongIn(bytes: Uint8Array): string | undefined {
    const decoder = new FrameDecoder(this.#protocol, { maxMessageSize: this.#limit, features: this.#features.flags });
    if (decoder.push(bytes).length === 1) return undefined;
    const { integrity } = this.#protocol;
    const { digest } = readFields(this.#protocol, bytes);
    const right = digestOf(this.#protocol, bytes);
    // A frame with flags that may not be is refused before its checksum is looked at.
    if (digest === right) return undefined;
    return `the ${integrity === "sha256" ? "SHA-256" : "CRC-32"} is ${digest}, and should be ${right}`;
  }

  #lost(what: string): boolean {
    let reason = what;
    if (isNative(this.#protocol) && this.#held >= 12) {
      const header = this.#buffer.subarray(this.#start, this.#start + 12);
      const right = checkOf(header);
      if (header[0] !== right) reason += `: it is 0x${byteText(header[0])}, and should be 0x${byteText(right)}`;
    }
    this.#search = { reason, next: 1, waiting: [] };
    return true;
  }

  /** Looks for a whole frame with a matching checksum. Returns false if more bytes are needed. */
  #find(search: Search): boolean {
    const { headerSize, layout } = this.#protocol;
    const held = this.#held;
    const view = viewOf(this.#buffer);
    for (; search.next + headerSize <= held; search.next++) {
      const at = this.#start + search.next;
      if (this.#faultAt(at, headerSize, view) !== undefined) continue;
      const size = get32(this.#buffer, at + layout.size);
      // The checksum of an empty content proves nothing, unless it covers the header.
      if (size === 0 && !isNative(this.#protocol)) continue;
      const candidate = { at: search.next, total: headerSize + size };
      if (candidate.at + candidate.total > held) {
        if (search.waiting.length < CANDIDATES) search.waiting.push(candidate);
      } else if (this.#proves(candidate)) return this.#resume(candidate.at, search.reason);
    }
    const complete = search.waiting.filter(({ at, total }) => at + total <= held);
    search.waiting = search.waiting.filter(({ at, total }) => at + total > held);
    const found = complete.find((candidate) => this.#proves(candidate));
    if (found !== undefined) return this.#resume(found.at, search.reason);
    if (held > KEPT) this.#forget(search, held - KEPT / 2);
    return false;
  }

  #proves({ at, total }: { at: number; total: number }): boolean {
    if (total > this.#allowance) return false;
    this.#allowance -= total;
    this.#examined += total;
    const bytes = this.#buffer.subarray(this.#start + at, this.#start + at + total);
    return readFields(this.#protocol, bytes).digest === digestOf(this.#protocol, bytes);
  }

  #resume(at: number, reason: string): boolean {
    this.#search = undefined;
    if (at > 0) this.#lose(at, reason);
    return true;
  }

  /** Gives up the first bytes, so that a search holds no more than it must. */
  #forget(search: Search, count: number): void {
    this.#lose(count, search.reason);
    search.next = Math.max(0, search.next - count);
    search.waiting = search.waiting.filter(({ at }) => at >= count).map(({ at, total }) => ({ at: at - count, total }));
  }

  #lose(count: number, reason: string): void {
    const offset = this.#offset;
    const bytes = this.#buffer.slice(this.#start, this.#start + count);
    this.#skip(count);
    this.#sink.damage(bytes, offset, reason);
  }

  #skip(count: number): void {
    this.#start += count;
    this.#offset += count;
    if (this.#start < this.#end) return;
    this.#start = this.#end = 0;
    if (this.#buffer.length > KEPT) this.#buffer = new Uint8Array(0);
  }

  #append(chunk: Uint8Array): void {
    const held = this.#held;
    if (this.#end + chunk.length > this.#buffer.length) {
      const size = held + chunk.length;
      const target = size > this.#buffer.length ? new Uint8Array(Math.max(SMALLEST, 2 * size)) : this.#buffer;
      target.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = target;
      this.#start = 0;
      this.#end = held;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }
}

function byteText(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
