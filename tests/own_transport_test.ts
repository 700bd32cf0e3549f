/** A transport of the user's own: two methods, and connections with what they must have. */

import { COMMON_OPTIONS } from "../src/app/config.ts";
import { readOptions } from "../src/base/checks.ts";
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, ConnectionError, json, messageType, Server } from "../mod.ts";
import { nodeTransport } from "../src/adapters/node.ts";
import { runtimeLoop } from "../src/adapters/runtime_loop.ts";
import { EndpointCore } from "../src/app/endpoint_core.ts";
import { anyLoop } from "../src/base/event_loop.ts";
import { Client as CoreClient } from "../src/client/client.ts";
import { Server as CoreServer } from "../src/server/server.ts";
import type { Address, Connection, EventLoop, Listener, Transport } from "../src/transport.ts";
import { memoryWorld, realTransport } from "./session_support.ts";

const ADD = messageType(200, "add", json<[number, number]>(), json<number>());
const AT: Address = { hostname: "own", port: 8080 };

/** One direction: what was written and is not read yet. */
class Direction {
  #chunks: (Uint8Array | null)[] = [];
  #broken: Error | undefined = undefined;
  #wake = Promise.withResolvers<void>();

  put(chunk: Uint8Array | null): void {
    this.#chunks.push(chunk);
    this.#tell();
  }

  break(error: Error): void {
    this.#broken ??= error;
    this.#tell();
  }

  async next(): Promise<Uint8Array | null> {
    while (this.#chunks.length === 0) {
      if (this.#broken !== undefined) throw this.#broken;
      await this.#wake.promise;
    }
    return this.#chunks[0] === null ? null : this.#chunks.shift()!;
  }

  #tell(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** No more than the interface asks for: no `readTo`, no `recycle`, no streams. */
class OwnConnection implements Connection {
  readonly local = AT;
  readonly remote = AT;
  readonly closed: Promise<Error | undefined>;
  readonly #in: Direction;
  readonly #out: Direction;
  readonly #end: (error: Error | undefined) => void;
  #halves = 0;

  constructor(incoming: Direction, outgoing: Direction) {
    this.#in = incoming;
    this.#out = outgoing;
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.closed = promise;
    this.#end = resolve;
  }

  async read(): Promise<Uint8Array | null> {
    const chunk = await this.#in.next();
    if (chunk === null) this.#half();
    return chunk;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#out.put(bytes.slice());
    return Promise.resolve();
  }

  closeWrite(): Promise<void> {
    this.#out.put(null);
    this.#half();
    return Promise.resolve();
  }

  abort(reason: Error = new ConnectionError("closed", "aborted")): void {
    this.#in.break(reason);
    this.#out.break(new ConnectionError("reset", "the peer aborted"));
    this.#end(reason);
  }

  unref(): void {}

  #half(): void {
    if (++this.#halves === 2) this.#end(undefined);
  }
}

/** A network with one place to listen at. */
function ownTransport(eventLoop?: EventLoop): Transport {
  let accept: ((connection: Connection) => void) | undefined;
  return {
    name: "own",
    eventLoop,
    connect(): Promise<Connection> {
      if (accept === undefined) return Promise.reject(new ConnectionError("refused", "nobody listens"));
      const [up, down] = [new Direction(), new Direction()];
      accept(new OwnConnection(up, down));
      return Promise.resolve(new OwnConnection(down, up));
    },
    listen(): Promise<Listener> {
      const came = new TransformStream<Connection, Connection>(undefined, undefined, { highWaterMark: 100 });
      const writer = came.writable.getWriter();
      accept = (connection) => void writer.write(connection);
      const close = async (): Promise<void> => {
        accept = undefined;
        await writer.close().catch(() => {});
      };
      return Promise.resolve({
        address: AT,
        close,
        unref: () => {},
        [Symbol.asyncIterator]: () => came.readable[Symbol.asyncIterator](),
        [Symbol.asyncDispose]: close,
      });
    },
  };
}

describe("a transport of one's own", () => {
  for (
    const [whose, ServerClass, ClientClass] of [["the entry", Server, Client], [
      "the core",
      CoreServer,
      CoreClient,
    ]] as const
  ) {
    it(`is two methods: a Server and a Client of ${whose} talk over it, and end`, async () => {
      const transport = ownTransport();
      const server = new ServerClass({ transport });
      server.route(ADD, ({ data: [a, b] }) => a + b);
      await server.start();
      const client = new ClientClass({ transport });
      const ended = new Promise((resolve) => client.on("disconnect", ({ reason }) => resolve(reason)));
      await client.connect();
      assertEquals(await client.request(ADD, [1, 2]), 3);
      assert(await client.ping() >= 0);
      const many = Array.from({ length: 3_000 }, (_, i) => client.request(ADD, [i, i]));
      assertEquals((await Promise.all(many)).at(-1), 5_998);
      await server.close();
      assertEquals(await ended, "going-away");
      await client.closed;
    });
  }

  it("may have a time of its own, which a Server and a Client follow", async () => {
    const { clock } = memoryWorld();
    const transport = ownTransport({ ...anyLoop, clock });
    const server = new Server({ transport });
    let given = 0;
    server.route(ADD, ({ signal }) => {
      signal.addEventListener("abort", () => given++);
      return new Promise<number>(() => {});
    });
    await server.start();
    const client = new Client({ transport });
    await client.connect();
    let code: unknown;
    client.request(ADD, [1, 2], { timeout: 10_000 }).catch((error) => code = error.code);
    await clock.advance(9_900);
    assertEquals([code, given], [undefined, 0]);
    await clock.advance(200);
    await clock.settle();
    assertEquals([code, given], ["timeout", 1]);
    await Promise.all([client.close({ drain: 0 }), server.close({ drain: 0 })]);
    assertEquals(clock.pending, 0);
  });
});

describe("the event loop", () => {
  const core = (platform?: EventLoop): EndpointCore<Record<string, unknown[]>> =>
    new EndpointCore(
      readOptions("options", { transport: ownTransport() }, COMMON_OPTIONS),
      [],
      platform && { eventLoop: platform } as never,
    );

  it("is that of the transport, else that of the runtime, else what every runtime has", () => {
    const [own, runtime] = [{ ...anyLoop }, runtimeLoop()];
    assertStrictEquals(core(runtime).loopOf(ownTransport(own)), own);
    assertStrictEquals(core(runtime).loopOf(ownTransport()), runtime);
    assertStrictEquals(core().loopOf(ownTransport()), anyLoop);
  });

  it("is fair to sockets on Deno, by the transports of Deno and of Node, and without a loop of the transport", async () => {
    const deno = "Deno" in globalThis;
    const fair = (loop: EventLoop | undefined): boolean => loop !== undefined && loop.yield !== anyLoop.yield;
    assertEquals(fair(nodeTransport().eventLoop), deno);
    assertEquals(fair(core(runtimeLoop()).loopOf(await realTransport())), deno);
    assertEquals(fair(runtimeLoop()), deno);
    assertEquals(fair((await realTransport()).eventLoop), deno);
    assertEquals(fair(memoryWorld().transport.eventLoop), false);
  });
});
