/** The event `stream`: what a Server and a Client tell of streams, whoever opened them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Client, type ConnectedClient, json, type Server, type StreamInfo, streamType, text } from "../mod.ts";
import { watchStream } from "../src/app/streams/stream_watch.ts";
import type { Clock } from "../src/transport.ts";
import { collect, type StreamPeers, streamPeers } from "./streams_support.ts";
import { until } from "./session_support.ts";

const ECHO = streamType(300, "echo");
const COUNT = streamType(301, "count", { head: json<number>(), up: false, down: json<number>() });
const CHAT = streamType(302, "chat", { up: text, down: text });

/** What both sides tell, in their words: side, action, opener, name, id, outcome. */
function listen({ client, server }: StreamPeers): { told: string[]; infos: StreamInfo[]; clients: unknown[] } {
  const told: string[] = [];
  const infos: StreamInfo[] = [];
  const clients: unknown[] = [];
  const tell = (side: string, info: StreamInfo): void => {
    const { action, id, name, opener, outcome } = info;
    told.push([side, action, opener, name, id, outcome].filter((part) => part !== undefined).join(" "));
    infos.push(info);
  };
  client.on("stream", (info) => tell("client", info));
  server.on("stream", (info, client) => {
    clients.push(client);
    tell("server", info);
  });
  return { told, infos, clients };
}

/** The two lines of a stream on one side. */
function lines(side: string, opener: string, outcome: string, name = "echo", id = 1): string[] {
  return [`${side} opened ${opener} ${name} ${id}`, `${side} ended ${opener} ${name} ${id} ${outcome}`];
}

describe("the event stream", () => {
  it("tells of a stream on both sides, whoever opened it, with its type, its id and its time", async () => {
    for (const opener of ["client", "server"] as const) {
      await using peers = await streamPeers();
      const { told, infos, clients } = listen(peers);
      const acceptor = opener === "client" ? "server" : "client";
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      peers[acceptor].stream(COUNT, async function* ({ head }): AsyncGenerator<number> {
        for (let i = 0; i < head; i++) yield i;
        await gate;
      });
      const from: Client | ConnectedClient = opener === "client" ? peers.client : peers.info;
      const count = from.open(COUNT, 3);
      await count.readable.getReader().read();
      assertEquals(told, [`${opener} opened self count 1`, `${acceptor} opened peer count 1`]);
      await peers.world.clock.advance(250);
      open();
      await count.result;
      await until(() => told.length === 4);
      assertEquals(
        told.toSorted(),
        [...lines(opener, "self", "answered", "count"), ...lines(acceptor, "peer", "answered", "count")].toSorted(),
      );
      assertEquals(infos.map(({ code }) => code), [301, 301, 301, 301]);
      assertEquals(infos.map(({ ms, action }) => [action, ms]), [
        ["opened", undefined],
        ["opened", undefined],
        ["ended", 250],
        ["ended", 250],
      ]);
      assertEquals(clients, [peers.info, peers.info]);
    }
  });

  it("tells each stream by its id", async () => {
    await using peers = await streamPeers();
    const { told } = listen(peers);
    peers.server.stream(ECHO, ({ readable, writable }) => readable.pipeTo(writable));
    const [first, second] = [peers.client.open(ECHO), peers.client.open(ECHO)];
    assertEquals([first.id, second.id], [1, 2]);
    await second.writable.close();
    await second.result;
    await until(() => told.includes("server ended peer echo 2 answered"));
    await first.writable.close();
    await first.result;
    await until(() => told.length === 8);
    for (const id of [1, 2]) {
      const own = [
        ...lines("client", "self", "answered", "echo", id),
        ...lines("server", "peer", "answered", "echo", id),
      ];
      assertEquals(told.filter((line) => line.includes(` ${id}`)).toSorted(), own.toSorted());
    }
  });

  it("tells that a stream failed, however it did, and once", async () => {
    const ways: Record<string, (peers: StreamPeers) => Promise<unknown>> = {
      "the handler throws": async ({ client, server }) => {
        server.stream(ECHO, () => Promise.reject(new Error("no")));
        await client.open(ECHO).result;
      },
      "the acceptor aborts": async ({ client, server }) => {
        server.stream(ECHO, ({ writable }) => writable.abort("no"));
        await client.open(ECHO).result;
      },
      "the opener aborts": async ({ client, server }) => {
        server.stream(ECHO, ({ readable }) => collect(readable).then(() => {}));
        const echo = client.open(ECHO);
        await client.ping();
        echo.abort("no");
        await echo.result;
      },
      "the signal is aborted": async ({ client, server }) => {
        server.stream(ECHO, ({ readable }) => collect(readable).then(() => {}));
        const controller = new AbortController();
        const echo = client.open(ECHO, undefined, { signal: controller.signal });
        await client.ping();
        controller.abort();
        await echo.result;
      },
      "an item cannot be read": async ({ client, server }) => {
        const RAW = streamType(302, "echo", {});
        server.stream({ ...CHAT, name: "echo" }, async ({ readable }) => {
          for await (const _ of readable);
        });
        const raw = client.open(RAW);
        await raw.writable.getWriter().write(new Uint8Array([0, 0, 0, 1, 0xff]));
        await raw.result;
      },
      "the result cannot be encoded": async ({ client, server }) => {
        const TOLD = streamType(303, "echo", { result: text });
        server.stream(TOLD, () => 5 as never);
        await client.open(TOLD).result;
      },
      "the connection ends": async ({ client, server, world }) => {
        server.stream(
          ECHO,
          ({ signal }) =>
            new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
        );
        const echo = client.open(ECHO);
        await client.ping();
        await client.close({ drain: 0 });
        // A handler that does not read may still answer for a while.
        await world.clock.advance(10_000);
        await echo.result;
      },
    };
    for (const [way, fail] of Object.entries(ways)) {
      await using peers = await streamPeers();
      const { told } = listen(peers);
      assert(await fail(peers).then(() => false, () => true), way);
      await until(() => told.length >= 4);
      await peers.client.close({ drain: 0 });
      const all = [...lines("client", "self", "failed"), ...lines("server", "peer", "failed")];
      assertEquals(told.toSorted(), all.toSorted(), way);
    }
  });

  it("tells the end only when the handler has settled", async () => {
    await using peers = await streamPeers();
    const { told } = listen(peers);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    peers.server.stream(ECHO, () => gate);
    const echo = peers.client.open(ECHO);
    echo.abort();
    await peers.client.ping();
    assertEquals(
      told,
      [...lines("client", "self", "failed").slice(0, 1), "server opened peer echo 1"]
        .toSpliced(1, 0, "client ended self echo 1 failed"),
    );
    open();
    await until(() => told.length === 4);
    assertEquals(told.at(-1), "server ended peer echo 1 failed");
  });

  it("tells the opener of a refused stream, and the acceptor of none", async () => {
    await using peers = await streamPeers({ maxStreams: 1 });
    const { told } = listen(peers);
    await peers.client.open(ECHO).result.catch(() => {});
    assertEquals(told, lines("client", "self", "failed"));
  });

  it("tells a listener that comes later of later streams only", async () => {
    await using peers = await streamPeers();
    peers.server.stream(ECHO, ({ readable, writable }) => readable.pipeTo(writable));
    const early = peers.client.open(ECHO);
    await peers.client.ping();
    const { told } = listen(peers);
    await early.writable.close();
    await early.result;
    const late = peers.client.open(ECHO);
    await late.writable.close();
    await late.result;
    await until(() => told.length === 4);
    assertEquals(
      told.toSorted(),
      [...lines("client", "self", "answered", "echo", late.id), ...lines("server", "peer", "answered", "echo", late.id)]
        .toSorted(),
    );
  });

  it("without a listener costs nothing: not even the time is looked at", () => {
    const clock = {
      now(): number {
        throw new Error("Somebody looked at the clock");
      },
    } as Clock;
    assertEquals(watchStream({ clock, observers: {}, handle: undefined }, "self", ECHO, 1), undefined);
    assertThrows(
      () => watchStream({ clock, observers: { stream: () => {} }, handle: undefined }, "self", ECHO, 1),
      Error,
      "Somebody looked",
    );
  });

  it("of a listener that throws ends no stream", async () => {
    await using peers = await streamPeers();
    for (const side of [peers.server, peers.client] as readonly (Server | Client)[]) {
      (side as Client).on("stream", () => {
        throw new Error("from a listener");
      });
    }
    peers.server.stream(ECHO, ({ readable, writable }) => readable.pipeTo(writable));
    const echo = peers.client.open(ECHO);
    const writer = echo.writable.getWriter();
    await writer.write(new Uint8Array(3));
    await writer.close();
    assertEquals((await collect(echo.readable)).length, 3);
    await echo.result;
    await until(() => peers.errors.length === 4);
    assertEquals(new Set(peers.errors.map(String)), new Set(["Error: from a listener"]));
  });
});
