/** A loop over an opened stream itself: what it reads, how it ends, and what leaving it does. */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { json, PayloadError, RemoteError, streamType, text } from "../mod.ts";
import { settled, streamPeers } from "./streams_support.ts";
import { deferred, until } from "./session_support.ts";

const COUNT = streamType(300, "count", { head: json<number>(), up: false, down: json<number>(), result: text });
const FEED = streamType(301, "feed", { up: false, down: json<number>() });
const BYTES = streamType(302, "bytes", { up: false });
const TALK = streamType(303, "talk", { up: text, down: text });
const UPLOAD = streamType(304, "upload", { down: false });

describe("a loop over an opened stream", () => {
  it("reads all items, and the result is there afterwards, on both sides", async () => {
    await using peers = await streamPeers();
    for (const [opener, acceptor] of [[peers.client, peers.server], [peers.info, peers.client]] as const) {
      acceptor.stream(COUNT, async function* ({ head }): AsyncGenerator<number, string> {
        for (let i = 0; i < head; i++) yield i;
        return "done";
      });
      const count = opener.open(COUNT, 200);
      const got: number[] = [];
      for await (const number of count) got.push(number);
      assertEquals([got.length, got.at(-1), await count.result], [200, 199, "done"]);
    }
    assertEquals(peers.errors, []);
  });

  it("reads bytes", async () => {
    await using peers = await streamPeers();
    peers.server.stream(BYTES, () => new Blob(["some ", "bytes"]).stream());
    let size = 0;
    for await (const chunk of peers.client.open(BYTES)) size += chunk.length;
    assertEquals(size, 10);
  });

  it("throws the error of the other side, after what it sent", async () => {
    await using peers = await streamPeers();
    peers.server.stream(FEED, async function* (): AsyncGenerator<number> {
      yield 1;
      throw Object.assign(new Error("the source is gone"), { code: "gone" });
    });
    const got: number[] = [];
    const feed = peers.client.open(FEED);
    const error = await assertRejects(
      async () => {
        for await (const number of feed) got.push(number);
      },
      RemoteError,
      "the source is gone",
    );
    assertEquals([error.code, got], ["gone", [1]]);
  });

  it("throws if an item cannot be decoded", async () => {
    await using peers = await streamPeers();
    const WRONG = streamType(FEED.code, "feed", { up: false, down: text });
    peers.server.stream(WRONG, async function* (): AsyncGenerator<string> {
      yield "no JSON";
    });
    await assertRejects(
      async () => {
        for await (const _ of peers.client.open(FEED));
      },
      PayloadError,
    );
  });

  it("that is left aborts the stream: the generator goes to its finally, and the result rejects", async () => {
    await using peers = await streamPeers();
    const ended = deferred<unknown>();
    peers.server.stream(FEED, async function* ({ signal }): AsyncGenerator<number> {
      try {
        for (let i = 0;; i++) yield i;
      } finally {
        ended.resolve(signal.reason);
      }
    });
    const feed = peers.client.open(FEED);
    for await (const number of feed) if (number === 3) break;
    assertEquals(await settled(feed.result), "AbortError: The loop over the stream was left");
    const reason = await ended.promise;
    assertInstanceOf(reason, RemoteError);
    assertEquals([reason.code, reason.message], ["aborted", "The loop over the stream was left"]);
    assertEquals(peers.errors, []);
  });

  it("that is left ends a handler that waits for what is never sent", async () => {
    await using peers = await streamPeers();
    const ended = deferred<string>();
    peers.server.stream(TALK, async function* ({ readable }): AsyncGenerator<string> {
      yield "hello";
      try {
        for await (const line of readable) yield line;
      } catch (error) {
        ended.resolve((error as Error).message);
      }
    });
    for await (const _ of peers.client.open(TALK)) break;
    assertEquals(await ended.promise, "The loop over the stream was left");
    assertEquals(peers.errors, []);
  });

  it("that is left by an error does the same, and the error goes on", async () => {
    await using peers = await streamPeers();
    peers.server.stream(FEED, async function* (): AsyncGenerator<number> {
      for (let i = 0;; i++) yield i;
    });
    const feed = peers.client.open(FEED);
    await assertRejects(
      async () => {
        for await (const _ of feed) throw new RangeError("enough");
      },
      RangeError,
      "enough",
    );
    assertEquals(await settled(feed.result), "AbortError: The loop over the stream was left");
  });

  it("ends if it is left while it waits, or before it has begun", async () => {
    await using peers = await streamPeers();
    const signals: AbortSignal[] = [];
    peers.server.stream(FEED, async ({ signal }) => {
      signals.push(signal);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    for (const asks of [0, 1, 2]) {
      const feed = peers.client.open(FEED);
      const loop = feed[Symbol.asyncIterator]();
      await until(() => signals.length === asks + 1);
      const waiting = Array.from({ length: asks }, () => loop.next());
      assertEquals(await loop.return!(), { done: true, value: undefined });
      for (const next of [...waiting, loop.next()]) assertEquals(await next, { done: true, value: undefined });
      await until(() => signals[asks].aborted);
    }
  });

  it("hands out an item that was asked for just before it is left", async () => {
    await using peers = await streamPeers();
    peers.server.stream(FEED, async ({ writable, signal }) => {
      const writer = writable.getWriter();
      // All but the first come together.
      for (let i = 0; i < 5; i++) void writer.write(i).catch(() => {});
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    const feed = peers.client.open(FEED);
    const loop = feed[Symbol.asyncIterator]();
    for (const value of [0, 1]) assertEquals(await loop.next(), { done: false, value });
    const next = loop.next();
    await loop.return!();
    assertEquals([await next, await loop.next()], [{ done: false, value: 2 }, { done: true, value: undefined }]);
  });

  it("that has ended leaves the stream alone", async () => {
    await using peers = await streamPeers();
    const more = deferred();
    peers.server.stream(TALK, async ({ writable }) => {
      const writer = writable.getWriter();
      await writer.write("all");
      await writer.close();
      await more.promise;
    });
    const talk = peers.client.open(TALK);
    const loop = talk[Symbol.asyncIterator]();
    assertEquals(await loop.next(), { done: false, value: "all" });
    assertEquals(await loop.next(), { done: true, value: undefined });
    assertEquals(await loop.return!(), { done: true, value: undefined });
    more.resolve();
    assertEquals(await talk.result, undefined);
  });

  it("is refused if nothing comes down, or if something else reads already", async () => {
    await using peers = await streamPeers();
    peers.server.stream(UPLOAD, () => {});
    peers.server.stream(FEED, () => {});
    const upload = peers.client.open(UPLOAD);
    assertThrows(
      () => upload[Symbol.asyncIterator](),
      TypeError,
      'Cannot read "upload": its type has nothing in this direction',
    );
    const feed = peers.client.open(FEED);
    feed.readable.getReader();
    assertThrows(() => feed[Symbol.asyncIterator](), TypeError);
    await Promise.all([upload.result, feed.result]);
    assert(!upload.readable.locked);
  });
});
