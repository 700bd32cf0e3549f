/** Streams whose programs do what they should not: nothing but their own stream is harmed, and nothing is kept. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import process from "node:process";
import { BackpressureError, bytes, json, messageType, streamType, text } from "../mod.ts";
import { collect, settled, streamPeers } from "./streams_support.ts";
import { turn, until } from "./session_support.ts";

const BOTH = streamType(300, "both");
const COUNT = streamType(301, "count", { up: false, down: json<number>(), result: json<number>() });
const NOTE = messageType(310, "note", text, text);
const WINDOW = 65_536;

/** Objects that cannot be read, or not as they seem. */
const REASONS: readonly [what: string, make: () => unknown][] = [
  ["a throwing getter", () => ({
    get code(): never {
      throw new Error("code");
    },
  })],
  // A proxy that throws at `getPrototypeOf`, such as a revoked one, is too much for the Web Streams of Deno themselves.
  ["a proxy that throws at what is read", () => new Proxy({}, { get: raise, has: raise, ownKeys: raise })],
  ["a text of a mebibyte", () => "x".repeat(2 ** 20)],
  [
    "an error with a message of a mebibyte",
    () => Object.assign(new Error("\u0000".repeat(2 ** 20)), { code: "y".repeat(2 ** 20) }),
  ],
  ["a circle", () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    return circle;
  }],
  ["half a character", () => "\ud800"],
  ["null", () => null],
  ["undefined", () => undefined],
  ["a symbol", () => Symbol("reason")],
  ["a number", () => 5],
  ["a function", () => raise],
  ["members that are no texts", () => ({ code: 5, message: {} })],
  ["a thenable", () => ({ then: raise })],
];

function raise(): never {
  throw new Error("raised");
}

describe("a reason that is no error", () => {
  for (const [what, make] of REASONS) {
    it(`${what}: reaches the other side as one`, async () => {
      await using peers = await streamPeers({ maxMessageSize: 1_000 });
      peers.server.route(NOTE, ({ data }) => data);
      const seen: unknown[] = [];
      peers.server.stream(BOTH, async ({ readable, signal }) => {
        await collect(readable).catch(() => {});
        seen.push(signal.reason);
      });
      const ways: ((stream: ReturnType<typeof open>, reason: unknown) => unknown)[] = [
        (stream, reason) => stream.abort(reason),
        (stream, reason) => stream.writable.abort(reason),
      ];
      const open = () => peers.client.open(BOTH);
      for (const way of ways) {
        const stream = open();
        await peers.client.ping();
        await Promise.resolve(way(stream, make())).catch(() => {});
        await stream.result.then(() => assert(false), () => {});
      }
      const controller = new AbortController();
      const stream = peers.client.open(BOTH, undefined, { signal: controller.signal });
      await peers.client.ping();
      controller.abort(make());
      await stream.result.then(() => assert(false), () => {});
      await until(() => seen.length === 3);
      for (const reason of seen) assert(reason instanceof Error, String(reason));
      // The handler's side: cancel, abort, and what it throws.
      peers.server.stream(COUNT, ({ writable, readable }) => {
        void readable.cancel(make());
        void writable.abort(make()).catch(() => {});
        return 1;
      });
      await assertRejects(() => peers.client.open(COUNT).result);
      peers.server.unroute(COUNT);
      peers.server.stream(COUNT, () => {
        throw make();
      });
      await assertRejects(() => peers.client.open(COUNT).result);
      peers.server.unroute(COUNT);
      let ended = false;
      peers.server.stream(COUNT, async function* (): AsyncGenerator<number> {
        try {
          for (let i = 0;; i++) yield i;
        } finally {
          ended = true;
          // deno-lint-ignore no-unsafe-finally
          throw make();
        }
      } as never);
      const count = peers.client.open(COUNT);
      const reader = count.readable.getReader();
      await reader.read();
      await reader.cancel(make());
      await count.result.catch(() => {});
      await until(() => ended);
      assertEquals(await peers.client.request(NOTE, "on"), "on");
      assertEquals(peers.client.state, "connected");
    });
  }
});

describe("a handler", () => {
  it("that yields and uses `writable` as well fails, and its bytes are not mixed", async () => {
    await using peers = await streamPeers({ streamWindow: 1_024 });
    const DOWN = streamType(302, "down", { up: false });
    peers.server.stream(DOWN, async function* ({ writable }): AsyncGenerator<Uint8Array> {
      void writable.getWriter().write(new Uint8Array(3_000).fill(1)).catch(() => {});
      await Promise.resolve();
      yield new Uint8Array(10).fill(2);
    });
    const down = peers.client.open(DOWN);
    const got: number[] = [];
    await settled((async () => {
      for await (const part of down.readable) got.push(...part);
    })());
    await assertRejects(() => down.result, Error, "uses writable and returns an iterable, too");
    assertEquals(got.filter((byte) => byte !== 1), []);
  });

  it("whose iterator throws in return() harms nobody", async () => {
    await using peers = await streamPeers();
    let returned = 0;
    peers.server.stream(COUNT, () => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => (await turn(), { done: false as const, value: 1 }),
        return: () => (returned++, raise()),
      }),
    }));
    const count = peers.client.open(COUNT);
    for await (const _ of count.readable) break;
    await settled(count.result);
    await until(() => returned > 0);
    await peers.client.ping();
    assertEquals(peers.errors, []);
  });

  it("whose generator waits when its reader leaves fails for nobody, whatever its result is", async () => {
    await using peers = await streamPeers();
    peers.server.stream(COUNT, async function* ({ signal }: { signal: AbortSignal }): AsyncGenerator<number> {
      yield 1;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    } as never);
    const count = peers.client.open(COUNT);
    for await (const _ of count.readable) break;
    assertEquals((await settled(count.result)).split(":")[0], "RemoteError");
    assertEquals(peers.errors, []);
  });

  it("whose item cannot be encoded gets to its finally", async () => {
    await using peers = await streamPeers();
    const steps: string[] = [];
    const iterable = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false as const, value: 1n as never }),
        return: () => Promise.resolve({ done: true as const, value: steps.push("return") }),
      }),
    };
    peers.server.stream(COUNT, () => iterable);
    await assertRejects(() => peers.client.open(COUNT).result, Error, "BigInt");
    assertEquals([steps, peers.errors.length], [["return"], 1]);
  });

  it("whose returned stream fails is reported, as if it had thrown", async () => {
    await using peers = await streamPeers();
    peers.server.stream(BOTH, () =>
      new ReadableStream<Uint8Array>({
        pull(controller): void {
          controller.error(new Error("no disk"));
        },
      }));
    await assertRejects(() => peers.client.open(BOTH).result, Error, "no disk");
    assertEquals(peers.errors.map(String), ["Error: no disk"]);
  });

  it("whose result is a thenable is waited for, and one that throws in `then` has failed", async () => {
    await using peers = await streamPeers();
    peers.server.stream(
      COUNT,
      () => ({ then: (resolve: (value: number) => void) => (resolve(5), resolve(6)) }) as never,
    );
    assertEquals(await peers.client.open(COUNT).result, 5);
    peers.server.unroute(COUNT);
    peers.server.stream(COUNT, () => ({ then: raise }) as never);
    await assertRejects(() => peers.client.open(COUNT).result, Error, "raised");
  });

  it("that closes its own client, and waits for that, is waited for by nobody", async () => {
    for (const at of ["once", "later", "in a generator"] as const) {
      await using peers = await streamPeers();
      let closed = false;
      const close = async (): Promise<void> => {
        await peers.client.close({ drain: 500 });
        closed = true;
      };
      peers.client.stream(
        BOTH,
        at === "in a generator"
          ? async function* (): AsyncGenerator<Uint8Array> {
            yield new Uint8Array(1);
            await close();
          }
          : async () => {
            if (at === "later") await turn();
            await close();
          },
      );
      const stream = peers.info.open(BOTH);
      stream.result.catch(() => {});
      if (at !== "once") {
        void collect(stream.readable).catch(() => {});
        await until(() => peers.client.state !== "connected");
        await peers.world.clock.advance(2_000);
      }
      await until(() => closed);
      await settled(stream.result);
    }
  });

  it("that never settles keeps its place, and no close waits longer than its drain", async () => {
    await using peers = await streamPeers({ maxStreams: 2 });
    peers.server.stream(BOTH, () => new Promise<never>(() => {}));
    const open = [1, 2].map(() => peers.client.open(BOTH));
    await peers.client.ping();
    const closing = peers.server.close({ drain: 300 });
    const ends = open.map(({ result }) => settled(result));
    await peers.world.clock.advance(10_000);
    await closing;
    for (const end of ends) assertEquals((await end).split(":")[0], "ConnectionError");
  });
});

describe("a program", () => {
  it("that takes a buffer away while its write is pending has its own stream fail, and no other", async () => {
    await using peers = await streamPeers({ streamWindow: 1_024 });
    peers.server.route(NOTE, ({ data }) => data);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    peers.server.stream(BOTH, async ({ readable }) => {
      await gate;
      await collect(readable);
    });
    const stream = peers.client.open(BOTH);
    const chunk = new Uint8Array(5_000);
    const writing = stream.writable.getWriter().write(chunk);
    await peers.client.ping();
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
    open();
    await assertRejects(() => writing, TypeError, "detached");
    await assertRejects(() => stream.result, TypeError, "detached");
    assertEquals(await peers.client.request(NOTE, "on"), "on");
    assertEquals(peers.errors, []);
  });

  it("that shrinks or grows a buffer while its write is pending gets an error, or what it wrote", async () => {
    for (const size of [100, 20_000]) {
      await using peers = await streamPeers({ streamWindow: 1_024 });
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      let got = 0;
      peers.server.stream(BOTH, async ({ readable }) => {
        await gate;
        got = (await collect(readable)).length;
      });
      const stream = peers.client.open(BOTH);
      const buffer = new ArrayBuffer(5_000, { maxByteLength: 20_000 } as never);
      const writer = stream.writable.getWriter();
      const writing = settled(writer.write(new Uint8Array(buffer) as Uint8Array<ArrayBuffer>));
      const closing = settled(writer.close());
      await peers.client.ping();
      (buffer as ArrayBuffer & { resize(size: number): void }).resize(size);
      open();
      const ends = [await writing, await closing, await settled(stream.result)].map((end) => end.split(":")[0]);
      assertEquals(
        [...ends, got],
        size === 100 ? ["TypeError", "TypeError", "TypeError", 0] : ["done", "done", "done", 5_000],
      );
    }
  });

  it("that writes views of any kind sends their bytes, and nothing that is no Uint8Array", async () => {
    await using peers = await streamPeers();
    peers.server.stream(BOTH, ({ readable, writable }) => readable.pipeTo(writable));
    const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(7);
    const whole = Uint8Array.from({ length: 10 }, (_, i) => i);
    const gone = new Uint8Array(4);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    const chunks = [whole.subarray(2, 5), Buffer.from("ab"), new Uint8Array(0), shared, gone, whole.subarray(9)];
    const stream = peers.client.open(BOTH);
    const writer = stream.writable.getWriter();
    for (const chunk of chunks) await writer.write(chunk as Uint8Array<ArrayBuffer>);
    await writer.close();
    assertEquals([...await collect(stream.readable)], [2, 3, 4, 97, 98, 7, 7, 7, 9]);
    for (
      const wrong of [
        "text",
        5,
        null,
        undefined,
        [1],
        new ArrayBuffer(1),
        new Uint16Array(1),
        new DataView(new ArrayBuffer(1)),
      ]
    ) {
      const other = peers.client.open(BOTH);
      await assertRejects(() => other.writable.getWriter().write(wrong as never), TypeError);
      await assertRejects(() => other.result, TypeError);
    }
  });

  it("that writes 100,000 times without waiting sends all of it in order", async () => {
    await using peers = await streamPeers();
    let next = 0;
    peers.server.stream(BOTH, async ({ readable }) => {
      for await (const part of readable) {
        for (const byte of part) assertEquals(byte, next++ & 255);
      }
    });
    const stream = peers.client.open(BOTH);
    const writer = stream.writable.getWriter();
    for (let i = 0; i < 100_000; i++) void writer.write(new Uint8Array([i]));
    await writer.close();
    await stream.result;
    assertEquals(next, 100_000);
  });

  it("that reads byte by byte, or by elements of two bytes, gets what was sent", async () => {
    await using peers = await streamPeers();
    const sent = Uint8Array.from({ length: 1_001 }, (_, i) => i);
    peers.server.stream(BOTH, () => new Blob([sent]).stream());
    const reader = peers.client.open(BOTH).readable.getReader({ mode: "byob" });
    const got: number[] = [];
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(1));
      if (done) break;
      got.push(...value);
    }
    assertEquals(got, [...sent]);
    // 1,001 bytes are no whole number of elements: the end is an error of this reader alone.
    const wide = peers.client.open(BOTH);
    const pairs = wide.readable.getReader({ mode: "byob" });
    let elements = 0;
    const end = await settled((async () => {
      for (;;) {
        const { done, value } = await pairs.read(new Uint16Array(100));
        if (done) return;
        elements += value.length;
      }
    })());
    assertEquals([end.split(":")[0], elements <= 500], ["TypeError", true]);
    await wide.result;
    assertEquals(peers.errors, []);
  });

  it("that reads one branch of a tee and leaves the other gets all", async () => {
    await using peers = await streamPeers();
    peers.server.stream(BOTH, () => new Blob([new Uint8Array(500_000)]).stream());
    const stream = peers.client.open(BOTH);
    const [one, other] = stream.readable.tee();
    assertEquals((await collect(one)).length, 500_000);
    await other.cancel();
    await stream.result;
  });

  it("that cancels inside the pull of a transform ends that direction alone", async () => {
    await using peers = await streamPeers();
    let told = "";
    peers.server.stream(BOTH, async ({ writable }) => {
      const writer = writable.getWriter();
      told = await settled((async () => {
        for (;;) await writer.write(new Uint8Array(100));
      })());
    });
    const stream = peers.client.open(BOTH);
    const reader = stream.readable.getReader();
    const outer = new ReadableStream({
      async pull(controller): Promise<void> {
        controller.enqueue((await reader.read()).value);
        await reader.cancel("inside");
        controller.close();
      },
    });
    for await (const _ of outer);
    await stream.result;
    assertEquals(told, "RemoteError: inside");
  });

  it("that asks for nothing but the result gives back all windows", async () => {
    await using peers = await streamPeers({ maxStreamBytes: 2 * WINDOW, maxTotalStreamBytes: 2 * WINDOW });
    const ONE = streamType(305, "one", { result: json<number>() });
    for (const acceptor of [peers.server, peers.client]) {
      acceptor.stream(ONE, async ({ writable }) => {
        await writable.getWriter().write(new Uint8Array(1_000));
        return 1;
      });
    }
    for (let i = 0; i < 20; i++) {
      for (const opener of [peers.client, peers.info]) {
        const stream = opener.open(ONE);
        const writer = stream.writable.getWriter();
        // Nobody reads this either.
        const written = [writer.write(new Uint8Array(1_000)), writer.close()].map(settled);
        assertEquals(await stream.result, 1);
        await Promise.all(written);
        await peers.client.ping();
        assertEquals((await collect(stream.readable)).length, 1_000, "what was sent can be read later");
      }
    }
  });

  it("whose handlers read nothing of what has ended gives back all windows, and not before they have settled", async () => {
    await using peers = await streamPeers({ maxStreamBytes: WINDOW, maxTotalStreamBytes: WINDOW });
    const gates: (() => void)[] = [];
    peers.server.stream(BOTH, () => new Promise<void>((resolve) => gates.push(resolve)));
    for (let i = 0; i < 10; i++) {
      const stream = peers.client.open(BOTH);
      const writer = stream.writable.getWriter();
      await writer.write(new Uint8Array(9));
      await writer.close();
      await until(() => gates.length === 1);
      stream.abort();
      const error = await assertRejects(() => peers.client.open(BOTH).result);
      assertEquals((error as { code?: string }).code, "too-many-streams");
      gates.shift()!();
      await peers.client.ping();
    }
  });

  it("that sends large heads is refused where they are above the budget of windows", async () => {
    const HEAD = streamType(306, "head", { head: bytes });
    await using peers = await streamPeers({ maxStreamBytes: 3 * WINDOW, maxTotalStreamBytes: 3 * WINDOW });
    const gates: (() => void)[] = [];
    peers.server.stream(HEAD, () => new Promise<void>((resolve) => gates.push(resolve)));
    for (let i = 0; i < 3; i++) {
      const first = peers.client.open(HEAD, new Uint8Array(WINDOW + 1));
      const error = await assertRejects(() => peers.client.open(HEAD, new Uint8Array(WINDOW)).result);
      assertEquals((error as { code?: string }).code, "too-many-streams");
      first.abort();
      gates.shift()!();
      await peers.client.ping();
    }
  });

  it("whose observer of `sent` aborts what is being opened has it cancelled", async () => {
    await using peers = await streamPeers();
    const { promise, resolve } = Promise.withResolvers<unknown>();
    peers.server.stream(BOTH, async ({ signal }) => {
      if (!signal.aborted) await new Promise((done) => signal.addEventListener("abort", done));
      resolve(signal.reason);
    });
    const controller = new AbortController();
    peers.client.on("sent", ({ code }) => void (code === 300 && controller.abort(new Error("no more"))));
    const stream = peers.client.open(BOTH, undefined, { signal: controller.signal });
    await assertRejects(() => stream.result, Error, "no more");
    assertEquals(`${await promise}`, "RemoteError: no more");
    assertEquals(peers.client.stats()?.openStreams ?? 0, 0);
    assertThrows(() => peers.client.open(BOTH, undefined, { signal: controller.signal }), Error, "no more");
  });

  it("that handles no promise sees no unhandled rejection but those of its own writes and reads", async () => {
    const seen: unknown[] = [];
    const listener = (reason: unknown): void => void seen.push(reason);
    process.on("unhandledRejection", listener);
    try {
      for (const way of ["abort", "cut", "throw", "stop"] as const) {
        await using peers = await streamPeers();
        peers.server.stream(BOTH, async ({ readable, writable }) => {
          void readable.getReader().closed;
          void writable.getWriter().closed;
          if (way === "throw") throw new Error("thrown");
          await turn();
        });
        const stream = peers.client.open(BOTH);
        void stream.result;
        void stream.readable.getReader().closed;
        const writer = stream.writable.getWriter();
        void writer.closed;
        void writer.ready;
        if (way === "abort") stream.abort(new Error("over"));
        if (way === "cut") await peers.client.close({ drain: 0 });
        if (way === "stop") await settled(writer.abort("stop"));
        for (let i = 0; i < 5; i++) await turn();
      }
    } finally {
      process.off("unhandledRejection", listener);
    }
    assertEquals(seen, []);
  });

  it("that opens more than the other side takes gets an error at once, and may go on later", async () => {
    await using peers = await streamPeers({ maxStreams: 2 });
    peers.server.stream(BOTH, ({ readable }) => readable.cancel());
    for (let i = 0; i < 10; i++) {
      const open = [peers.client.open(BOTH), peers.client.open(BOTH)];
      assertThrows(() => peers.client.open(BOTH), BackpressureError, "which is all that the peer takes");
      for (const { result } of open) await result;
      await peers.client.ping();
    }
  });
});
