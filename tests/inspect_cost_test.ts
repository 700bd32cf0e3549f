/**
 * How much work a peer can make `veltix inspect` do. The tests count bytes that were copied or checked, not time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { FrameCutter } from "../src/cli/inspect/frame_cutter.ts";
import type { Seen } from "../src/cli/inspect/seen.ts";
import { WebSocketBytes } from "../src/cli/inspect/web_socket_bytes.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { jsonMessage } from "../src/wire/handshake/messages.ts";
import { protocol } from "../src/wire/protocols.ts";
import { Conversation } from "../src/cli/inspect/conversation.ts";
import { loadKnowledge } from "../src/cli/inspect/knowledge.ts";
import { join, utf8 } from "./wire_support.ts";

const native = protocol("native");

/** Returns how many bytes typed arrays have copied while something was done. */
function copied(act: () => void): number {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype);
  const { set, slice } = prototype;
  let count = 0;
  prototype.slice = function (this: Uint8Array, ...range: number[]): Uint8Array {
    const part = slice.apply(this, range);
    count += part.length;
    return part;
  };
  prototype.set = function (this: Uint8Array, from: Uint8Array, at?: number): void {
    count += from.length;
    set.call(this, from, at);
  };
  try {
    act();
  } finally {
    Object.assign(prototype, { set, slice });
  }
  return count;
}

describe("the work that a peer causes", () => {
  it("with empty frames of a WebSocket grows with their number", () => {
    let notes = 0;
    const direction = new WebSocketBytes("client", false, {
      bytes: () => {},
      note: () => void notes++,
      unreadable: () => {},
    });
    direction.push(utf8("GET / HTTP/1.1\r\n\r\n"));
    const frames = new Uint8Array(65_536);
    for (let at = 0; at < frames.length; at += 2) frames[at] = 0x82;
    // The last frame is a text message, so it shows that all before it were read.
    frames[frames.length - 2] = 0x81;
    const work = copied(() => direction.push(frames));
    assert(work <= 2 * frames.length, `${work} bytes were copied`);
    assertEquals(notes, 2);
  });

  it("with headers that announce much grows with the bytes received, however many searches there are", () => {
    let found = 0;
    const cutter = new FrameCutter(native, { flags: 0, check: undefined }, 1 << 24, {
      frame: () => void found++,
      damage: () => {},
    });
    const empty = encodeFrame(native, { code: 200, content: new Uint8Array(0), requestId: 0, flags: 0 }, 0x7f);
    // The header of a frame that is not as long as its checksum: each one makes a search read all that follows.
    const lie = encodeFrame(native, { code: 200, content: new Uint8Array(30_000), requestId: 0, flags: 0 }, 0x7f)
      .slice(0, native.headerSize);
    lie[native.layout.digest] ^= 1;
    const group = join(Uint8Array.of(0xff), ...Array.from({ length: 30 }, () => lie), empty);
    const attack = join(...Array.from({ length: 130 }, () => group));
    for (let i = 0; i < 10; i++) cutter.push(attack);
    assert(found > 100, `${found} frames were found`);
    const most = 2 * 1024 * 1024 + 8 * 10 * attack.length;
    assert(cutter.examined <= most, `${cutter.examined} bytes were checked, and ${most} may be`);
  });
});

describe("the messages of a WebSocket", () => {
  it("are bytes if they are binary, in however many frames, and texts are not", () => {
    const got: number[] = [];
    const direction = new WebSocketBytes("client", false, {
      bytes: (bytes) => void got.push(...bytes),
      note: () => {},
      unreadable: () => {},
    });
    direction.push(utf8("GET / HTTP/1.1\r\n\r\n"));
    // A binary message in two frames with a ping within, and a text message in two.
    for (const frame of [[0x02, 1, 7], [0x89, 1, 1], [0x80, 1, 8], [0x01, 1, 65], [0x80, 1, 66], [0x82, 1, 9]]) {
      direction.push(Uint8Array.from(frame));
    }
    assertEquals(got, [7, 8, 9]);
  });
});

describe("chunks that are given back", () => {
  it("are not read again", async () => {
    const seen: Seen[] = [];
    const conversation = new Conversation(await loadKnowledge(), (one) => seen.push(one));
    const greeting = jsonMessage({ v: "2.0.0", pv: "1.0", meta: { id_window: 30_000 } }, 4096);
    for (const part of [greeting.slice(0, 10), greeting.slice(10)]) {
      conversation.push("server", part);
      part.fill(0xff);
    }
    assertEquals(seen.map(({ type }) => type), ["handshake"]);

    const got: number[] = [];
    const direction = new WebSocketBytes("client", false, {
      bytes: (bytes) => void got.push(...bytes),
      note: () => {},
      unreadable: () => {},
    });
    direction.push(utf8("GET / HTTP/1.1\r\n\r\n"));
    for (const part of [Uint8Array.of(0x82), Uint8Array.of(2, 7, 8)]) {
      direction.push(part);
      part.fill(0xff);
    }
    assertEquals(got, [7, 8]);
  });
});
