/** Every state of a stream with every way to end it, from either end: what both ends see, and why. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Client, type ConnectedClient, messageType, type OpenStream, streamType, text } from "../mod.ts";
import type { IncomingStream } from "../src/app/streams/incoming_stream.ts";
import { deferred, until } from "./session_support.ts";
import { type StreamPeers, streamPeers } from "./streams_support.ts";

const BOTH = streamType(300, "both", { up: text, down: text, result: text });
const NOTE = messageType(310, "note", text, text);

type Opened = OpenStream<string, string, string>;
type Accepted = IncomingStream<void, string, string>;

/** What one end sees of its directions, each as a short text; "" while nothing has ended. */
interface Seen {
  reads: string;
  writes: string;
}

/** One end, with a reader and a writer that are used all the time. */
class End {
  readonly seen: Seen = { reads: "", writes: "" };
  readonly items: string[] = [];
  readonly writer: WritableStreamDefaultWriter<string>;
  readonly reader: ReadableStreamDefaultReader<string>;

  constructor(
    { readable, writable }: { readonly readable: ReadableStream<string>; readonly writable: WritableStream<string> },
  ) {
    this.reader = readable.getReader();
    this.writer = writable.getWriter();
    this.reader.closed.then(() => this.seen.reads ||= "end", (error) => this.seen.reads ||= told(error));
    this.writer.closed.then(() => this.seen.writes ||= "end", (error) => this.seen.writes ||= told(error));
  }

  /** Begins to read, which goes on in the background. */
  read(): void {
    this.reader.read().then(({ done, value }) => done || this.items.push(value!), () => {});
  }

  /** Reads to the end, or to the error. */
  async look(): Promise<void> {
    try {
      while (!(await this.reader.read()).done);
    } catch {
      // `closed` has the error.
    }
    await this.reader.closed.catch(() => {});
  }

  write(text: string): void {
    this.writer.write(text).catch(() => {});
  }
}

function told(error: unknown): string {
  const { name, message } = error as Error;
  if (name === "ConnectionError") return "cut";
  return message.startsWith("The stream is over") ? "answered" : `${message}`;
}

/** A stream with both its ends. */
interface Pair {
  readonly peers: StreamPeers;
  readonly stream: Opened;
  readonly opener: End;
  readonly acceptor: End;
  readonly incoming: Accepted;
  readonly handler: PromiseWithResolvers<string>;
  readonly controller: AbortController;
}

/** What leads to a state. */
const STATES: Readonly<Record<string, (pair: Pair) => Promise<unknown> | void>> = {
  "open": () => {},
  "half-closed by the opener": ({ acceptor, opener }) => Promise.all([opener.writer.close(), acceptor.look()]),
  "half-closed by the acceptor": ({ acceptor, opener }) => Promise.all([acceptor.writer.close(), opener.look()]),
  "half-closed by both": ({ acceptor, opener }) =>
    Promise.all([opener.writer.close(), acceptor.writer.close(), opener.look(), acceptor.look()]),
  "stopped by the opener": ({ opener }) => opener.reader.cancel("o stops"),
  "stopped by the acceptor": ({ acceptor }) => acceptor.reader.cancel("a stops"),
  "stopped by both": ({ acceptor, opener }) =>
    Promise.all([opener.reader.cancel("o stops"), acceptor.reader.cancel("a stops")]),
  "with a write of the opener that waits for the window": ({ opener }) => opener.write("x".repeat(5_000)),
  "with a write of the acceptor that waits for the window": ({ acceptor }) => acceptor.write("x".repeat(5_000)),
  "with reads that wait": ({ acceptor, opener }) => (opener.read(), acceptor.read()),
  "with an item half received": (
    { acceptor, opener },
  ) => (acceptor.read(), opener.write("x".repeat(5_000))),
  "over": async ({ acceptor, handler, opener, stream }) => {
    handler.resolve("over");
    await stream.result;
    await Promise.all([opener.look(), acceptor.look()]);
  },
};

/** A way to end it, and the reason that both ends then have; `undefined` where they end well. */
interface Action {
  readonly act: (pair: Pair) => unknown;
  /** What ends what is still open: at the opener, and at the acceptor. */
  readonly why: readonly [opener: string, acceptor: string];
  /** What the result is. */
  readonly result: string;
  /** True if the connection is over, too. */
  readonly cuts?: boolean;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  "the opener aborts": { act: ({ stream }) => stream.abort(new Error("why")), why: ["why", "why"], result: "why" },
  "the opener's signal is aborted": {
    act: ({ controller }) => controller.abort(new Error("why")),
    why: ["why", "why"],
    result: "why",
  },
  "the handler throws": {
    act: ({ handler }) => handler.reject(new Error("why")),
    why: ["why", "why"],
    result: "why",
  },
  "the handler returns": {
    act: ({ handler }) => handler.resolve("value"),
    why: ["answered", "answered"],
    result: "value",
  },
  "the connection is cut": {
    act: ({ peers }) => peers.info.close("going-away", { drain: 0 }),
    why: ["cut", "cut"],
    result: "cut",
    cuts: true,
  },
  "the client closes without drain": {
    act: ({ peers }) => peers.client.close({ drain: 0 }),
    why: ["cut", "cut"],
    result: "cut",
    cuts: true,
  },
  "the server closes, and its drain passes": {
    act: ({ peers }) => peers.server.close({ drain: 100 }),
    why: ["cut", "cut"],
    result: "cut",
    cuts: true,
  },
  "the client closes with drain, and the handler returns in time": {
    act: ({ handler, peers }) => {
      void peers.client.close({ drain: 100 });
      handler.resolve("value");
    },
    why: ["answered", "answered"],
    result: "value",
    cuts: true,
  },
};

/** Aborts by a writer: where its direction has ended or was stopped already, it does nothing any more. */
const WRITER_ABORTS: Readonly<Record<string, (pair: Pair) => End>> = {
  "the opener's writer aborts": ({ opener }) => opener,
  "the acceptor's writer aborts": ({ acceptor }) => acceptor,
};

async function pairOf(serverOpens: boolean): Promise<Pair & AsyncDisposable> {
  const peers = await streamPeers({ streamWindow: 1_024 });
  const [opener, acceptor] = serverOpens ? [peers.info, peers.client] : [peers.client, peers.server];
  const handler = deferred<string>();
  handler.promise.catch(() => {});
  const { promise, resolve } = deferred<Accepted>();
  acceptor.stream(BOTH, (stream) => {
    resolve(stream);
    return handler.promise;
  });
  acceptor.route(NOTE, ({ data }) => data);
  const controller = new AbortController();
  const stream = (opener as Client | ConnectedClient).open(BOTH, undefined, { signal: controller.signal });
  const incoming = await promise;
  return {
    peers,
    stream,
    opener: new End(stream),
    acceptor: new End(incoming),
    incoming,
    handler,
    controller,
    async [Symbol.asyncDispose](): Promise<void> {
      handler.resolve("");
      await peers[Symbol.asyncDispose]();
    },
  };
}

/** What both ends must see: what the state has ended already stays, all else has the reason. */
function expected(state: string, before: Seen, why: string, side: "opener" | "acceptor"): Seen {
  const over = state === "over" || before.reads !== "" && before.writes !== "";
  // The answer ends what the opener reads, as END does.
  const reads = before.reads || (why === "answered" && side === "opener" ? "end" : why);
  return over ? before : { reads, writes: before.writes || why };
}

for (const serverOpens of [false, true]) {
  describe(`a stream that the ${serverOpens ? "server" : "client"} opens`, () => {
    for (const [state, lead] of Object.entries(STATES)) {
      for (const [what, { act, cuts = false, result, why }] of Object.entries(ACTIONS)) {
        it(`${state}: ${what}`, async () => {
          await using pair = await pairOf(serverOpens);
          const { acceptor, incoming, opener, peers, stream } = pair;
          const waits = state.includes("of the acceptor that waits");
          await lead(pair);
          await peers.client.ping();
          await peers.client.ping();
          const before = { opener: { ...opener.seen }, acceptor: { ...acceptor.seen } };
          const outcome = stream.result.then((value) => value, told);
          const acting = act(pair);
          // A handler that returned has its writes sent first. Here nobody reads, so that it waits with its answer.
          if (waits && what.includes("returns")) {
            await peers.client.ping().catch(() => {});
            assertEquals(opener.seen, { reads: "", writes: "" });
            opener.read();
          }
          if (!cuts) {
            // One round trip.
            await peers.client.ping();
            await peers.client.ping();
          } else {
            await peers.world.clock.advance(20_000);
            await acting;
          }
          assertEquals(await outcome, state === "over" ? "over" : result);
          if (waits && what.includes("returns")) await until(() => opener.items.length === 1);
          await Promise.all([opener.look(), acceptor.look()]);
          assertEquals(opener.seen, expected(state, before.opener, why[0], "opener"), "opener");
          assertEquals(acceptor.seen, expected(state, before.acceptor, why[1], "acceptor"), "acceptor");
          const aborted = state !== "over" && !["the handler throws", "the handler returns"].includes(what) &&
            result !== "value";
          assertEquals(incoming.signal.aborted, aborted, "signal");
          const reported = what === "the handler throws" && state !== "over" ? ["Error: why"] : [];
          assertEquals(peers.errors.map(String), reported);
          if (cuts) return;
          const other = serverOpens ? peers.info : peers.client;
          assertEquals(await other.request(NOTE, "on"), "on", "the connection goes on");
          assertEquals(other.stats().openStreams ?? 0, 0);
        });
      }
      for (const [what, sideOf] of Object.entries(WRITER_ABORTS)) {
        it(`${state}: ${what}`, async () => {
          await using pair = await pairOf(serverOpens);
          const { acceptor, opener, peers, stream } = pair;
          await lead(pair);
          await peers.client.ping();
          await peers.client.ping();
          const before = { opener: { ...opener.seen }, acceptor: { ...acceptor.seen } };
          const side = sideOf(pair);
          const open = side.seen.writes === "";
          let over = state === "over" ? "over" : "";
          stream.result.then((value) => over = value, (error) => over = told(error));
          await Promise.race([side.writer.abort(new Error("why")).catch(() => {}), peers.client.ping()]);
          await peers.client.ping();
          await peers.client.ping();
          assertEquals(over, state === "over" ? "over" : open ? "why" : "");
          if (!open) {
            assertEquals([opener.seen, acceptor.seen], [before.opener, before.acceptor]);
            return;
          }
          assertEquals(opener.seen, expected(state, before.opener, "why", "opener"), "opener");
          assertEquals(acceptor.seen, expected(state, before.acceptor, "why", "acceptor"), "acceptor");
          assertEquals(peers.errors, []);
        });
      }
    }

    it("opening, while its frame waits for credit: each way to give it up reaches the acceptor behind it", async () => {
      for (const way of ["abort", "signal", "close"] as const) {
        await using peers = await streamPeers({ maxQueuedBytes: 300, maxQueuedMessages: 1, maxConcurrentHandlers: 1 });
        const [opener, acceptor] = serverOpens ? [peers.info, peers.client] : [peers.client, peers.server];
        const gate = deferred();
        const seen: unknown[] = [];
        acceptor.route(NOTE, async ({ data }) => {
          await gate.promise;
          return data;
        });
        acceptor.stream(BOTH, async ({ signal }) => {
          if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
          seen.push(signal.reason);
          return "";
        });
        const asked = [1, 2, 3].map(() => opener.request(NOTE, "x".repeat(200)).catch(() => {}));
        const controller = new AbortController();
        const stream = opener.open(BOTH, undefined, { signal: controller.signal });
        const writing = stream.writable.getWriter().write("waits").then(() => "done", told);
        const result = stream.result.then(() => "done", told);
        await peers.client.ping();
        assertEquals(seen, []);
        if (way === "abort") stream.abort(new Error("why"));
        else if (way === "signal") controller.abort(new Error("why"));
        else await (serverOpens ? peers.info.close("going-away", { drain: 0 }) : peers.client.close({ drain: 0 }));
        assertEquals([await result, await writing], way === "close" ? ["cut", "cut"] : ["why", "why"]);
        gate.resolve();
        await Promise.all(asked);
        if (way === "close") continue;
        await until(() => seen.length === 1);
        assertEquals((seen[0] as Error).message, "why");
        assert(peers.errors.length === 0);
      }
    });
  });
}
