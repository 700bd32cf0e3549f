/** Streams between a client and a server, in memory: what each side sees, and how they end. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  BackpressureError,
  bytes,
  Client,
  ConfigError,
  ConnectionError,
  json,
  messageType,
  MessageTypeError,
  PayloadError,
  RemoteError,
  streamType,
  text,
} from "../mod.ts";
import { collect, settled, streamPeers } from "./streams_support.ts";
import { Lines, memoryWorld, serve, until } from "./session_support.ts";

const UPLOAD = streamType(300, "upload", { head: text, down: false, result: json<number>() });
const PRICES = streamType(301, "prices", { head: json<number>(), up: false, down: json<number>() });
const ECHO = streamType(302, "echo");
const CHAT = streamType(303, "chat", { up: text, down: text });
const NOTE = messageType(304, "note", text, text);

/** Bytes that tell where they belong. */
function pattern(size: number, from = 0): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (from + i) * 31 >>> 3);
}

describe("a stream", () => {
  it("takes bytes up and answers, whoever opens it", async () => {
    await using peers = await streamPeers();
    for (const [opener, acceptor] of [[peers.client, peers.server], [peers.info, peers.client]] as const) {
      acceptor.stream(UPLOAD, async ({ head, readable }) => {
        assertEquals(head, "a.txt");
        return (await collect(readable)).length;
      });
      const upload = opener.open(UPLOAD, "a.txt");
      const writer = upload.writable.getWriter();
      for (const size of [1, 65_535, 65_536, 65_537, 300_000]) await writer.write(pattern(size));
      await writer.close();
      assertEquals(await upload.result, 1 + 65_535 + 65_536 + 65_537 + 300_000);
    }
    assertEquals(peers.errors, []);
  });

  it("brings the bytes whole and in order, both ways at once, for every size of chunk", async () => {
    await using peers = await streamPeers();
    peers.server.stream(ECHO, ({ readable, writable }) => readable.pipeTo(writable));
    for (const size of [1, 7, 255, 256, 257, 4_096, 65_536, 200_001]) {
      const echo = peers.client.open(ECHO);
      const sent = pattern(Math.max(3 * size, 1_000), size);
      let at = 0;
      const source = new ReadableStream<Uint8Array>({
        pull(controller): void {
          if (at === sent.length) return controller.close();
          controller.enqueue(sent.slice(at, at += Math.min(size, sent.length - at)));
        },
      });
      const [, got] = await Promise.all([source.pipeTo(echo.writable), collect(echo.readable)]);
      assertEquals(got, sent);
      await echo.result;
    }
  });

  it("brings items as they were written, however they are cut into pieces", async () => {
    await using peers = await streamPeers({ streamWindow: 1_024 });
    const items = ["", "a", "b".repeat(251), "c".repeat(252), "d".repeat(253), "e".repeat(70_000), "", "f".repeat(3)];
    peers.server.stream(CHAT, async function* ({ readable }): AsyncGenerator<string> {
      for await (const item of readable) yield item;
    });
    const chat = peers.client.open(CHAT);
    const writer = chat.writable.getWriter();
    const written = (async () => {
      for (const item of items) await writer.write(item);
      await writer.close();
    })();
    const got: string[] = [];
    for await (const item of chat.readable) got.push(item);
    await written;
    await chat.result;
    assertEquals(got, items);
  });

  it("is an iterable of what a generator yields, and its return value is the result", async () => {
    await using peers = await streamPeers();
    const COUNT = streamType(310, "count", { head: json<number>(), up: false, down: json<number>(), result: text });
    peers.server.stream(COUNT, async function* ({ head }): AsyncGenerator<number, string> {
      for (let i = 0; i < head; i++) yield i;
      return "done";
    });
    const count = peers.client.open(COUNT, 100);
    const got: number[] = [];
    for await (const number of count.readable) got.push(number);
    assertEquals([got.length, got.at(-1), await count.result], [100, 99, "done"]);
  });

  it("sends a ReadableStream that a handler returns, at once or later", async () => {
    await using peers = await streamPeers();
    const DOWN = streamType(311, "down", { head: json<boolean>(), up: false });
    peers.server.stream(DOWN, ({ head }) => {
      const stream = new Blob([pattern(100_000) as Uint8Array<ArrayBuffer>]).stream();
      return head ? Promise.resolve(stream) : stream;
    });
    for (const later of [false, true]) {
      const down = peers.client.open(DOWN, later);
      assertEquals(await collect(down.readable), pattern(100_000));
      await down.result;
    }
  });

  it("works with tee, pipeThrough, BYOB readers and TextDecoderStream", async () => {
    await using peers = await streamPeers();
    const DOWN = streamType(312, "down", { up: false });
    peers.server.stream(DOWN, async ({ writable }) => {
      const writer = writable.getWriter();
      for (let i = 0; i < 10; i++) await writer.write(pattern(10_000, i * 10_000));
      await writer.close();
    });
    const expected = pattern(100_000);
    const [one, other] = peers.client.open(DOWN).readable.tee();
    assertEquals(await Promise.all([collect(one), collect(other)]), [expected, expected]);

    const reader = peers.client.open(DOWN).readable.getReader({ mode: "byob" });
    const parts: number[] = [];
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(777));
      if (done) break;
      parts.push(...value);
    }
    assertEquals(Uint8Array.from(parts), expected);

    const WORDS = streamType(313, "words", { up: false });
    peers.server.stream(WORDS, () => new Blob(["söme ", "wörds"]).stream());
    let said = "";
    for await (const part of peers.client.open(WORDS).readable.pipeThrough(new TextDecoderStream() as never)) {
      said += part;
    }
    assertEquals(said, "söme wörds");
  });

  it("holds at most its window while nobody reads it, and messages pass by", async () => {
    await using peers = await streamPeers({ streamWindow: 4_096 });
    peers.server.route(NOTE, ({ data }) => data);
    const { promise: opened, resolve } = Promise.withResolvers<ReadableStream<Uint8Array>>();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    peers.server.stream(UPLOAD, async ({ readable }) => {
      resolve(readable);
      await gate;
      return (await collect(readable)).length;
    });
    const upload = peers.client.open(UPLOAD, "slow");
    const writer = upload.writable.getWriter();
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < 100; i++) {
        await writer.write(pattern(1_000));
        written++;
      }
      await writer.close();
    })();
    await opened;
    assertEquals(await peers.client.request(NOTE, "still there?"), "still there?");
    assertEquals(written, 4);
    open();
    await writing;
    assertEquals(await upload.result, 100_000);
  });

  it("counts small pieces as 256 bytes", async () => {
    await using peers = await streamPeers({ streamWindow: 1_024 });
    peers.server.stream(UPLOAD, () => new Promise<never>(() => {}));
    const writer = peers.client.open(UPLOAD, "").writable.getWriter();
    let written = 0;
    for (let i = 0; i < 9; i++) {
      void writer.write(pattern(1)).then(() => written++, () => {});
      // Each in a turn of its own: those of one turn are gathered.
      await peers.client.ping();
    }
    assertEquals(written, 4);
  });

  it("gathers the small writes of a turn, in order, and only as much as the window allows", async () => {
    await using peers = await streamPeers({ streamWindow: 4_096 });
    const opened = Promise.withResolvers<ReadableStream<Uint8Array>>();
    peers.server.stream(UPLOAD, ({ readable }) => {
      opened.resolve(readable);
      return new Promise<never>(() => {});
    });
    const before = peers.client.stats().framesSent!;
    const writer = peers.client.open(UPLOAD, "").writable.getWriter();
    let written = 0;
    const sent = pattern(10_000);
    for (let i = 0; i < 100; i++) {
      void writer.write(sent.subarray(100 * i, 100 * (i + 1))).then(() => written++, () => {});
    }
    void writer.close().catch(() => {});
    await peers.client.ping();
    // The first is a piece of its own, which costs 256 bytes. 38 fit into the rest of the window, and the next one waits.
    assertEquals(written, 39);
    assert(peers.client.stats().framesSent! - before < 10);
    assertEquals(await collect(await opened.promise), sent);
  });

  it("has the window that its opener asks for", async () => {
    await using peers = await streamPeers({ streamWindow: 1_024 });
    const DOWN = streamType(312, "down", { up: false });
    let written = 0;
    peers.server.stream(DOWN, async ({ writable }) => {
      const writer = writable.getWriter();
      for (let i = 0; i < 100; i++) {
        await writer.write(pattern(1_024));
        written++;
      }
    });
    peers.client.open(DOWN, undefined, { window: 10 * 1_024 });
    await until(() => written === 10);
    await peers.client.ping();
    assertEquals(written, 10);
    for (const window of [0, -1, 1.5, 16 * 1024 * 1024 + 1]) {
      assertThrows(() => peers.client.open(DOWN, undefined, { window }), RangeError, "window must be a whole number");
    }
  });

  it("carries what it has no direction for nowhere", async () => {
    await using peers = await streamPeers();
    peers.server.stream(UPLOAD, async ({ readable, writable }) => {
      await assertRejects(
        () => writable.getWriter().write(pattern(1)),
        TypeError,
        "its type has nothing in this direction",
      );
      return (await collect(readable)).length;
    });
    peers.server.on("error", () => {});
    const upload = peers.client.open(UPLOAD, "");
    assertEquals(await collect(upload.readable), new Uint8Array(0));
    await upload.result.catch(() => {});
    const prices = peers.client.open(PRICES, 1);
    await assertRejects(() => prices.writable.getWriter().write(pattern(1)));
  });

  it("that nobody looks at ends the process for no error", async () => {
    await using peers = await streamPeers();
    peers.server.on("error", () => {});
    peers.server.stream(ECHO, () => {
      throw new Error("never");
    });
    const echo = peers.client.open(ECHO);
    await until(() => echo.result !== undefined);
    await peers.client.ping();
  });
});

describe("items that are larger than a window", () => {
  const BIG = streamType(330, "big", { head: json<number>(), up: false, down: bytes });
  const ITEMS = streamType(330, "big", { head: json<number>(), up: false, down: { ...bytes } });

  it("are gathered within maxStreamBytes together, one of any size always, and each arrives", async () => {
    await using peers = await streamPeers({ maxStreamBytes: 100_000, streamWindow: 1_024 });
    const paused: (() => void)[] = [];
    peers.server.stream(BIG, async function* ({ head }): AsyncGenerator<Uint8Array> {
      const item = new Uint8Array(4 + head);
      new DataView(item.buffer).setUint32(0, head);
      yield item.subarray(0, 4_000);
      await new Promise<void>((resolve) => paused.push(resolve));
      yield item.subarray(4_000);
    });
    const sizes = [150_000, 60_000, 30_000, 5_000];
    const got: number[] = [];
    const reading = sizes.map(async (size) => {
      for await (const item of peers.client.open(ITEMS, size).readable) got.push(item.length);
    });
    // The first one has all of the room, so no other takes more than its window.
    await until(() => paused.length === 1);
    await peers.client.ping();
    assertEquals([paused.length, got], [1, []]);
    for (let open = 0; got.length < sizes.length;) {
      await until(() => paused.length > open || got.length === sizes.length);
      for (; open < paused.length; open++) paused[open]();
    }
    await Promise.all(reading);
    assertEquals(got.sort((a, b) => b - a), sizes);
  });

  it("give their room back where the stream is canceled, fails, or ends inside one", async () => {
    await using peers = await streamPeers({ maxStreamBytes: 100_000, streamWindow: 1_024 });
    peers.server.stream(BIG, async function* ({ head, signal }): AsyncGenerator<Uint8Array> {
      const item = new Uint8Array(90_004);
      new DataView(item.buffer).setUint32(0, 90_000);
      yield item.subarray(0, 5_000);
      if (head === 1) throw new Error("half");
      if (head === 2) return;
      if (head === 3) await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      yield item.subarray(5_000);
    });
    for (const kind of [1, 2, 3]) {
      const broken = peers.client.open(ITEMS, kind);
      const reader = broken.readable.getReader();
      const read = settled(reader.read());
      if (kind === 3) {
        await until(() => peers.info.stats().bytesSent > 5_000);
        await peers.client.ping();
        await reader.cancel();
      }
      await read;
      await settled(broken.result);
      let size = 0;
      for await (const item of peers.client.open(ITEMS, 0).readable) size += item.length;
      assertEquals(size, 90_000);
    }
  });
});

describe("the metadata of a stream", () => {
  it("reaches its handler, frozen, and a peer by Python's protocol is told that there is none", async () => {
    await using peers = await streamPeers();
    const seen: unknown[] = [];
    peers.server.stream(UPLOAD, ({ meta, timeLeft, head }) => {
      seen.push({ ...meta }, timeLeft, head, Object.isFrozen(meta));
      return 0;
    });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await peers.client.open(UPLOAD, "a.txt", { meta: { traceparent } }).result;
    await peers.client.open(UPLOAD, "b.txt").result;
    assertEquals(seen, [{ traceparent }, undefined, "a.txt", true, {}, undefined, "b.txt", true]);
    assertThrows(() => peers.client.open(UPLOAD, "", { meta: { deadline: "1" }, within: {} as never }), TypeError);
    const text = 'Cannot open "upload": meta.a must be a string, not number';
    assertThrows(() => peers.client.open(UPLOAD, "", { meta: { a: 1 as never } }), TypeError, text);
  });

  it("has as many names as that of a message, as no deadline is sent beside them", async () => {
    await using peers = await streamPeers();
    const counts: number[] = [];
    peers.server.stream(UPLOAD, ({ meta }) => counts.push(Object.keys(meta).length));
    const names = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`name${i}`, ""]));
    await peers.client.open(UPLOAD, "", { meta: names(64) }).result;
    assertEquals(counts, [64]);
    assertThrows(() => peers.client.open(UPLOAD, "", { meta: names(65) }), RangeError, "meta has 65 names, at most 64");
  });

  it("has the time of the message on whose behalf it is opened, and ends with it", async () => {
    await using peers = await streamPeers();
    const { clock } = peers.world;
    const lefts: unknown[] = [];
    const reasons: string[] = [];
    peers.client.stream(ECHO, async ({ signal, timeLeft, readable }) => {
      lefts.push(timeLeft);
      signal.addEventListener("abort", () => reasons.push(`${signal.reason.code}`));
      await collect(readable);
    });
    peers.server.route(NOTE, async (message, client) => {
      const echo = client.open(ECHO, undefined, { within: message });
      return await settled(echo.result);
    });
    const asked = settled(peers.client.request(NOTE, "", { timeout: 1_000 }));
    await until(() => lefts.length === 1);
    assertEquals(lefts, [1_000]);
    await clock.advance(1_100);
    await until(() => reasons.length === 1);
    assertEquals(reasons, ["deadline-exceeded"]);
    assert((await asked).startsWith("TimeoutError"), await asked);
  });
});

describe("a stream ends", () => {
  it("with the error of its handler, and the other streams and messages go on", async () => {
    await using peers = await streamPeers();
    peers.server.route(NOTE, ({ data }) => data);
    peers.server.stream(ECHO, async () => {
      await Promise.resolve();
      throw Object.assign(new Error("no disk"), { code: "disk-full" });
    });
    const echo = peers.client.open(ECHO);
    const error = await assertRejects(() => echo.result, RemoteError, "no disk");
    assertEquals(error.code, "disk-full");
    assertEquals(await settled(collect(echo.readable)), "RemoteError: no disk");
    assertEquals(await settled(echo.writable.getWriter().write(pattern(1))), "RemoteError: no disk");
    assertEquals(await peers.client.request(NOTE, "on"), "on");
    assertEquals(peers.errors.map(String), ["Error: no disk"]);
  });

  it("by cancel: the other side's writable fails with the reason, and the stream goes on without it", async () => {
    await using peers = await streamPeers();
    let told = "";
    const TWO = streamType(320, "two", { result: json<number>() });
    peers.server.stream(TWO, async ({ readable, writable }) => {
      const writer = writable.getWriter();
      told = await settled((async () => {
        for (;;) await writer.write(pattern(1_000));
      })());
      return (await collect(readable)).length;
    });
    const two = peers.client.open(TWO);
    const reader = two.readable.getReader();
    await reader.read();
    await reader.cancel("enough");
    const writer = two.writable.getWriter();
    await writer.write(pattern(5));
    await writer.close();
    assertEquals(await two.result, 5);
    assertEquals([told, peers.errors], ["RemoteError: enough", []]);
  });

  it("by leaving a loop over a generator, which goes on to its finally", async () => {
    await using peers = await streamPeers();
    const steps: string[] = [];
    peers.server.stream(PRICES, async function* ({ signal }): AsyncGenerator<number> {
      signal.addEventListener("abort", () => steps.push("signal"));
      try {
        for (let i = 0;; i++) yield i;
      } finally {
        steps.push("finally");
      }
    });
    const prices = peers.client.open(PRICES, 1);
    for await (const price of prices.readable) if (price === 5) break;
    await settled(prices.result);
    assertEquals([steps.sort(), peers.errors], [["finally", "signal"], []]);
  });

  it("by abort of the opener: the handler's signal, readable and writable get the reason", async () => {
    for (const way of ["abort", "writable", "signal"] as const) {
      await using peers = await streamPeers();
      const seen: string[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      peers.server.stream(ECHO, async ({ readable, writable, signal }) => {
        seen.push(await settled(collect(readable)));
        seen.push(await settled(writable.getWriter().write(pattern(1))));
        seen.push(`${signal.reason}`);
        resolve();
      });
      const controller = new AbortController();
      const echo = peers.client.open(ECHO, undefined, { signal: controller.signal });
      await peers.client.ping();
      const reason = Object.assign(new Error("changed my mind"), { code: "whim" });
      if (way === "abort") echo.abort(reason);
      else if (way === "signal") controller.abort(reason);
      else await echo.writable.abort(reason);
      await promise;
      assertEquals(seen, Array(3).fill("RemoteError: changed my mind"));
      assert(await echo.result.catch((error) => error) === reason);
      assertEquals(await settled(collect(echo.readable)), "Error: changed my mind");
      assertEquals(peers.errors, []);
    }
  });

  it("by abort of the acceptor: the opener gets the reason everywhere", async () => {
    await using peers = await streamPeers();
    peers.server.stream(ECHO, async ({ writable, signal }) => {
      await writable.abort(Object.assign(new Error("shutting down"), { code: "later" }));
      assert(signal.aborted);
    });
    const echo = peers.client.open(ECHO);
    const error = await assertRejects(() => echo.result, RemoteError, "shutting down");
    assertEquals(error.code, "later");
    assertEquals(await settled(collect(echo.readable)), "RemoteError: shutting down");
    assertEquals(peers.errors, []);
  });

  it("with its session, with ConnectionError on both sides", async () => {
    await using peers = await streamPeers();
    const seen: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    peers.server.stream(ECHO, async ({ readable, signal }) => {
      seen.push(await settled(collect(readable)));
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
      seen.push(`${signal.reason?.name}`);
      resolve();
    });
    const echo = peers.client.open(ECHO);
    await peers.client.ping();
    await peers.client.close({ drain: 0 });
    // No time passes: an opener that ends the connection within its direction has given up.
    await promise;
    assertInstanceOf(await echo.result.catch((error) => error), ConnectionError);
    assertEquals(
      await settled(echo.writable.getWriter().write(pattern(1))).then((text) => text.split(":")[0]),
      "ConnectionError",
    );
    assertEquals(seen.map((text) => text.split(":")[0]), ["ConnectionError", "ConnectionError"]);
    assertEquals(peers.errors, []);
  });

  it("within drain when a side closes: what is open finishes first, nothing is opened after it", async () => {
    await using peers = await streamPeers();
    peers.server.stream(UPLOAD, async ({ readable }) => (await collect(readable)).length);
    const upload = peers.client.open(UPLOAD, "last");
    const writer = upload.writable.getWriter();
    await writer.write(pattern(1_000));
    await peers.client.ping();
    const closing = peers.server.close();
    await until(() => peers.client.state !== "connected");
    assertThrows(() => peers.client.open(UPLOAD, ""), ConnectionError);
    await writer.write(pattern(500));
    await writer.close();
    assertEquals(await upload.result, 1_500);
    await closing;
    assertEquals(peers.errors, []);
  });

  it("inside an item, or with one that its codec refuses: the stream fails, not the connection", async () => {
    await using peers = await streamPeers();
    peers.server.route(NOTE, ({ data }) => data);
    const RAW = streamType(303, "raw", {});
    peers.server.stream(CHAT, async ({ readable }) => {
      for await (const _ of readable);
    });
    for (
      const [content, what] of [
        [new Uint8Array([0, 0, 0, 5, 1]), "it ended inside an item"],
        [new Uint8Array([0, 0, 0, 1, 0xff]), "UTF-8"],
        [new Uint8Array([0xff, 0xff, 0xff, 0xff]), "an item of 4294967295 bytes is above"],
      ] as const
    ) {
      const raw = peers.client.open(RAW);
      const writer = raw.writable.getWriter();
      await writer.write(content);
      await writer.close().catch(() => {});
      const error = await assertRejects(() => raw.result, RemoteError, what);
      assertEquals(error.code, "invalid-payload");
    }
    assertEquals(await peers.client.request(NOTE, "on"), "on");
  });

  it("with an item that its codec refuses, once those before it were read, though they came together", async () => {
    await using peers = await streamPeers();
    const RAW = streamType(303, "raw", {});
    const got: string[] = [];
    peers.server.stream(CHAT, async ({ readable }) => {
      for await (const item of readable) {
        got.push(item);
        await peers.client.ping();
      }
    });
    const raw = peers.client.open(RAW);
    const content = [0, 0, 0, 1, 97, 0, 0, 0, 1, 98, 0, 0, 0, 1, 0xff, 0, 0, 0, 1, 99];
    await raw.writable.getWriter().write(new Uint8Array(content));
    await assertRejects(() => raw.result, RemoteError, "UTF-8");
    assertEquals(got, ["a", "b"]);
  });

  it("with the error of what was written: an item that cannot be encoded, or is too large", async () => {
    await using peers = await streamPeers({ maxMessageSize: 1_000 });
    peers.server.stream(CHAT, async ({ readable }) => {
      for await (const _ of readable);
    });
    const chat = peers.client.open(CHAT);
    await assertRejects(() => chat.writable.getWriter().write("x".repeat(985)), PayloadError);
    assertInstanceOf(await chat.result.catch((error) => error), PayloadError);
    const other = peers.client.open(CHAT);
    await assertRejects(() => other.writable.getWriter().write(5 as never), TypeError, "must be a string");
  });
});

describe("streams are refused", () => {
  it("without a route, and with a head that cannot be read", async () => {
    await using peers = await streamPeers();
    const error = await assertRejects(() => peers.client.open(ECHO).result, RemoteError);
    assertEquals(error.code, "no-route");
    peers.server.stream(PRICES, async function* (): AsyncGenerator<number> {});
    const BAD = streamType(301, "bad", { head: text });
    const bad = await assertRejects(() => peers.client.open(BAD, "not json").result, RemoteError);
    assertEquals(bad.code, "invalid-payload");
    // Only the second one is worth a look at this program.
    assertEquals(peers.errors.map((error) => (error as PayloadError).code), ["invalid-payload"]);
  });

  it("above maxStreams, until a handler has settled: opening and canceling in a row starts no more", async () => {
    await using peers = await streamPeers({ maxStreams: 3 });
    let running = 0;
    let most = 0;
    const gates: (() => void)[] = [];
    peers.server.stream(ECHO, async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
    });
    for (let i = 0; i < 50; i++) {
      const echo = peers.client.open(ECHO);
      echo.abort();
    }
    await peers.client.ping();
    assertEquals([most, gates.length], [3, 3]);
    for (const open of gates) open();
    await until(() => running === 0);
    const open = Array.from({ length: 3 }, () => peers.client.open(ECHO));
    const error = assertThrows(() => peers.client.open(ECHO), BackpressureError);
    assertEquals(error.code, "too-many-streams");
    await until(() => gates.length === 6);
    for (const gate of gates) gate();
    for (const { result } of open) await result;
  });

  it("where the windows are used up: by maxStreamBytes and by maxTotalStreamBytes", async () => {
    for (const limit of ["maxStreamBytes", "maxTotalStreamBytes"] as const) {
      await using peers = await streamPeers({ [limit]: 2 * 65_536 });
      peers.server.stream(ECHO, ({ readable, writable }) => readable.pipeTo(writable));
      const open = [peers.client.open(ECHO), peers.client.open(ECHO)];
      const error = assertThrows(() => peers.client.open(ECHO), BackpressureError);
      assertEquals(error.code, "too-many-streams");
      for (const { writable } of open) await writable.close();
      for (const { readable } of open) await collect(readable);
      for (const { result } of open) await result;
      const again = peers.client.open(ECHO);
      again.abort();
    }
  });

  it("by a Python peer, and while there is no connection", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { protocol: "1.6.3" });
    const { hostname, port } = served.address;
    await using client = new Client({
      hostname,
      port,
      protocol: "1.6.3",
      transport: world.transport,
      logger: new Lines(),
    });
    assertThrows(() => client.open(ECHO), ConnectionError, "not connected");
    await client.connect();
    const error = assertThrows(() => client.open(ECHO), ConfigError);
    assertEquals(error.code, "unsupported");
  });

  it("as a type that has a route, or is no stream type", async () => {
    await using peers = await streamPeers();
    peers.server.stream(ECHO, async () => {});
    const SAME = messageType(302, "same", bytes);
    assertThrows(() => peers.server.route(SAME, () => {}), MessageTypeError, 'code 302 is routed as "echo"');
    assertThrows(() => peers.server.stream(ECHO, async () => {}), MessageTypeError);
    assertThrows(() => peers.server.route(ECHO as never, () => {}), TypeError, "call stream()");
    assertThrows(() => peers.server.stream(NOTE as never, () => {}), TypeError, "must be a stream type");
    assert(peers.server.unroute(ECHO));
    assert(!peers.server.unroute(ECHO));
    peers.server.route(SAME, () => {});
  });
});
