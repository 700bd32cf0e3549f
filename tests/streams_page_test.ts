/** The stream in `docs/protocol.md`, frame by frame, and the example at the end of that page. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import { json, streamType, text } from "../mod.ts";
import type { ChunkReader, Connection, Transport } from "../src/transport.ts";
import { encodeFrame } from "../src/wire/encoder.ts";
import { Flag } from "../src/wire/frame.ts";
import { protocol } from "../src/wire/protocols.ts";
import { memoryWorld } from "./session_support.ts";
import { collect, streamPeers } from "./streams_support.ts";
import { hex, utf8 } from "./wire_support.ts";

const page = readFileSync(new URL("../docs/protocol.md", import.meta.url), "utf8");
const native = protocol("native");

/** The block of text of the page that begins with this line. */
function block(first: string): string[] | undefined {
  return page.split("```text\n").slice(1).map((part) => part.split("```")[0].trimEnd().split("\n"))
    .find((lines) => lines[0] === first);
}

/** Returns a frame as the page shows it. */
function row(frame: Uint8Array): string {
  const at = [0, 1, 2, 4, 8, 12, 16];
  const parts = at.map((from, i) => hex(frame.subarray(from, at[i + 1])));
  return [parts[0].padEnd(5), parts[1].padEnd(5), ...parts.slice(2)].join(" ").trimEnd();
}

/** A transport that keeps the bytes of both directions of the connections that it opens, in their order. */
function recording(transport: Transport, kept: [side: string, bytes: Uint8Array][]): Transport {
  return {
    ...transport,
    async connect(to, options): Promise<Connection> {
      const connection = await transport.connect(to, options);
      const write = connection.write.bind(connection);
      const readTo = connection.readTo!.bind(connection);
      return Object.assign(connection, {
        writeTo: undefined,
        write(bytes: Uint8Array): Promise<void> {
          kept.push(["opener", bytes.slice()]);
          return write(bytes);
        },
        readTo(reader: ChunkReader): void {
          readTo({
            received(chunk, error): void {
              if (chunk !== null) kept.push(["acceptor", chunk.slice()]);
              reader.received(chunk, error);
            },
          });
        },
      } as Partial<Connection>);
    },
  };
}

/** Returns the frames of the page's stream, by their senders. */
async function transcript(): Promise<string[]> {
  const kept: [side: string, bytes: Uint8Array][] = [];
  const world = memoryWorld();
  // With windows that cannot grow nobody measures a round trip.
  const limits = { streamWindow: 1_024, maxStreamWindow: 1_024 };
  await using peers = await streamPeers(limits, { ...world, transport: recording(world.transport, kept) });
  const WORDS = streamType(300, "words", { head: text, down: text, result: json<number>() });
  peers.server.stream(WORDS, async ({ readable, writable }) => {
    const bytes = await collect(readable);
    await writable.getWriter().write(new TextDecoder().decode(bytes));
    return bytes.length;
  });
  kept.length = 0;
  const stream = peers.client.open(WORDS, "a.txt");
  const writer = stream.writable.getWriter();
  for (const piece of ["hel", "lo"]) await writer.write(utf8(piece));
  await world.clock.settle();
  await writer.close();
  const items: string[] = [];
  for await (const item of stream.readable) items.push(item);
  assertEquals([items, await stream.result, peers.errors], [["hello"], 5, []]);

  return kept.flatMap(([side, bytes]) => framesIn(bytes).map((frame) => `${side.padEnd(8)} ${row(frame)}`));
}

/** Cuts bytes into the frames that they are. */
function framesIn(bytes: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = native.headerSize + new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(4);
    frames.push(bytes.subarray(at, at += size));
  }
  return frames;
}

describe("docs/protocol.md", () => {
  it("shows the frames of a stream as they are sent", async () => {
    const head = "sender   check flags code size     id       crc      content";
    assertEquals(block(head), [head, ...await transcript()]);
  });

  it("shows the frame of a request as it is sent", () => {
    const content = utf8('{"a":1,"b":2}');
    const frame = encodeFrame(native, { code: 201, flags: Flag.REQUEST, requestId: 1, content });
    const head = "check flags code size     id       crc      content";
    assertEquals(block(head), [head, row(frame)]);
  });
});
