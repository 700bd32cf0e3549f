/**
 * What sending promises holds word for word on an open connection and by way of the queue: the same payloads arrive, and the
 * same errors are thrown.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import { BackpressureError, bytes, Client, type ClientConfig, type Codec, json, messageType, text } from "../mod.ts";
import { memoryWorld, type Raw, RawServer, turn, until, type World } from "./session_support.ts";

const RAW = messageType(200, "raw", bytes);
const LINE = messageType(201, "line", text);
const ASK = messageType(202, "ask", bytes, bytes);
const MUTE = messageType(203, "mute", text);
const VALUE = messageType(204, "value", json<unknown>());
const SURE = { delay: 1_000, jitter: false } as const;

/** A codec that returns what it must not. */
const WRONG = messageType(205, "wrong", { encode: () => 7, decode: () => 7 } as unknown as Codec<number>);

/** A client with or without a connection; `back` connects it. */
// deno-lint-ignore explicit-function-return-type
async function make(connected: boolean, config: ClientConfig = {}, most = 1_000) {
  const world = memoryWorld();
  const server = await RawServer.listen(world);
  const client = new Client({
    ...server.address,
    transport: world.transport,
    reconnect: SURE,
    queueWhileDown: true,
    heartbeat: false,
    ...config,
  });
  const [first] = await Promise.all([server.welcome("native", { maxMessageSize: most }), client.connect()]);
  let raw = first;
  if (!connected) {
    first.connection.abort();
    await until(() => client.state === "reconnecting");
  }
  return {
    client,
    world,
    async back(): Promise<Raw> {
      if (!connected) {
        const welcome = server.welcome("native", { maxMessageSize: most });
        await world.clock.advance(2_500);
        raw = await welcome;
      }
      return raw;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await raw[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The next frame that is no PING of the library. */
async function message(raw: Raw): Promise<{ code: number; content: Uint8Array }> {
  for (;;) {
    const frame = (await raw.frame())!;
    if (frame.code >= 200) return { code: frame.code, content: frame.content };
  }
}

/** What a call throws or rejects with, in one line. */
async function failure(call: () => unknown): Promise<string> {
  try {
    await call();
    return "nothing";
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    return `${name} ${code} ${message}`;
  }
}

const stop = new AbortController();
stop.abort(new Error("enough"));

/** Calls that fail, each by itself. */
const FAILURES: Record<string, (client: Client) => unknown> = {
  "bytes above what the peer takes": (client) => client.send(RAW, new Uint8Array(985)),
  "text above it, counted in bytes": (client) => client.send(LINE, "é".repeat(493)),
  "a request above it": (client) => client.request(ASK, new Uint8Array(985)),
  "a payload of another type": (client) => client.send(LINE, 7 as never),
  "a value that JSON has not": (client) => client.send(VALUE, 7n),
  "a codec that returns a number": (client) => client.send(WRONG, 7),
  "a request of a type without a reply": (client) => client.request(MUTE as never, "x" as never),
  "a request with a timeout of 0": (client) => client.request(ASK, new Uint8Array(1), { timeout: 0 }),
  "a request that is aborted already": (client) => client.request(ASK, new Uint8Array(1), { signal: stop.signal }),
  "a request with two faults": (client) =>
    client.request(MUTE as never, 7 as never, { timeout: -1, signal: stop.signal }),
};

describe("sending, connected or not,", () => {
  for (const [name, call] of Object.entries(FAILURES)) {
    it(`fails alike: ${name}`, async () => {
      const said: string[] = [];
      for (const connected of [true, false]) {
        await using made = await make(connected);
        said.push(await failure(() => call(made.client)));
        // Nothing was kept.
        made.client.send(LINE, "the next one");
        assertEquals(await message(await made.back()), {
          code: 201,
          content: new TextEncoder().encode("the next one"),
        });
      }
      assert(said[0] !== "nothing");
      assertEquals(said[1], said[0]);
    });
  }

  for (const connected of [true, false]) {
    const how = connected ? "over a connection" : "by way of the queue";

    it(`copies what it is given ${how}: arrays, views, Buffers, shared memory, as messages and requests`, async () => {
      await using made = await make(connected);
      const { client } = made;
      const payloads: Uint8Array[] = [
        new Uint8Array(5),
        new Uint8Array(20).subarray(3, 8),
        Buffer.from("abcde"),
        Buffer.from("abcdefghij").subarray(2, 7),
        new Uint8Array(new SharedArrayBuffer(5)),
      ];
      for (const [i, payload] of payloads.entries()) {
        payload.fill(65 + i);
        client.send(RAW, payload);
        void client.request(ASK, payload).catch(() => {});
        payload.fill(33);
      }
      const raw = await made.back();
      for (let i = 0; i < payloads.length; i++) {
        const content = new Uint8Array(5).fill(65 + i);
        assertEquals(await message(raw), { code: 200, content });
        assertEquals(await message(raw), { code: 202, content });
      }
    });

    it(`takes the largest payload that fits ${how}`, async () => {
      await using made = await make(connected);
      made.client.send(RAW, new Uint8Array(984));
      made.client.send(LINE, "é".repeat(492));
      const raw = await made.back();
      assertEquals((await message(raw)).content.length, 984);
      assertEquals((await message(raw)).content.length, 984);
    });

    it(`throws for no message while it says that more may be sent ${how}, and never after ready()`, async () => {
      const marks = { highWaterMark: 1_000, maxBufferedBytes: 4_000, queueWhileDown: { messages: 40, bytes: 4_000 } };
      await using made = await make(connected, marks, 10_000);
      const sizes = [10, 3_900, 100, 100, 3_000, 1, 1, 5_000, 10, 10, 2_000, 3_900, 3_900, 50, ...Array(100).fill(1)];
      let waited = 0;
      const sending = (async () => {
        for (const size of sizes) {
          if (made.client.send(RAW, new Uint8Array(size))) continue;
          waited++;
          await made.client.ready();
        }
      })();
      await turn();
      const raw = await made.back();
      const read: number[] = [];
      while (read.length < sizes.length) read.push((await message(raw)).content.length);
      await sending;
      assertEquals(read, sizes);
      assert(waited > 1, "it had to wait");
    });

    it(`waits by ready() for the room that a refused message lacks ${how}, and not in vain`, async () => {
      const marks = { highWaterMark: 1_000, maxBufferedBytes: 4_000, queueWhileDown: { bytes: 4_000 } };
      await using made = await make(connected, marks, 10_000);
      const sent: number[] = [];
      let refused = 0;
      const sending = (async () => {
        for (const size of [3_000, 900, 3_900, 50, 3_999]) {
          for (;;) {
            try {
              made.client.send(RAW, new Uint8Array(size));
              sent.push(size);
              break;
            } catch (error) {
              assert(error instanceof BackpressureError);
              assert(++refused < 100, "it spins");
              await made.client.ready();
            }
          }
        }
      })();
      await turn();
      const raw = await made.back();
      const read: number[] = [];
      while (read.length < 5) read.push((await message(raw)).content.length);
      await sending;
      assertEquals([read, sent, refused > 0 && refused < 6], [[3_000, 900, 3_900, 50, 3_999], sent, true]);
    });
  }

  it("ages what was sent in the turn of connect() from then on", async () => {
    const world: World = memoryWorld();
    const client = new Client({
      port: 7,
      transport: world.transport,
      reconnect: SURE,
      queueWhileDown: { age: 5_000 },
    });
    let expired = 0;
    client.on("disconnect", ({ messages }) => void (expired += messages?.expired ?? 0));
    client.connect().catch(() => {});
    client.send(LINE, "in the same turn");
    await world.clock.advance(4_000);
    assertEquals(client.stats().queuedWhileDown, 1);
    await world.clock.advance(3_000);
    assertEquals([client.stats().queuedWhileDown, expired], [0, 1]);
    await client.close({ drain: 0 });
  });

  it("counts as lost what the next server does not take, and tells by an error", async () => {
    const world = memoryWorld();
    const server = await RawServer.listen(world);
    const client = new Client({
      ...server.address,
      transport: world.transport,
      reconnect: SURE,
      queueWhileDown: true,
      heartbeat: false,
    });
    const errors: string[] = [];
    let lost = -1;
    client.on("error", (error) => void errors.push((error as { code: string }).code));
    client.on("disconnect", ({ messages, permanent }) => {
      if (permanent) lost = messages!.lost;
    });
    const [first] = await Promise.all([server.welcome("native", { maxMessageSize: 1_000 }), client.connect()]);
    first.connection.abort();
    await until(() => client.state === "reconnecting");
    client.send(RAW, new Uint8Array(900));
    client.send(RAW, new Uint8Array(10));
    const welcome = server.welcome("native", { maxMessageSize: 500 });
    await world.clock.advance(2_500);
    const raw = await welcome;
    assertEquals((await message(raw)).content.length, 10);
    assertEquals(errors, ["payload-too-large"]);
    await client.close({ drain: 0 });
    assertEquals(lost, 1);
    await raw[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
});
