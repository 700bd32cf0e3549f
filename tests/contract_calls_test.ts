/** A contract as an interface: `implement()` and `caller()`, in both directions. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bytes,
  caller,
  type CallTarget,
  Client,
  ConnectionError,
  empty,
  errorOf,
  implement,
  isErrorOf,
  json,
  type Message,
  messageType,
  MessageTypeError,
  messageTypes,
  PayloadError,
  RemoteError,
  Server,
  text,
  TimeoutError,
} from "../mod.ts";
import { settled, type StreamPeers, streamPeers } from "./streams_support.ts";
import { advanceUntil, deferred, memoryWorld, realWorld, serve, until } from "./session_support.ts";

const contract = messageTypes({
  add: [json<{ a: number; b: number }>(), json<number>()],
  note: text,
  nudge: empty,
  time: [empty, json<number>()],
  save: [text, empty],
  find: { payload: json<number>(), reply: text, errors: ["not-found", "busy"] },
  count: { stream: { head: json<number>(), up: false, down: json<number>(), result: text, errors: ["negative"] } },
  upload: { stream: { head: json<{ name: string }>(), down: false, result: json<number>() } },
  echo: { stream: { up: text, down: text } },
  raw: { code: 300, payload: bytes, reply: bytes },
});
const { add, note } = contract;

/** Handlers of the whole contract, which keep what came without an answer. */
// deno-lint-ignore explicit-function-return-type
function handlers(kept: unknown[] = []) {
  return {
    add: ({ data }: Message<{ a: number; b: number }>): number => data.a + data.b,
    note: ({ data }: Message<string>): void => void kept.push(data),
    nudge: ({ data }: Message<void>): void => void kept.push(data),
    time: (): Promise<number> => Promise.resolve(1_234),
    save: ({ data }: Message<string>): void => void kept.push(`saved ${data}`),
    find: ({ data }: Message<number>): string => {
      if (data === 1) return "Ada";
      throw errorOf(contract.find, data === 2 ? "busy" : "not-found", `There is no ${data}`);
    },
    async *count({ head }: { readonly head: number }): AsyncGenerator<number, string> {
      if (head < 0) throw errorOf(contract.count, "negative");
      for (let i = 0; i < head; i++) yield i;
      return "done";
    },
    upload: async ({ readable }: { readonly readable: ReadableStream<Uint8Array> }): Promise<number> => {
      let size = 0;
      for await (const chunk of readable) size += chunk.length;
      return size;
    },
    async *echo({ readable }: { readonly readable: ReadableStream<string> }): AsyncGenerator<string, void> {
      for await (const line of readable) yield line.toUpperCase();
    },
    raw: ({ data }: Message<Uint8Array>): Uint8Array => data.toReversed(),
  } as const;
}

/** The two directions: who implements, and who calls. */
function ways({ client, server, info }: StreamPeers): readonly (readonly [Server | Client, CallTarget])[] {
  return [[server, client], [client, info]];
}

/** Implements a contract on either side. */
function serveAll(side: Server | Client, kept: unknown[] = []): Disposable {
  return side instanceof Server ? implement(side, contract, handlers(kept)) : implement(side, contract, handlers(kept));
}

describe("implement() and caller()", () => {
  it("carry requests, messages and streams of every kind, in both directions", async () => {
    await using peers = await streamPeers();
    for (const [side, target] of ways(peers)) {
      const kept: unknown[] = [];
      using _routes = serveAll(side, kept);
      const api = caller(target, contract);
      assertEquals(await api.add({ a: 1, b: 2 }), 3);
      assertEquals(api.note("hello"), true);
      assertEquals(api.nudge(), true);
      assertEquals(await api.time(), 1_234);
      assertEquals(await api.save("this"), undefined);
      assertEquals(kept, ["hello", undefined, "saved this"]);
      assertEquals(await api.find(1), "Ada");
      assertEquals(await api.raw(Uint8Array.of(1, 2, 3)), Uint8Array.of(3, 2, 1));

      const count = api.count(3);
      const got: number[] = [];
      for await (const number of count) got.push(number);
      assertEquals([got, await count.result], [[0, 1, 2], "done"]);

      const upload = api.upload({ name: "a" });
      await new Blob([new Uint8Array(100_000)]).stream().pipeTo(upload.writable as WritableStream);
      assertEquals(await upload.result, 100_000);

      const echo = api.echo();
      const writer = echo.writable.getWriter();
      const lines: string[] = [];
      void writer.write("a").then(() => writer.write("b")).then(() => writer.close());
      for await (const line of echo.readable) lines.push(line);
      assertEquals([lines, await echo.result], [["A", "B"], undefined]);
    }
    assertEquals(peers.errors, []);
  });

  it("work over real sockets", async () => {
    await using peers = await streamPeers({}, await realWorld());
    implement(peers.server, contract, handlers());
    const api = caller(peers.client, contract);
    const got: number[] = [];
    for await (const number of api.count(100)) got.push(number);
    assertEquals([await api.add({ a: 1, b: 2 }), got.length], [3, 100]);
  });

  it("tell the declared errors of requests and streams apart", async () => {
    await using peers = await streamPeers();
    for (const [side, target] of ways(peers)) {
      using _routes = serveAll(side);
      const api = caller(target, contract);
      const codes: string[] = [];
      for (const number of [2, 3]) {
        const error = await api.find(number).catch((error) => error);
        assert(isErrorOf(error, contract.find));
        codes.push(error.code, error.message);
      }
      assertEquals(codes, ["busy", "There is no 2", "not-found", "There is no 3"]);
      let caught: unknown;
      try {
        for await (const _ of api.count(-1));
      } catch (error) {
        caught = error;
      }
      assert(isErrorOf(caught, contract.count));
      assertEquals(caught.code, "negative");
    }
    assertEquals(peers.errors, []);
  });
});

describe("implement()", () => {
  it("gives handlers the message or the stream, and the peer", async () => {
    await using peers = await streamPeers();
    const seen: unknown[] = [];
    implement(peers.server, { add }, {
      add: (message, client) => {
        seen.push(client, message.type, message.meta.a);
        return 0;
      },
    });
    implement(peers.client, { add }, {
      add: (_, client) => {
        seen.push(client);
        return 0;
      },
    });
    await caller(peers.client, { add }).add({ a: 1, b: 2 }, { meta: { a: "x" } });
    await caller(peers.info, { add }).add({ a: 1, b: 2 });
    assertStrictEquals(seen[0], peers.info);
    assertStrictEquals(seen[1], add);
    assertEquals(seen[2], "x");
    assertStrictEquals(seen[3], peers.client);
  });

  it("calls each handler as a method of its object, which may be of a class", async () => {
    await using peers = await streamPeers();
    class Sums {
      #last = 0;
      add({ data }: Message<{ a: number; b: number }>): number {
        return this.#last += data.a + data.b;
      }
      async *count(): AsyncGenerator<number, string> {
        yield this.#last;
        return "done";
      }
    }
    const part = { add, count: contract.count };
    implement(peers.server, part, new Sums());
    const api = caller(peers.client, part);
    await api.add({ a: 1, b: 2 });
    assertEquals(await api.add({ a: 1, b: 2 }), 6);
    for await (const last of api.count(1)) assertEquals(last, 6);
  });

  it("removes the routes that it has added, and no others", async () => {
    await using peers = await streamPeers();
    const changes: string[] = [];
    peers.server.on("route", ({ action, name }) => void changes.push(`${action} ${name}`));
    const other = messageType(999, "other", text, text);
    peers.server.route(other, ({ data }) => data);
    const part = { add, note, count: contract.count };
    const { add: adds, note: notes, count } = handlers();
    const routes = implement(peers.server, part, { add: adds, note: notes, count });
    // The program has replaced one of them meanwhile.
    peers.server.unroute(add);
    peers.server.route(add, () => 7);
    routes.remove();
    routes.remove();
    routes[Symbol.dispose]();
    assertEquals(changes, [
      "added other",
      "added add",
      "added note",
      "added count",
      "removed add",
      "added add",
      "removed note",
      "removed count",
    ]);
    const api = caller(peers.client, part);
    assertEquals(await api.add({ a: 1, b: 2 }), 7);
    assertEquals(await peers.client.request(other, "x"), "x");
    const error = await assertRejects(() => api.count(1).result, RemoteError);
    assertEquals(error.code, "no-route");
    // The same can be implemented again.
    peers.server.unroute(add);
    implement(peers.server, part, { add: adds, note: notes, count });
    assertEquals(await api.add({ a: 1, b: 2 }), 3);
  });

  it("lets handlers that are running finish when their routes are removed", async () => {
    await using peers = await streamPeers();
    const go = deferred<number>();
    const begun = deferred();
    const routes = implement(peers.server, { add }, {
      add: () => {
        begun.resolve();
        return go.promise;
      },
    });
    const sum = caller(peers.client, { add }).add({ a: 1, b: 2 });
    await begun.promise;
    routes.remove();
    go.resolve(5);
    assertEquals(await sum, 5);
  });

  it("adds nothing if one route cannot be added", async () => {
    await using peers = await streamPeers();
    const changes: unknown[] = [];
    peers.server.on("route", (change) => void changes.push(change));
    for (const [at, type] of [[contract.upload, "stream"], [contract.raw, "message"], [add, "first"]] as const) {
      peers.server.route(messageType(at.code, "in the way"), () => {});
      changes.length = 0;
      const error = assertThrows(
        () => implement(peers.server, contract, handlers()),
        MessageTypeError,
        `Cannot route "${at.name}": code ${at.code} is routed as "in the way", unroute that first`,
        type,
      );
      assertEquals(error.code, "code-taken");
      assertEquals(changes, []);
      for (const other of [add, note, contract.find, contract.raw]) {
        if (other.code !== at.code) assertEquals(peers.server.unroute(other), false);
      }
      peers.server.unroute(at);
    }
    // Two members with one code are refused, too.
    const twice = { add, other: messageType(add.code, "other", text, text) };
    assertThrows(
      () => implement(peers.server, twice, { add: () => 0, other: () => "" }),
      MessageTypeError,
      `code ${add.code} is routed as "add"`,
    );
    implement(peers.server, contract, handlers());
    assertEquals(await caller(peers.client, contract).add({ a: 1, b: 2 }), 3);
  });

  it("refuses members without handlers and handlers without members, and names them", () => {
    const server = new Server();
    const { add: adds, ...others } = handlers();
    const wrong: [handlers: unknown, says: string][] = [
      [others, 'no handler for "add". To implement a part of it, pass a contract of that part'],
      [{ add: adds }, 'no handler for "note", "nudge", "time"'],
      [{ ...handlers(), add: undefined }, 'no handler for "add"'],
      [{ ...handlers(), add: 5 }, 'the handler of "add" must be a function, not 5'],
      [{ ...handlers(), ad: adds }, 'there are handlers for "ad", and its members are add, note, nudge'],
      [undefined, "its handlers must be an object, not undefined"],
      [null, "its handlers must be an object, not null"],
      [adds, "its handlers must be an object, not of type function"],
    ];
    for (const [handlers, says] of wrong) {
      assertThrows(
        () => implement(server, contract, handlers as never),
        TypeError,
        `Cannot implement the contract: ${says}`,
      );
      assertEquals(server.unroute(note), false);
    }
    // What every object inherits is no handler.
    for (const name of ["toString", "constructor", "valueOf"]) {
      const types = { [name]: messageType(200, name) };
      assertThrows(() => implement(server, types, {} as never), TypeError, `no handler for "${name}"`);
      assertThrows(() => implement(server, { add }, { add: adds, [name]: adds } as never), TypeError, `"${name}"`);
    }
  });

  it("refuses what is no contract, no target and no option", async () => {
    await using peers = await streamPeers();
    for (const target of [undefined, null, 5, {}, peers.info]) {
      assertThrows(
        () => implement(target as never as Server, { add }, { add: () => 0 }),
        TypeError,
        "Cannot implement the contract: the first argument must be a Server or a Client",
      );
    }
    for (const types of [undefined, null, 5, { add: text }, { add: null }, { add: { code: 200, name: "add" } }]) {
      assertThrows(
        () => implement(peers.server, types as never, {} as never),
        TypeError,
        "Cannot implement the contract: a contract is an object of message types",
      );
    }
    const wrong: [options: unknown, error: typeof TypeError | typeof RangeError, says: string][] = [
      [{ route: {} }, TypeError, 'Unknown option "route": implement()\'s options has routes'],
      [{ routes: 5 }, TypeError, "routes must be an object, not 5"],
      [{ routes: { ad: {} } }, TypeError, 'there are options of routes for "ad"'],
      [{ routes: { add: { timout: 5 } } }, TypeError, 'Unknown option "timout"'],
      [{ routes: { add: { timeout: 0 } } }, RangeError, "timeout must be a whole number"],
      [{ routes: { count: {} } }, TypeError, 'Cannot route "count": a route of streams has no options'],
    ];
    for (const [options, error, says] of wrong) {
      assertThrows(
        () => implement(peers.server, contract, handlers(), options as never),
        error,
        says,
      );
      assertEquals(peers.server.unroute(add), false);
    }
    implement(peers.server, contract, handlers(), { routes: { add: undefined, count: undefined } });
  });

  it("takes a part of a contract, and leaves the rest to others", async () => {
    await using peers = await streamPeers();
    implement(peers.server, { add }, { add: () => 1 });
    implement(peers.server, { note }, { note: () => {} });
    const api = caller(peers.client, contract);
    assertEquals(await api.add({ a: 1, b: 2 }), 1);
    const error = await assertRejects(() => api.find(1), RemoteError);
    assertEquals(error.code, "no-route");
    implement(peers.server, {}, {});
  });

  it("sets the options of single routes", async () => {
    const world = memoryWorld();
    await using peers = await streamPeers({}, world);
    const part = { add, find: contract.find };
    const running: number[] = [];
    const go = deferred();
    implement(peers.server, part, {
      add: async ({ data }) => {
        running.push(data.a);
        if (data.a === 1) await go.promise;
        return data.a;
      },
      find: () => new Promise(() => {}),
    }, { routes: { add: { ordered: true }, find: { timeout: 50 } } });
    const api = caller(peers.client, part);
    const late = api.find(1);
    const error = await advanceUntil(world.clock, assertRejects(() => late, RemoteError), 10);
    assertEquals(error.code, "timeout");
    const sums = [api.add({ a: 1, b: 0 }), api.add({ a: 2, b: 0 })];
    await until(() => running.length > 0);
    await peers.client.ping();
    assertEquals(running, [1]);
    go.resolve();
    assertEquals(await Promise.all(sums), [1, 2]);
  });
});

describe("addRoutes()", () => {
  it("adds routes together, and removes those that are still there", async () => {
    await using peers = await streamPeers();
    for (const [side, target] of [[peers.server, peers.client], [peers.client, peers.info]] as const) {
      const remove = side.addRoutes([
        { type: add, handler: ({ data }: Message<{ a: number; b: number }>) => data.a, options: { ordered: true } },
        { type: contract.count, handler: () => ReadableStream.from([1]) },
      ]);
      assertEquals(await target.request(add, { a: 1, b: 2 }), 1);
      for await (const number of target.open(contract.count, 5)) assertEquals(number, 1);
      side.unroute(contract.count);
      remove();
      assertEquals([side.unroute(add), side.unroute(contract.count)], [false, false]);
    }
  });

  it("adds none if one is wrong", () => {
    const server = new Server();
    const right = { type: add, handler: () => 5 };
    const wrong: [routes: unknown, says: string][] = [
      [undefined, "Cannot add routes: they must be a list of { type, handler, options }, not undefined"],
      [right, "Cannot add routes: they must be a list of { type, handler, options }, not of type object"],
      [[right, undefined], "Cannot add routes: each must be { type, handler, options }, not undefined"],
      [[right, { handler: () => 5 }], "Cannot add routes: each must be { type, handler, options }"],
      [[right, { type: note }], 'Cannot route "note": handler must be a function'],
      [[right, { type: { code: 5.5, name: "x" }, handler: () => 5 }], "Cannot route: type must be a message type"],
      [[right, { ...right, type: note, options: { odered: true } }], 'Unknown option "odered"'],
      [[right, { ...right, type: contract.count, options: {} }], "a route of streams has no options"],
    ];
    for (const [routes, says] of wrong) {
      assertThrows(() => server.addRoutes(routes as never), TypeError, says);
      assertEquals(server.unroute(add), false);
    }
  });
});

describe("caller()", () => {
  it("returns a frozen object with one function for each member", () => {
    const api = caller(new Client(), contract);
    assertEquals(Object.keys(api), Object.keys(contract));
    assert(Object.isFrozen(api));
    for (const call of Object.values(api)) assertEquals(typeof call, "function");
    assertEquals(Object.getPrototypeOf(api), Object.prototype);
    const { add: adds } = api;
    assertStrictEquals(adds, api.add);
  });

  it("takes the options of request, send and open last, also where there is nothing to pass", async () => {
    await using peers = await streamPeers();
    const metas: unknown[] = [];
    const keep = ({ meta }: { readonly meta: Readonly<Record<string, string>> }): void => void metas.push(meta.n);
    implement(peers.server, contract, {
      ...handlers(),
      add: (message) => (keep(message), 0),
      note: keep,
      nudge: keep,
      time: (message) => (keep(message), 0),
      echo: keep,
      upload: (stream) => (keep(stream), 0),
    });
    const api = caller(peers.client, contract);
    const meta = (n: number): { readonly meta: { readonly n: string } } => ({ meta: { n: `${n}` } });
    await api.add({ a: 1, b: 2 }, meta(1));
    api.note("x", meta(2));
    api.nudge(meta(3));
    await api.time(meta(4));
    await api.echo(meta(5)).result;
    await api.upload({ name: "x" }, meta(6)).result;
    assertEquals(metas, ["1", "2", "3", "4", "5", "6"]);
    assertThrows(() => api.note("x", { lastest: "x" } as never), TypeError, 'Unknown option "lastest"');
  });

  it("has defaults, which the options of a call replace one by one", async () => {
    const world = memoryWorld();
    await using peers = await streamPeers({}, world);
    const seen: unknown[] = [];
    implement(peers.server, contract, {
      ...handlers(),
      add: ({ meta, timeLeft }) => (seen.push(meta.n, timeLeft), 0),
      note: ({ meta }) => void seen.push(meta.n),
      time: () => new Promise(() => {}),
      echo: ({ meta, timeLeft }) => void seen.push(meta.n, timeLeft),
    });
    const controller = new AbortController();
    const api = caller(peers.client, contract, { timeout: 200, meta: { n: "default" }, signal: controller.signal });
    await api.add({ a: 1, b: 2 });
    await api.add({ a: 1, b: 2 }, { timeout: 300 });
    await api.add({ a: 1, b: 2 }, { meta: { n: "own" }, timeout: undefined });
    api.note("x");
    api.note("x", { meta: { n: "own" } });
    await api.echo().result;
    assertEquals(seen, ["default", 200, "default", 300, "own", 200, "default", "own", "default", undefined]);
    const late = api.time();
    const error = await advanceUntil(world.clock, assertRejects(() => late, TimeoutError), 10);
    assertEquals(error.message, 'No answer to "time" within 200 ms');
    controller.abort(new Error("over"));
    assertEquals(await settled(api.add({ a: 1, b: 2 })), "Error: over");
    assertEquals(await api.add({ a: 1, b: 2 }, { signal: new AbortController().signal }), 0);
    assertThrows(() => api.echo(), Error, "over");
    assertEquals(api.note("x"), true);
  });

  it("gives a call the time that a message has left, by the option within", async () => {
    const world = memoryWorld();
    await using outer = await streamPeers({}, world);
    await using inner = await streamPeers({}, world);
    const left = deferred<number | undefined>();
    implement(inner.server, { add }, {
      add: ({ timeLeft }) => {
        left.resolve(timeLeft);
        return new Promise(() => {});
      },
    });
    implement(outer.server, { add }, {
      add: (message) => caller(inner.client, { add }, { within: message }).add(message.data),
    });
    const sum = caller(outer.client, { add }).add({ a: 1, b: 2 }, { timeout: 100 });
    assertEquals(await left.promise, 100);
    await advanceUntil(world.clock, assertRejects(() => sum, TimeoutError), 10);
  });

  it("cancels a request by its signal, and the handler's signal is aborted", async () => {
    await using peers = await streamPeers();
    const begun = deferred<AbortSignal>();
    implement(peers.server, { add }, {
      add: ({ signal }) => {
        begun.resolve(signal);
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
    });
    const controller = new AbortController();
    const sum = caller(peers.client, { add }).add({ a: 1, b: 2 }, { signal: controller.signal });
    const signal = await begun.promise;
    controller.abort(new Error("not needed"));
    assertEquals(await settled(sum), "Error: not needed");
    await until(() => signal.aborted);
    assertEquals(peers.errors, []);
  });

  it("cancels a stream when its loop is left", async () => {
    await using peers = await streamPeers();
    const ended = deferred();
    implement(peers.server, { count: contract.count }, {
      count: async function* ({ head }): AsyncGenerator<number, string> {
        try {
          for (let i = head;; i++) yield i;
        } finally {
          ended.resolve();
        }
      },
    });
    for await (const number of caller(peers.client, contract).count(5)) {
      if (number === 7) break;
    }
    await ended.promise;
    assertEquals(peers.errors, []);
  });

  it("fails as request, send and open do", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using client = new Client({ ...served.address, transport: world.transport });
    const api = caller(client, contract);
    const error = await assertRejects(() => api.add({ a: 1, b: 2 }), ConnectionError);
    assertEquals(error.code, "not-connected");
    assertThrows(() => api.note("x"), ConnectionError);
    assertThrows(() => api.count(1), ConnectionError);
    await client.connect();
    assertEquals(api.note("x"), true);
  });

  it("refuses a wrong payload, and a payload where there is none", async () => {
    await using peers = await streamPeers();
    serveAll(peers.server);
    const api = caller(peers.client, contract);
    assertThrows(() => api.note(5 as never), TypeError, "it must be a string, not number");
    await assertRejects(() => api.save(5 as never), TypeError, "it must be a string, not number");
    const none = "its type has none, so it must be undefined, not number";
    assertThrows(() => api.nudge(5 as never), TypeError);
    await assertRejects(() => api.time(5 as never), TypeError, none);
    assertThrows(() => api.echo(5 as never), TypeError, none);
    await assertRejects(() => api.time(null as never), TypeError, "not null");
    const small = messageTypes({ add: [json<string>({ maxBytes: 5 }), text] });
    await assertRejects(() => caller(peers.client, small).add("too long"), PayloadError);
  });

  it("queues calls while the client is not connected, if the client does", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {}, (server) => void implement(server, contract, handlers()));
    await using client = new Client({ ...served.address, transport: world.transport, queueWhileDown: true });
    const connected = client.connect();
    const sum = caller(client, contract).add({ a: 1, b: 2 });
    await connected;
    assertEquals(await sum, 3);
  });

  it("refuses what is no peer, no contract and no option", () => {
    const client = new Client();
    for (const peer of [undefined, null, 5, {}, new Server()]) {
      assertThrows(
        () => caller(peer as never, contract),
        TypeError,
        "Cannot make the functions of the contract: the first argument must be a Client or a ConnectedClient",
      );
    }
    for (const types of [undefined, null, 5, { add: text }]) {
      assertThrows(
        () => caller(client, types as never),
        TypeError,
        "Cannot make the functions of the contract: a contract is an object of message types",
      );
    }
    const wrong: [options: unknown, error: typeof TypeError | typeof RangeError, says: string][] = [
      [{ timout: 5 }, TypeError, 'Unknown option "timout": caller()\'s options has meta, signal, timeout, within'],
      [{ timeout: 0 }, RangeError, "timeout must be above 0 and at most 2147483647 ms, not 0"],
      [{ timeout: "5" }, TypeError, 'timeout must be a number, not "5"'],
      [{ signal: 5 }, TypeError, "signal must be an AbortSignal, not 5"],
      [{ meta: { a: 5 } }, TypeError, "meta.a must be a string, not number"],
      [{ within: {} }, TypeError, "within must be a message or a stream, not of type object"],
      [5, TypeError, "caller()'s options must be an object, not 5"],
    ];
    for (const [options, error, says] of wrong) {
      assertThrows(() => caller(client, contract, options as never), error, says);
    }
    caller(client, contract, { timeout: undefined, signal: undefined, meta: undefined, within: undefined });
  });

  it("passes a call on as it is: one call of the peer, and no object for options", async () => {
    const calls: unknown[][] = [];
    const peer = {
      send: (...args: unknown[]) => calls.push(["send", ...args]) > 0,
      request: (...args: unknown[]) => Promise.resolve(calls.push(["request", ...args])),
      open: (...args: unknown[]) => calls.push(["open", ...args]),
    };
    const api = caller(peer, contract);
    const payload = { a: 1, b: 2 };
    const options = { timeout: 5 };
    void await api.add(payload);
    void await api.add(payload, options);
    api.note("x");
    api.count(5);
    assertEquals(calls, [
      ["request", add, payload, undefined],
      ["request", add, payload, options],
      ["send", note, "x", undefined],
      ["open", contract.count, 5, undefined],
    ]);
    assertStrictEquals(calls[0][2], payload);
    assertStrictEquals(calls[1][3], options);
    calls.length = 0;
    const timely = caller(peer, contract, options);
    void await timely.add(payload);
    void await timely.time();
    timely.note("x");
    assertEquals(calls.map((call) => call[3]), [options, options, undefined]);
    assertStrictEquals(calls[0][3], calls[1][3]);
  });
});
