/**
 * What client and server say to each other: the message types with their codecs, and the few numbers both sides keep to.
 * Each process imports this file, so both ends of every message have the same type.
 *
 * @module
 */

import { bytes, type Codec, json, messageTypes, PayloadError } from "@veltix/core";

/** The most bytes of a line in one message. Longer lines go in pieces; the largest message is 10 MiB by default. */
export const MAX_PIECE: number = 1024 * 1024;

/**
 * What both sides keep for each other, in bytes, so that a cut cable loses nothing. While a cable is cut, what is sent has
 * to fit in there, and that may be several of the largest messages.
 */
export const KEPT: number = 16 * MAX_PIECE;

/** Messages that each client sends to the server in its burst. */
export const BURST_MESSAGES = 200_000;

/** A line of the file, its end-of-line bytes included, or a piece of a long one. */
export interface Line {
  /** The number of the client that streams. */
  readonly sender: number;
  /** Counted from 0 for each sender. */
  readonly serial: number;
  /** Bytes and not text: a file may hold anything. */
  readonly bytes: Uint8Array;
}

/** The end of one pass through the file. */
export interface PassEnd {
  /** The number of the client that streams. */
  readonly sender: number;
  /** Lines and pieces that it sent so far: the serial of the next one. */
  readonly serial: number;
  /** Whether this was its last pass. */
  readonly last: boolean;
}

/** What the server counted in a line. */
export interface WordCount {
  readonly words: number;
  readonly bytes: number;
}

/** What the server counted in a burst. */
export interface Tally {
  readonly received: number;
  /** Serials that never came. */
  readonly lost: number;
  /** Messages that came twice, or after a later one. */
  readonly disordered: number;
}

const LINE_HEADER = 5;

/** One byte for the sender, four for the serial, then the line. */
const lineCodec: Codec<Line> = {
  encode({ sender, serial, bytes }: Line): Uint8Array {
    const content = new Uint8Array(LINE_HEADER + bytes.length);
    content[0] = sender;
    new DataView(content.buffer).setUint32(1, serial);
    content.set(bytes, LINE_HEADER);
    return content;
  },
  decode(content: Uint8Array): Line {
    const view = checked(content, LINE_HEADER, "line");
    return { sender: view.getUint8(0), serial: view.getUint32(1), bytes: content.subarray(LINE_HEADER) };
  },
};

/** A serial number in four bytes. */
const serialCodec: Codec<number> = {
  encode(serial: number): Uint8Array {
    const content = new Uint8Array(4);
    new DataView(content.buffer).setUint32(0, serial);
    return content;
  },
  decode: (content: Uint8Array): number => checked(content, 4, "burst").getUint32(0),
};

/** All messages: from a client to the server, and `line` and `passEnd` from there to the other clients. */
export const { line, passEnd, words, burst, tally } = messageTypes({
  line: lineCodec,
  passEnd: json<PassEnd>(),
  words: [bytes, json<WordCount>()],
  burst: serialCodec,
  tally: [json<{ sent: number }>(), json<Tally>()],
});

/** Counts the words of a line: runs of bytes that are no ASCII white space, whatever the encoding. */
export function countWords(line: Uint8Array): WordCount {
  let count = 0;
  let inside = false;
  for (const byte of line) {
    const space = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
    if (!space && !inside) count++;
    inside = !space;
  }
  return { words: count, bytes: line.length };
}

function checked(content: Uint8Array, least: number, name: string): DataView {
  if (content.length < least) {
    throw new PayloadError("invalid-payload", `Cannot decode "${name}": ${content.length} bytes are too short`);
  }
  return new DataView(content.buffer, content.byteOffset, content.length);
}
