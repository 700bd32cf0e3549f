/** `transfer`: what is given away arrives whole and in order, its owner has it no more, and whoever is refused keeps it. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import {
  BackpressureError,
  bytes,
  Client,
  type ClientConfig,
  messageType,
  PayloadError,
  Server,
  text,
} from "../mod.ts";
import type { ServerConfig } from "../mod.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import type { Faults } from "../src/adapters/memory.ts";
import type { FaultsInfo } from "../src/adapters/memory_network.ts";
import { Routes } from "../src/app/routes.ts";
import { takeOver } from "../src/base/hand_over.ts";
import { Identity } from "../src/encryption/mod.ts";
import { Conversation, cutAfter } from "./resume_support.ts";
import { Lines, until } from "./session_support.ts";

const BLOB = messageType(200, "blob", bytes);
const NOTE = messageType(201, "note", text);
const GIVEN = { transfer: true } as const;

/** The most bytes of a payload that is copied: it fits into a buffer of the pool, behind its header. */
const COPIED = 262_080;
const SIZES = [0, 1, 1_000, 65_536, COPIED - 1, COPIED, COPIED + 1, 300_000, 1_048_576, 8_388_608];

const PATTERN = new Uint8Array(65_537).map((_, i) => i * 7 ^ i >> 8);

/** Bytes that differ from their neighbors. */
function noise(size: number): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(size);
  for (let at = 0; at < size; at += PATTERN.length) payload.set(PATTERN.subarray(0, size - at), at);
  return payload;
}

/** A server and a client in memory, and the payloads that the server has got. */
async function pair(client: ClientConfig = {}, server: ServerConfig = {}): Promise<
  { server: Server; client: Client; got: Uint8Array[] } & AsyncDisposable
> {
  const transport = memoryTransport();
  const at = new Server({ transport, listen: [{ path: "/test" }], logger: new Lines(), ...server });
  const got: Uint8Array[] = [];
  at.route(BLOB, ({ content }) => void got.push(content.slice()));
  await at.start();
  const from = new Client({ transport, path: "/test", logger: new Lines(), ...client });
  await from.connect();
  return {
    server: at,
    client: from,
    got,
    async [Symbol.asyncDispose](): Promise<void> {
      await from.close({ drain: 0 });
      await at.close({ drain: 0 });
    },
  };
}

/** True if `payload` was given away. */
function isGone(payload: Uint8Array): boolean {
  return payload.length === 0 && (payload.buffer as ArrayBuffer).detached;
}

/** Sends payloads of all sizes, and looks at what has arrived. */
async function sendAll(sender: Pick<Client, "send" | "ready">, got: Uint8Array[], sizes = SIZES): Promise<void> {
  for (const size of sizes) {
    const payload = noise(size);
    if (!sender.send(BLOB, payload, GIVEN)) await sender.ready();
    assert(isGone(payload), `${size} bytes are still there`);
  }
  await until(() => got.length === sizes.length);
  for (const [i, size] of sizes.entries()) assert(Buffer.from(got[i]).equals(noise(size)), `${size} bytes`);
}

describe("transfer", () => {
  it("takes payloads of all sizes, which arrive whole and in order", async () => {
    await using ends = await pair();
    await sendAll(ends.client, ends.got);
    assertEquals(ends.client.stats().framesSent, SIZES.length);
  });

  it("does the same from a server to its client, over sockets", async () => {
    await using server = new Server({ port: 0, hostname: "127.0.0.1", logger: new Lines() });
    await server.start();
    await using client = new Client({ ...server.addresses[0], logger: new Lines() });
    const got: Uint8Array[] = [];
    client.route(BLOB, ({ content }) => void got.push(content.slice()));
    await client.connect();
    await until(() => server.clients.length === 1);
    await sendAll(server.clients[0], got);
  });

  for (const protocol of ["2.0.0", "1.6.3", "1.4.0"] as const) {
    it(`does the same with a peer of Python's ${protocol}`, async () => {
      await using ends = await pair({ protocol }, { protocol });
      await sendAll(ends.client, ends.got, SIZES.filter((size) => size <= 1_048_576));
    });
  }

  it("does the same where payloads are compressed, encrypted, or kept until the peer has them", async () => {
    const compression = { codecs: ["deflate-raw"] } as const;
    const identity = await Identity.generate();
    for (
      const [client, server] of [
        [{ compression }, { compression }],
        [{ encryption: { trust: identity.publicKey } }, { encryption: { identity } }],
        [{ resume: true, reconnect: true }, { resume: true }],
      ] as unknown as [ClientConfig, ServerConfig][]
    ) {
      await using ends = await pair(client, server);
      await sendAll(ends.client, ends.got);
    }
  });

  it("is written again from where it lies when the connection is cut, wherever that is", async () => {
    const terms = { meta: "", latest: undefined, transfer: true };
    for (const at of [1, 16, 17, 100_000, 262_144, 300_000, 300_016, 300_040]) {
      const got: Uint8Array[] = [];
      const server = new Routes();
      server.add(BLOB, ({ content }) => void got.push(content.slice()));
      const faults = ({ side }: FaultsInfo): Faults | undefined =>
        side === "client" ? cutAfter(at, "reset") : undefined;
      await using talk = new Conversation({ server, first: { faults } });
      const payload = noise(300_000);
      talk.client.peer.send(BLOB, payload, terms);
      talk.client.peer.send(BLOB, noise(10), terms);
      assert(isGone(payload));
      await until(() => talk.client.suspensions.length > 0);
      talk.cut();
      talk.resume();
      await until(() => got.length === 2);
      assertEquals(got.map(({ length }) => length), [300_000, 10], `cut after ${at} bytes`);
      assert(Buffer.from(got[0]).equals(noise(300_000)), `cut after ${at} bytes`);
      assertEquals([talk.client.errors, talk.server.errors], [[], []]);
    }
  });

  it("keeps its place between messages that are copied", async () => {
    await using ends = await pair();
    const order: string[] = [];
    ends.server.unroute(BLOB);
    ends.server.route(BLOB, ({ content }) => void order.push(`${content.length}`));
    ends.server.route(NOTE, ({ data }) => void order.push(data));
    ends.client.send(NOTE, "a");
    ends.client.send(BLOB, noise(COPIED + 1), GIVEN);
    ends.client.send(NOTE, "b");
    ends.client.send(BLOB, noise(10), GIVEN);
    ends.client.send(BLOB, noise(1_000_000), GIVEN);
    ends.client.send(NOTE, "c");
    await until(() => order.length === 6);
    assertEquals(order, ["a", `${COPIED + 1}`, "b", "10", "1000000", "c"]);
  });

  it("goes together with metadata, a key and an age", async () => {
    await using ends = await pair();
    const seen: unknown[] = [];
    ends.server.unroute(BLOB);
    ends.server.route(BLOB, ({ content, meta }) => void seen.push([content.length, { ...meta }]));
    for (const size of [10, 300_000]) {
      for (const options of [{ meta: { a: "b" } }, { latest: size }, { maxAge: 60_000 }]) {
        const payload = noise(size);
        ends.client.send(BLOB, payload, { ...options, ...GIVEN });
        assert(isGone(payload));
      }
    }
    await until(() => seen.length === 6);
    assertEquals(seen, [10, 300_000].flatMap((size) => [[size, { a: "b" }], [size, {}], [size, {}]]));
  });

  it("takes what waits for a connection", async () => {
    await using ends = await pair({ queueWhileDown: true });
    await ends.client.close();
    const connected = ends.client.connect();
    await sendAll(ends.client, ends.got, [10, 300_000]);
    await connected;
  });

  it("refuses what cannot be given away, and sends nothing", async () => {
    await using ends = await pair();
    const { client } = ends;
    const gone = noise(10);
    client.send(BLOB, gone, GIVEN);
    const refused: [() => unknown, RegExp][] = [
      [() => client.send(NOTE, "text", GIVEN), /is text, which has no memory to give away/],
      [() => client.send(BLOB, noise(20).subarray(0, 10), GIVEN), /is 10 bytes of an ArrayBuffer of 20/],
      [() => client.send(BLOB, noise(20).subarray(10), GIVEN), /is 10 bytes of an ArrayBuffer of 20/],
      [() => client.send(BLOB, new Uint8Array(new SharedArrayBuffer(8)), GIVEN), /is memory that threads share/],
      [() => client.send(BLOB, noise(1), { transfer: 1 as never }), /transfer must be/],
      [() => ends.server.broadcast(BLOB, noise(1), GIVEN as never), /Unknown option "transfer"/],
    ];
    for (const [send, message] of refused) assert(message.test(assertThrows(send, TypeError).message), String(message));
    assertThrows(() => client.send(BLOB, gone, GIVEN), PayloadError, "was given away before");
    client.send(NOTE, "end");
    await until(() => ends.server.clients[0].stats().framesReceived === 2);
    assertEquals([ends.got.length, client.stats().framesSent], [1, 2]);
  });

  it("leaves the payload to a caller whose message is refused", async () => {
    await using ends = await pair({ maxBufferedBytes: 400_000, highWaterMark: 300_000 });
    const { client } = ends;
    const large = noise(11_000_000);
    assertThrows(() => client.send(BLOB, large, GIVEN), PayloadError);
    const waits = [300_000, 300_000, 300_000].map(noise);
    assertThrows(() => waits.forEach((payload) => client.send(BLOB, payload, GIVEN)), BackpressureError);
    await client.ready();
    await client.close();
    const late = noise(300_000);
    assertThrows(() => client.send(BLOB, late, GIVEN), Error, "Cannot send");
    assertEquals([large.length, waits[2].length, late.length], [11_000_000, 300_000, 300_000]);
  });

  it("copies memory that the runtime does not give away", async () => {
    await using ends = await pair();
    for (const pages of [1, 8]) {
      const memory = new WebAssembly.Memory({ initial: pages });
      const payload = new Uint8Array(memory.buffer);
      payload.set(noise(payload.length));
      ends.client.send(BLOB, payload, GIVEN);
      assertEquals(payload.length, pages * 65_536);
      payload.fill(0);
    }
    await until(() => ends.got.length === 2);
    assert(ends.got.every((payload) => Buffer.from(payload).equals(noise(payload.length))));
  });

  it("takes a buffer that could be resized as one that cannot", async () => {
    await using ends = await pair();
    const payload = new Uint8Array(
      Reflect.construct(ArrayBuffer, [300_000, { maxByteLength: 400_000 }]) as ArrayBuffer,
    );
    payload.set(noise(300_000));
    const fixed = takeOver(payload as Uint8Array<ArrayBuffer>)!;
    assertEquals([fixed.length, (fixed.buffer as { resizable?: boolean }).resizable], [300_000, false]);
    ends.client.send(BLOB, fixed, GIVEN);
    await until(() => ends.got.length === 1);
    assert(Buffer.from(ends.got[0]).equals(noise(300_000)));
  });

  it("leaves what a middleware sends in place of the payload", async () => {
    await using ends = await pair();
    const constant = noise(300_000);
    ends.client.useOutgoing([BLOB], (_call, next) => next({ payload: constant }));
    for (let i = 0; i < 2; i++) ends.client.send(BLOB, noise(10), GIVEN);
    await until(() => ends.got.length === 2);
    assert(ends.got.every((payload) => Buffer.from(payload).equals(constant)));
  });

  it("says so when what was given away is sent once more", async () => {
    await using ends = await pair();
    const payload = noise(300_000);
    ends.client.send(BLOB, payload, GIVEN);
    assertThrows(() => ends.client.send(BLOB, payload), PayloadError, 'Cannot send "blob": the memory of its payload');
    assertThrows(
      () => ends.server.broadcast(BLOB, payload),
      PayloadError,
      'Cannot send "blob": the memory of its payload',
    );
  });
});
