/**
 * Files with frames in them: captures, records, golden frames, bytes, and hexadecimal digits.
 *
 * @module
 */

import { isPeerObject } from "../../base/untrusted.ts";
import { protocol } from "../../wire/protocols.ts";
import { Conversation } from "./conversation.ts";
import { type FlowEvent, flowsOf } from "./flows.ts";
import { unhex } from "./hex.ts";
import { parseJson } from "../json_text.ts";
import type { Knowledge } from "./knowledge.ts";
import { isCapture, readCapture } from "./pcapng.ts";
import { isRecord, readRecord } from "./recording.ts";
import type { Seen, Sender } from "./seen.ts";

/** Something in a file. */
export interface Found {
  /** The number of the connection; 0 in a file that has no connections. */
  readonly connection: number;
  readonly seen: Seen;
}

/**
 * Returns what is in a file, whatever it is.
 *
 * @param from Who sent the bytes of a file that does not say so.
 * @throws {CommandError} It is a record that is damaged.
 * @throws {RangeError} It is a capture that is damaged.
 */
export function decodeSource(bytes: Uint8Array, knowledge: Knowledge, from: Sender): Iterable<Found> {
  if (isCapture(bytes)) return ofEvents(flowsOf(readCapture(bytes)), knowledge);
  const begins = String.fromCharCode(...bytes.subarray(0, 64));
  const text = /^\s*\{|^[\s\da-fx:,]*$/i.test(begins) ? decoder.decode(bytes) : "";
  if (isRecord(bytes)) return ofEvents(recordEvents(text), knowledge);
  const golden = text.trimStart().startsWith("{") ? parseJson(text) : undefined;
  if (isPeerObject(golden) && Array.isArray(golden.frames)) return ofGolden(golden as unknown as Golden, knowledge);
  return ofBytes(text.trim() === "" ? bytes : unhex(text) ?? bytes, knowledge, from);
}

const decoder = /* @__PURE__ */ new TextDecoder();

function* ofBytes(bytes: Uint8Array, knowledge: Knowledge, from: Sender): Generator<Found> {
  const seen: Seen[] = [];
  const conversation = new Conversation(knowledge, (one) => seen.push(one), from);
  conversation.push(from, bytes);
  conversation.end(from);
  for (const one of seen) yield { connection: 0, seen: one };
}

function* ofEvents(events: Iterable<FlowEvent>, knowledge: Knowledge): Generator<Found> {
  const conversations = new Map<number, Conversation>();
  let seen: Seen[] = [];
  const take = function* (connection: number): Generator<Found> {
    const found = seen;
    seen = [];
    for (const one of found) yield { connection, seen: one };
  };
  for (const { bytes, connection, from, missing } of events) {
    let conversation = conversations.get(connection);
    if (conversation === undefined) {
      conversation = new Conversation(knowledge, (one) => seen.push(one));
      conversations.set(connection, conversation);
    }
    if (missing > 0) {
      yield { connection, seen: { type: "note", from, offset: 0, text: `${missing} bytes are not in the capture` } };
    }
    if (bytes === undefined) conversation.end(from);
    else conversation.push(from, bytes);
    yield* take(connection);
  }
  for (const [connection, conversation] of conversations) {
    conversation.end("server");
    conversation.end("client");
    yield* take(connection);
  }
}

function* recordEvents(text: string): Generator<FlowEvent> {
  for (const line of readRecord(text)) {
    if (line.type !== "data" && line.type !== "end") continue;
    const { connection, from, time } = line;
    yield { time: 1000 * time, connection, from, bytes: line.type === "data" ? line.bytes : undefined, missing: 0 };
  }
}

/** The golden frames of a Python release, as `tests/vectors` has them. */
interface Golden {
  readonly release: string;
  readonly frames: readonly { readonly frameHex: string }[];
  readonly hello?: string | null;
  readonly helloAck?: string | null;
  readonly handshake?: { readonly server: string; readonly client: string; readonly ack: string } | null;
}

function* ofGolden(golden: Golden, knowledge: Knowledge): Generator<Found> {
  const { frames, handshake, hello, helloAck, release } = golden;
  const seen: Seen[] = [];
  const conversation = new Conversation({ ...knowledge, protocol: knowledge.protocol ?? protocol(release) }, (one) => {
    seen.push(one);
  });
  const parts: [Sender, string | null | undefined][] = [
    ["server", hello],
    ["client", helloAck],
    ["server", handshake?.server],
    ["client", handshake?.client],
    ["server", handshake?.ack],
    ...frames.map(({ frameHex }): [Sender, string] => ["server", frameHex]),
  ];
  for (const [from, hex] of parts) {
    if (typeof hex === "string") conversation.push(from, unhex(hex) ?? new Uint8Array(0));
  }
  conversation.end("server");
  conversation.end("client");
  for (const one of seen) yield { connection: 0, seen: one };
}
