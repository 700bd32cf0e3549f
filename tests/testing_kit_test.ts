/** The test kit's servers, clients, recorders and assertions, in memory and over real sockets. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConnectionError, json, messageType, text } from "../mod.ts";
import {
  assertConnected,
  assertEvent,
  assertFailsWith,
  AssertionError,
  assertReceived,
  connect,
  EventRecorder,
  type ExpectMatchers,
  FakeClock,
  Inbox,
  matchers,
  memoryWorld,
  recordEvents,
  serve,
  socketWorld,
  withClock,
  type World,
} from "../src/testing/mod.ts";

const CHAT = messageType(200, "chat", text);
const POINT = messageType(201, "point", json<{ x: number; y?: number }>());
const ADD = messageType(202, "add", json<{ a: number; b: number }>(), json<number>());

const WORLDS: readonly [name: string, make: () => Promise<World>][] = [
  ["in memory", () => Promise.resolve(memoryWorld())],
  ["over sockets", () => socketWorld()],
  ["over sockets, with a fake clock", () => socketWorld(new FakeClock())],
];

/** The message of the AssertionError that a function throws. */
function complaint(wrong: () => void): string {
  return assertThrows(wrong, AssertionError).message;
}

describe("serve() and connect()", () => {
  for (const [name, make] of WORLDS) {
    it(`talk to each other, ${name}, and close when the test leaves them`, async () => {
      const world = await make();
      let server: { readonly clients: readonly unknown[] };
      let client: { readonly state: string };
      {
        await using served = await serve({ world }, (server) => server.route(ADD, ({ data: { a, b } }) => a + b));
        await using connected = await connect(served);
        server = served.server;
        client = connected.client;
        assertEquals(await connected.client.request(ADD, { a: 1, b: 2 }), 3);
        assertEquals((await served.events.next("connect"))[0].id, 1);
        assertEquals([server.clients.length, client.state], [1, "connected"]);
        assertEquals(served.world, world);
      }
      assertEquals([server.clients.length, client.state], [0, "disconnected"]);
    });
  }

  it("take options, and a setup that comes before the start", async () => {
    const seen: string[] = [];
    await using served = await serve({ maxConnections: 1 }, (server) => {
      server.on("listening", () => void seen.push("listening"));
    });
    await using _first = await connect(
      served,
      {},
      (client) => void client.on("connect", () => void seen.push("connect")),
    );
    assertEquals(seen, ["listening", "connect"]);
    await assertFailsWith(connect(served), "too-many-connections");
  });

  it("connect by an address only in a world", async () => {
    await using served = await serve();
    await using connected = await connect(served.address, { world: served.world });
    assertConnected(connected.client);
    // @ts-expect-error: it needs a world.
    await assertRejects(() => connect(served.address), TypeError, "connect() needs the option world beside an address");
  });

  it("leave nothing behind when the connection fails", async () => {
    const { clock, transport } = memoryWorld();
    await assertFailsWith(connect({ hostname: "127.0.0.1", port: 9 }, { world: { clock, transport } }), "refused");
    assertEquals(clock.pending, 0);
  });

  it("keep the log lines", async () => {
    await using served = await serve({}, (server) =>
      server.route(CHAT, () => {
        throw new Error("oops");
      }));
    await using connected = await connect(served);
    connected.client.send(CHAT, "hi");
    await served.events.next("error");
    assertEquals(served.log.lines, []);
    served.log.warn("a", 1);
    assertEquals(served.log.lines, [["warn", "a", 1]]);
  });
});

describe("a memory world", () => {
  it("cuts the network in two, and lets all that was sent come when it heals", async () => {
    await using served = await serve();
    const { world } = served;
    const inbox = new Inbox(served.server, CHAT);
    await using connected = await connect(served);
    world.partition();
    connected.client.send(CHAT, "late");
    const third = connect(served);
    await world.clock.advance(1_000);
    assertEquals([inbox.all, world.partitioned, world.lines.length], [[], true, 1]);
    world.heal();
    assertEquals([await inbox.next(), world.partitioned], ["late", false]);
    await (await third)[Symbol.asyncDispose]();
    assertEquals(world.lines.length, 2);
  });

  it("lets an attempt to connect be aborted in a partition", async () => {
    const world = memoryWorld();
    await using listener = await world.transport.listen({ hostname: "127.0.0.1", port: 0 });
    world.partition();
    const abort = new AbortController();
    const connecting = world.transport.connect(listener.address, { signal: abort.signal });
    abort.abort(new RangeError("enough"));
    await assertRejects(() => connecting, RangeError, "enough");
  });

  it("plays faults, and passes on each line", async () => {
    let opened = 0;
    const world = memoryWorld({
      faults: ({ side }) => side === "client" ? { resetAfter: 3 } : undefined,
      opened: () => opened++,
    });
    await using served = await serve({ world });
    await assertRejects(() => connect(served), ConnectionError);
    assertEquals(opened, 1);
  });

  it("gives its time to another transport", () => {
    const { clock, transport } = memoryWorld();
    assertEquals(withClock({ ...transport, eventLoop: undefined }, clock).eventLoop!.clock, clock);
  });
});

describe("an EventRecorder", () => {
  const events = (): { emit(name: string, ...args: unknown[]): void; recorder: EventRecorder } => {
    const listeners = new Map<string, (...args: unknown[]) => void>();
    const recorder = new EventRecorder(
      { on: (name: string, listener: () => void) => listeners.set(name, listener) },
      ["a", "b"],
    );
    return { recorder, emit: (name, ...args) => listeners.get(name)!(...args) };
  };

  it("hands out events one by one, those that came and those to come", async () => {
    const { emit, recorder } = events();
    emit("a", 1);
    const next = [recorder.next("a"), recorder.next("a"), recorder.next("b")];
    emit("a", 2);
    emit("b", 3);
    emit("a", 4);
    assertEquals(await Promise.all(next), [[1], [2], [3]]);
    assertEquals(recorder.take("a"), [4]);
    assertEquals(recorder.of("a"), [[1], [2], [4]]);
    assertEquals(recorder.all.map(([name]) => name), ["a", "a", "b", "a"]);
  });

  it("says what came when the one to take did not", () => {
    const { emit, recorder } = events();
    assertEquals(complaint(() => recorder.take("a")), 'Expected the event "a": nothing came');
    emit("b", { deep: { er: [1] } }, "x");
    assertEquals(
      complaint(() => recorder.take("a")),
      'Expected the event "a": what came was\n  b {deep: {er: [1]}} "x"',
    );
  });

  it("refuses a name that it does not record, which would never come", () => {
    const { recorder } = events();
    assertThrows(() => recorder.take("c"), TypeError, 'Events "c" are not recorded, only a, b');
    assertThrows(() => recorder.next("c"), TypeError, "not recorded");
  });

  it("records the same of a server and of a client as recordEvents()", async () => {
    await using served = await serve();
    await using connected = await connect(served);
    const [client] = await served.events.next("connect");
    const more = recordEvents(connected.client);
    await client.close();
    assertEquals((await more.next("disconnect"))[0].permanent, true);
    assertEquals((await served.events.next("disconnect"))[0], client);
  });
});

describe("an Inbox", () => {
  it("keeps payloads in order, and hands them out once", async () => {
    await using served = await serve();
    const inbox = new Inbox(served.server, CHAT);
    assertEquals(complaint(() => inbox.take()), "Expected a message of type chat (200): none came");
    await using connected = await connect(served);
    const first = inbox.next();
    for (const line of ["one", "two", "three"]) connected.client.send(CHAT, line);
    assertEquals([await first, await inbox.next()], ["one", "two"]);
    await served.world.clock.settle();
    assertEquals([inbox.take(), inbox.all], ["three", ["one", "two", "three"]]);
  });
});

describe("the assertions and matchers", () => {
  it("are what `expect.extend` takes, by their types, too", () => {
    // deno-lint-ignore no-explicit-any
    const taken: Readonly<Record<string, (received: any, ...args: any[]) => unknown>> = matchers;
    const here: (keyof ExpectMatchers)[] = ["toBeConnected", "toHaveReceived", "toHaveEvent", "toFailWith"];
    assertEquals(Object.keys(taken), here);
  });

  /** What a matcher says, and that it says the contrary of its assertion. */
  const judged = (result: { pass: boolean; message(): string }): [boolean, string] => [result.pass, result.message()];

  it("about clients", async () => {
    await using served = await serve();
    const connected = await connect(served);
    assertConnected(connected.client);
    assertEquals(judged(matchers.toBeConnected(connected.client)), [true, "Expected the client not to be connected"]);
    await connected[Symbol.asyncDispose]();
    const message = 'Expected the client to be connected, but it is "disconnected"';
    assertEquals(complaint(() => assertConnected(connected.client)), message);
    assertEquals(judged(matchers.toBeConnected(connected.client)), [false, message]);
  });

  it("about messages: like it, any, and none", async () => {
    await using served = await serve();
    const inbox = new Inbox(served.server, POINT);
    assertEquals(complaint(() => assertReceived(inbox)), "Expected a message of type point (201): none came");
    await using connected = await connect(served);
    connected.client.send(POINT, { x: 1, y: 2 });
    await served.world.clock.settle();
    assertReceived(inbox);
    assertReceived(inbox, { x: 1 });
    const message = "Expected a message {x: 2} of type point (201): what came was\n  {x: 1, y: 2}";
    const error = assertThrows(() => assertReceived(inbox, { x: 2 }), AssertionError, message);
    assertEquals([error.name, error.actual, error.expected], ["AssertionError", [{ x: 1, y: 2 }], { x: 2 }]);
    assertEquals(judged(matchers.toHaveReceived(inbox, { x: 2 })), [false, message]);
    assertEquals(judged(matchers.toHaveReceived(inbox)), [true, "Expected no message of type point (201)"]);
  });

  it("about events", async () => {
    await using served = await serve();
    await using connected = await connect(served);
    assertEvent(connected.events, "connect");
    assertEvent(connected.events, "connect", { attempt: 0, protocol: "native" });
    assertStringIncludes(
      complaint(() => assertEvent(connected.events, "connect", { attempt: 1 })),
      'Expected the event "connect" {attempt: 1}: what came was\n  connect {protocol: "native", attempt: 0}',
    );
    assertEquals(matchers.toHaveEvent(connected.events, "disconnect").pass, false);
    assertEquals(judged(matchers.toHaveEvent(connected.events, "connect")), [true, 'Expected no event "connect"']);
    // An event that is not recorded is a fault of the test, for .not, too.
    assertEquals(matchers.toHaveEvent(served.events, "connect").pass, true);
  });

  it("about errors by their code", async () => {
    const refused = (): Promise<never> => Promise.reject(new ConnectionError("refused", "nobody is there"));
    assertEquals((await assertFailsWith(refused(), "refused")).message, "nobody is there");
    assertEquals((await assertFailsWith(refused, "refused")).code, "refused");
    const other = await assertRejects(() => assertFailsWith(refused, "timeout"), AssertionError);
    assertEquals(
      other.message,
      'Expected an error with the code "timeout", but got ConnectionError refused: nobody is there',
    );
    const none = await assertRejects(() => assertFailsWith(Promise.resolve(7), "timeout"), AssertionError);
    assertEquals(none.message, 'Expected an error with the code "timeout", but it resolved with 7');
    assertEquals((await matchers.toFailWith(refused, "refused")).pass, true);
    assertEquals(judged(await matchers.toFailWith(refused, "timeout")), [false, other.message]);
  });

  it("compare as a reader expects", async () => {
    const inbox = (data: unknown): Inbox<unknown> => {
      let handler: (message: { data: unknown }) => void;
      const made = new Inbox({ route: (_type, given) => handler = given }, CHAT as never);
      handler!({ data });
      return made;
    };
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    const like: [unknown, unknown, boolean][] = [
      [[1, 2], [1, 2], true],
      [[1, 2, 3], [1, 2], false],
      [{ a: [1] }, { a: [1] }, true],
      [{ a: 1 }, { a: undefined }, false],
      [Uint8Array.of(1, 2), Uint8Array.of(1, 2), true],
      [Uint8Array.of(1, 2), Uint8Array.of(1, 3), false],
      [Uint8Array.of(1), [1], false],
      [[], {}, false],
      [new Map([[1, { a: 1, b: 2 }]]), new Map([[1, { a: 1 }]]), true],
      [new Set([1]), new Set([2]), false],
      [new Date(5), new Date(5), true],
      [new Date(5), new Date(6), false],
      [new RangeError("x"), new RangeError("x"), true],
      [new RangeError("x"), new TypeError("x"), false],
      [NaN, NaN, true],
      [null, {}, false],
      ["a", "b", false],
    ];
    for (const [actual, expected, fits] of like) {
      const { pass, message } = matchers.toHaveReceived(inbox(actual), expected);
      assertEquals(pass, fits, message());
    }
    // What cannot be shown in full is shown all the same.
    for (const value of [cycle, "x".repeat(1_000), 5n, () => {}, Symbol("s"), new Uint8Array(100)]) {
      assert(matchers.toHaveReceived(inbox(value), "no").message().length < 400);
    }
    await Promise.resolve();
  });
});
