/**
 * What plugins do wrong, in each place where they are called: a table whose cells are tests. A cell says what becomes of the
 * message, of the plugin and of everybody else.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  BackpressureError,
  definePlugin,
  errorOf,
  messageType,
  type Permission,
  type Plugin,
  type PluginChange,
  PluginError,
  type PluginHost,
  type PluginMessage,
  RemoteError,
  text,
} from "../mod.ts";
import { type StreamPeers, streamPeers } from "./streams_support.ts";
import { deferred, memoryWorld, turn, until } from "./session_support.ts";

const ASK = messageType(200, "ask", text, text);
const OTHER = messageType(201, "other", text, text);
const NOTE = messageType(202, "note", text);
const OWN = messageType(203, "own", text, text);

const HOOK_TIMEOUT = 1_000;
const SETUP_TIMEOUT = 3_000;
const MAX_FAILURES = 3;

type Host = PluginHost<Permission>;
/** What a plugin does in the place under test. */
type Deed = (host: Host) => unknown;

/** A place where a plugin is called. */
interface Place {
  readonly name: string;
  /** What it may do in addition. */
  readonly permissions: readonly Permission[];
  /** Adds it to the plugin. Returns the hooks. */
  add(host: Host, deed: () => unknown): object | void;
  /** Calls it once. Resolves with what became of the message, if there is one. */
  reach(peers: StreamPeers): Promise<string>;
  /** What becomes of a message when it throws, when it does not settle, and when nothing is wrong. */
  readonly outcomes: { readonly throws: string; readonly hangs: string; readonly fine: string };
}

/** Asks, and tells the answer or the code of the error. */
function ask(peers: StreamPeers, type = ASK): Promise<string> {
  return peers.client.request(type, "x", { timeout: 60_000 })
    .catch((error) => error instanceof RemoteError ? error.code : `${error}`);
}

const FAILS = { throws: "plugin-failed", hangs: "plugin-timeout", fine: "answered" } as const;
const UNHARMED = { throws: "answered", hangs: "answered", fine: "answered" } as const;

const PLACES: readonly Place[] = [
  {
    name: "before, reading",
    permissions: ["messages:read"],
    add: (_host, deed) => ({ before: deed }),
    reach: ask,
    outcomes: UNHARMED,
  },
  {
    name: "before, modifying",
    permissions: ["messages:modify"],
    add: (_host, deed) => ({ before: deed }),
    reach: ask,
    outcomes: FAILS,
  },
  {
    name: "after, reading",
    permissions: ["messages:read"],
    add: (_host, deed) => ({ after: deed }),
    reach: ask,
    outcomes: UNHARMED,
  },
  {
    name: "after, modifying",
    permissions: ["messages:modify"],
    add: (_host, deed) => ({ after: deed }),
    reach: ask,
    outcomes: FAILS,
  },
  {
    name: "instead",
    permissions: ["messages:modify"],
    add: (_host, deed) => ({ instead: () => Promise.resolve(deed()).then(() => "answered") }),
    reach: ask,
    outcomes: FAILS,
  },
  {
    name: "outgoing, reading",
    permissions: ["messages:read"],
    add: (_host, deed) => ({ outgoing: deed }),
    reach: ({ info }) => call(() => info.send(NOTE, "x")),
    outcomes: { throws: "sent", hangs: "sent", fine: "sent" },
  },
  {
    name: "outgoing, modifying",
    permissions: ["messages:modify"],
    add: (_host, deed) => ({ outgoing: deed }),
    reach: ({ info }) => call(() => info.send(NOTE, "x")),
    // It may not be asynchronous at all.
    outcomes: { throws: "plugin-failed", hangs: "plugin-failed", fine: "sent" },
  },
  {
    name: "a listener",
    permissions: ["events:tag"],
    add: (host, deed) => void host.on("tag", deed),
    reach: async ({ info }) => {
      info.setTag("x");
      return await Promise.resolve(info.hasTag("x") ? "tagged" : "lost");
    },
    outcomes: { throws: "tagged", hangs: "tagged", fine: "tagged" },
  },
  {
    name: "a route",
    permissions: ["routes:add"],
    add: (host, deed) =>
      void host.route(OWN, () => {
        const done = deed();
        return done instanceof Promise ? done.then(() => "answered") : "answered";
      }),
    reach: (peers) => ask(peers, OWN),
    outcomes: FAILS,
  },
  {
    name: "a timer",
    permissions: [],
    add: (host, deed) => void host.setInterval(deed, 100),
    reach: async ({ world }) => {
      await world.clock.advance(100);
      return "nothing";
    },
    outcomes: { throws: "nothing", hangs: "nothing", fine: "nothing" },
  },
];

function call(send: () => unknown): Promise<string> {
  try {
    send();
    return Promise.resolve("sent");
  } catch (error) {
    return Promise.resolve(error instanceof PluginError ? error.code : `${error}`);
  }
}

/** A server with a plugin that does something in a place, a client, and what was told. */
interface Bench extends AsyncDisposable {
  readonly peers: StreamPeers;
  readonly changes: PluginChange[];
  /** Errors that were reported. */
  readonly codes: () => string[];
  state(): string | undefined;
  readonly plugin: Plugin<Permission, void>;
  host(): Host;
}

/** The hooks to which a plugin is attached in all these tests. */
async function bench(place: Place, deed: Deed, how: object = {}): Promise<Bench> {
  const peers = await streamPeers({}, memoryWorld());
  const { server } = peers;
  const changes: PluginChange[] = [];
  server.on("plugin", (change) => void (change.state !== "on" && changes.push(change)));
  server.route(ASK, () => "answered");
  server.route(OTHER, () => "other");
  let host: Host;
  const plugin = definePlugin<Permission>({
    name: "bad",
    version: "1.0.0",
    permissions: ["messages:send", "clients:read", "stats", ...place.permissions],
    setup: (given) => {
      host = given;
      return place.add(given, () => deed(given)) as never;
    },
  });
  await server.register(plugin, undefined, { hookTimeout: HOOK_TIMEOUT, maxFailures: MAX_FAILURES, ...how });
  attach(peers, place);
  return {
    peers,
    changes,
    codes: () => peers.errors.map((error) => error instanceof PluginError ? error.code : `${error}`),
    state: () => server.plugins[0]?.state,
    plugin,
    host: () => host,
    [Symbol.asyncDispose]: async () => {
      // What does not settle is waited for up to its limit.
      const closed = server[Symbol.asyncDispose]();
      await peers.client.close({ drain: 0 });
      let over = false;
      void closed.then(() => over = true);
      while (!over) await peers.world.clock.advance(HOOK_TIMEOUT);
      await peers[Symbol.asyncDispose]();
    },
  };
}

function attach({ server }: StreamPeers, { name }: Place): void {
  const mode = /^(before|after|instead|outgoing)/.exec(name)?.[1] as "before" | undefined;
  if (mode !== undefined) server.attach([ASK, NOTE], "bad", mode);
}

/** Another client's message, which no plugin may hurt. */
async function othersAreFine({ peers }: Bench): Promise<void> {
  assertEquals(await ask(peers, OTHER), "other");
}

for (const place of PLACES) {
  describe(`a plugin in ${place.name}`, () => {
    const { fine, throws, hangs } = place.outcomes;

    it("that behaves changes nothing", async () => {
      await using bad = await bench(place, () => {});
      assertEquals(await place.reach(bad.peers), fine);
      assertEquals([bad.codes(), bad.state()], [[], "on"]);
    });

    it("that throws or rejects hurts its message alone", async () => {
      for (const asynchronous of [false, true]) {
        const cause = new Error("Oops");
        await using bad = await bench(place, () => {
          if (asynchronous) return Promise.reject(cause);
          throw cause;
        });
        assertEquals(await place.reach(bad.peers), throws);
        await turn();
        // What fails at its caller is told to the caller.
        const told = place.name === "outgoing, modifying" ? [] : ["plugin-failed"];
        assertEquals([bad.codes(), bad.state(), bad.peers.server.plugins[0].failures], [told, "on", 1]);
        const [error] = bad.peers.errors as PluginError[];
        const odd = asynchronous && place.name === "outgoing, modifying";
        if (error !== undefined && !odd) assertEquals(error.cause, cause);
        await othersAreFine(bad);
      }
    });

    it("that throws what cannot be read hurts no more", async () => {
      const evil = new Proxy({}, {
        get(): never {
          throw new Error("Do not look");
        },
      });
      await using bad = await bench(place, () => {
        throw evil;
      });
      assertEquals(await place.reach(bad.peers), throws);
      await othersAreFine(bad);
    });

    it("that returns a promise that cannot be awaited hurts no more", async () => {
      const evil = (): never => {
        throw new Error("Do not look");
      };
      /** A class of promises whose instances cannot be asked for their class. */
      class Evil extends Promise<never> {}
      Object.defineProperty(Evil.prototype, "constructor", { get: evil });
      const MAKES: readonly (() => Promise<unknown>)[] = [
        () => Object.defineProperty(Promise.reject(1), "constructor", { get: evil, configurable: true }),
        () => new Evil((_resolve, reject) => reject(1)),
        () => Object.assign(Promise.resolve(), { then: evil }),
        () => Object.defineProperty(Promise.resolve(), "constructor", { get: evil }),
      ];
      for (const make of MAKES) {
        const add: Place["add"] = (host, deed) =>
          place.name === "instead"
            ? { instead: deed }
            : place.name === "a route"
            ? void host.route(OWN, deed as never)
            : place.add(host, deed);
        await using bad = await bench({ ...place, add }, make);
        assertEquals(await place.reach(bad.peers), throws, `${make}`);
        await turn();
        assertEquals(bad.peers.server.plugins[0].failures, 1, `${make}`);
        await othersAreFine(bad);
      }
    });

    it("that never settles is given up after its time limit", async () => {
      await using bad = await bench(place, () => new Promise(() => {}));
      const { clock } = bad.peers.world;
      const outcome = place.reach(bad.peers);
      let over = false;
      void outcome.then(() => over = true);
      // It moves the clock itself.
      if (place.name === "a timer") await outcome;
      await clock.advance(HOOK_TIMEOUT - 200);
      assertEquals(over, hangs !== "plugin-timeout", "only who has to wait for it waits");
      await othersAreFine(bad);
      await clock.advance(300);
      assertEquals(await outcome, hangs);
      const told = place.name === "outgoing, modifying" ? [] : ["plugin-timeout"];
      assertEquals([bad.codes(), bad.state()], [told, "on"]);
    });

    it("that fails too often is switched off, and what it was attached to goes on without it", async () => {
      let called = 0;
      await using bad = await bench(place, () => {
        called++;
        throw new Error("Oops");
      });
      for (let i = 0; i < MAX_FAILURES; i++) assertEquals(await place.reach(bad.peers), throws);
      await turn();
      assertEquals([called, bad.state()], [MAX_FAILURES, "off"]);
      const [{ name, version, state, reason }] = bad.changes;
      assertEquals([bad.changes.length, name, version, state], [1, "bad", "1.0.0", "off"]);
      assert(/^Plugin "bad" failed in .*, once too often$/.test(reason!), reason);
      assertEquals(await place.reach(bad.peers), place.name === "a route" ? "no-route" : fine);
      assertEquals(called, MAX_FAILURES, "it is called no more");
      assertEquals(await call(() => bad.host().stats()), "plugin-off");
      await bad.peers.server.unregister("bad");
      assertEquals(bad.peers.server.plugins, []);
    });

    // The interval of the timer fails ten times a second.
    if (place.name !== "a timer") {
      it("that fails now and then stays: only the last minute counts", async () => {
        await using bad = await bench(place, () => {
          throw new Error("Oops");
        }, {});
        for (let i = 0; i < MAX_FAILURES + 2; i++) {
          await place.reach(bad.peers);
          await turn();
          await bad.peers.world.clock.advance(31_000);
        }
        assertEquals([bad.state(), bad.peers.server.plugins[0].failures], ["on", MAX_FAILURES + 2]);
      });
    }

    it("that floods is refused by the limits of the connection, and fails", async () => {
      let refused: unknown;
      await using bad = await bench(place, (host) => {
        const flood = "x".repeat(1024 * 1024);
        try {
          for (;;) host.clients()[0].send(OTHER, flood);
        } catch (error) {
          refused = error;
          throw error;
        }
      });
      assertEquals(await place.reach(bad.peers), throws);
      assert(refused instanceof BackpressureError, `${refused}`);
      assertEquals(refused.code, "buffer-full");
      assertEquals(bad.peers.server.plugins[0].failures, 1);
    });

    it("that keeps what it was handed has nothing after its end", async () => {
      const kept: Host[] = [];
      await using bad = await bench(place, (host) => void kept.push(host));
      assertEquals(await place.reach(bad.peers), fine);
      assertEquals(kept.length, 1);
      const [client] = kept[0].clients();
      await bad.peers.server.unregister("bad");
      for (const use of [() => kept[0].stats(), () => client.address, () => client.send(NOTE, "x")]) {
        assertEquals(await call(use), "plugin-removed");
      }
      assertEquals(await place.reach(bad.peers), place.name === "a route" ? "no-route" : fine);
      assertEquals(kept.length, 1);
    });

    it("that removes itself lets the message end", async () => {
      let called = 0;
      await using bad = await bench(place, (host) => {
        called++;
        host.remove();
      });
      assertEquals(await place.reach(bad.peers), fine);
      await until(() => bad.peers.server.plugins.length === 0);
      assertEquals(await place.reach(bad.peers), place.name === "a route" ? "no-route" : fine);
      assertEquals([called, bad.codes(), bad.changes.map(({ state }) => state)], [1, [], ["removed"]]);
    });

    it("that registers itself again is refused", async () => {
      const refused = deferred<unknown>();
      await using bad = await bench(place, () => {
        bad.peers.server.register(bad.plugin).catch(refused.resolve);
      });
      assertEquals(await place.reach(bad.peers), fine);
      assertEquals((await refused.promise as PluginError).code, "plugin-exists");
      assertEquals([bad.peers.server.plugins.length, bad.state()], [1, "on"]);
    });
  });
}

describe("a plugin that returns a promise inside its changes", () => {
  const never = (): Promise<never> => new Promise(() => {});
  const callable = (): object => Object.assign(() => {}, { then: () => {} });
  const CHANGES: readonly (readonly [mode: "before" | "after" | "instead", member: string, make: () => unknown])[] = [
    ["before", "result", () => ({ result: never() })],
    ["before", "result", () => Promise.resolve({ result: never() })],
    ["before", "data", () => ({ data: never() })],
    ["before", "data", () => ({ data: callable() })],
    ["after", "result", () => ({ result: never() })],
    ["after", "result", () => ({ result: Promise.reject(new Error("Nobody sees it")) })],
    ["after", "result", () => ({ result: callable() })],
    ["instead", "result", callable],
  ];
  for (const [i, [mode, member, make]] of CHANGES.entries()) {
    it(`fails, and its message with it: ${member} of ${mode}, case ${i + 1}`, async () => {
      const place: Place = {
        ...PLACES[0],
        name: mode,
        permissions: ["messages:modify"],
        add: (_host, deed) => ({ [mode]: deed }),
      };
      await using bad = await bench(place, make);
      assertEquals([await ask(bad.peers), bad.codes(), bad.peers.server.plugins[0].failures], [
        "plugin-failed",
        ["plugin-failed"],
        1,
      ]);
      const text =
        `What the hook ${mode} of "ask" returns has a promise as its ${member}: await it, and return its value`;
      assertEquals(((bad.peers.errors[0] as Error).cause as Error).message, text);
      assertEquals(bad.peers.info.stats().runningHandlers, 0);
    });
  }

  it("fails, and what it sends with it", async () => {
    const place = PLACES.find(({ name }) => name === "outgoing, modifying")!;
    await using bad = await bench(place, () => ({ payload: Promise.reject(new Error("Nobody sees it")) }));
    assertEquals(await place.reach(bad.peers), "plugin-failed");
  });
});

describe("a plugin that reads signals", () => {
  const STRICT = messageType(204, "strict", text, text, { errors: ["no"] });
  const no = (): never => {
    throw errorOf(STRICT, "no");
  };

  /** Sends messages to a plugin. Returns how many listeners are left on signals. */
  async function left(permission: Permission, hooks: object, events: readonly "message"[] = []): Promise<number> {
    await using peers = await streamPeers();
    const { server, client } = peers;
    server.route(STRICT, () => "");
    const late: PluginMessage[] = [];
    const hook = (deed: (message: PluginMessage) => unknown) => (message: PluginMessage): unknown => {
      late.push(message);
      return deed(message);
    };
    const all = Object.entries(hooks).map(([mode, deed]) => [mode, hook(deed)]);
    await server.register(
      definePlugin<Permission>({
        name: "reader",
        version: "1",
        permissions: [permission, "routes:add", "events:message", "messages:read"],
        setup: (host) => {
          for (const name of events) host.on(name, ({ message }) => void (late.push(message!), message!.signal));
          host.route(OWN, hook(hooks["route" as never] ?? (() => "")) as never);
          return Object.fromEntries(all.filter(([mode]) => mode !== "route")) as never;
        },
      }),
      undefined,
      { maxFailures: Infinity },
    );
    for (const [mode] of all) if (mode !== "route") server.attach(STRICT, "reader", mode as "before");
    let count = 0;
    const { prototype } = AbortSignal;
    const { addEventListener, removeEventListener } = prototype;
    try {
      prototype.addEventListener = function (this: AbortSignal, ...args: unknown[]): void {
        count++;
        addEventListener.apply(this, args as never);
      };
      prototype.removeEventListener = function (this: AbortSignal, ...args: unknown[]): void {
        count--;
        removeEventListener.apply(this, args as never);
      };
      for (let i = 0; i < 3; i++) {
        for (const type of [STRICT, OWN]) client.send(type, "x");
        if (events.length > 0) client.send(NOTE, "x");
      }
      await until(() => late.length >= (events.length > 0 ? 3 : 6));
      await client.ping();
      await turn();
      for (const message of late) void message.signal.aborted;
    } finally {
      Object.assign(prototype, { addEventListener, removeEventListener });
      // They are inherited.
      if (addEventListener === EventTarget.prototype.addEventListener) {
        Reflect.deleteProperty(prototype, "addEventListener");
        Reflect.deleteProperty(prototype, "removeEventListener");
      }
    }
    return count;
  }

  it("leaves no listeners on those of connections, however its hooks end", async () => {
    const reading = (deed: () => unknown) => (message: PluginMessage): unknown => {
      void message.signal.aborted;
      return deed();
    };
    const ends = [no, () => Promise.reject(errorOf(STRICT, "no")), () => Promise.resolve(), () => {}, () => {
      throw new Error("Oops");
    }];
    for (const end of ends) {
      const deed = reading(end);
      for (const mode of ["before", "after", "instead"]) {
        assertEquals(await left("messages:modify", { [mode]: deed, route: deed }), 0, `${mode}: ${end}`);
      }
      for (const mode of ["before", "after"]) assertEquals(await left("messages:read", { [mode]: deed }), 0, mode);
    }
  });

  it("leaves none if it reads them when its hooks are over, nor in listeners of events", async () => {
    assertEquals(await left("messages:modify", { before: () => {} }), 0);
    assertEquals(await left("messages:read", { before: () => {} }, ["message"]), 0);
  });
});

describe("a plugin in setup", () => {
  /** Registers a plugin whose `setup` does something. */
  async function setUp(
    deed: Deed,
    check: (peers: StreamPeers, registered: Promise<void>) => Promise<void>,
  ): Promise<void> {
    await using peers = await streamPeers({}, memoryWorld());
    const plugin = definePlugin<Permission>({
      name: "bad",
      version: "1.0.0",
      permissions: ["routes:add", "messages:send", "clients:read", "stats", "events:tag"],
      setup: (host) => {
        host.route(OWN, () => "own");
        host.on("tag", () => peers.errors.push("listened"));
        host.setInterval(() => peers.errors.push("ticked"), SETUP_TIMEOUT * 2);
        return deed(host) as never;
      },
    });
    const registered = peers.server.register(plugin, undefined, {
      hookTimeout: HOOK_TIMEOUT,
      setupTimeout: SETUP_TIMEOUT,
      maxFailures: MAX_FAILURES,
    });
    registered.catch(() => {});
    await check(peers, registered);
    peers.info.addTag("x");
    await peers.world.clock.advance(SETUP_TIMEOUT * 3);
    assertEquals(
      [peers.server.plugins, peers.errors, await ask(peers, OWN)],
      [[], [], "no-route"],
      "nothing of it is left",
    );
  }

  for (
    const [what, deed] of [["throws", () => {
      throw new Error("Oops");
    }], ["rejects", () => Promise.reject(new Error("Oops"))]] as const
  ) {
    it(`that ${what} is not registered`, () =>
      setUp(deed, async (_peers, registered) => {
        const error = await assertRejects(() => registered, PluginError);
        assertEquals([error.code, (error.cause as Error).message], ["plugin-failed", "Oops"]);
      }));
  }

  it("that never settles is not registered", () =>
    setUp(() => new Promise(() => {}), async ({ server, world }, registered) => {
      await until(() => server.plugins.length === 1);
      await world.clock.advance(SETUP_TIMEOUT);
      assertEquals((await assertRejects(() => registered, PluginError)).code, "plugin-timeout");
    }));

  it("that floods is not registered", () =>
    setUp((host) => {
      for (;;) host.clients()[0].send(OTHER, "x".repeat(1024 * 1024));
    }, async (_peers, registered) => {
      assert((await assertRejects(() => registered, PluginError)).cause instanceof BackpressureError);
    }));

  it("that removes itself is not registered", () =>
    setUp((host) => host.remove(), async (_peers, registered) => {
      assertEquals((await assertRejects(() => registered, PluginError)).code, "plugin-removed");
    }));

  it("that returns something else than hooks is not registered", () =>
    setUp(() => ({ befor: () => {} }), async (_peers, registered) => {
      await assertRejects(() => registered, TypeError, 'Unknown option "befor"');
    }));

  it("that keeps its host has nothing after it failed", async () => {
    let kept!: Host;
    await setUp((host) => {
      kept = host;
      throw new Error("Oops");
    }, async (_peers, registered) => {
      await assertRejects(() => registered, PluginError);
      assertEquals(await call(() => kept.stats()), "plugin-removed");
    });
  });

  it("that registers itself again is refused", async () => {
    await using peers = await streamPeers();
    let again!: Promise<void>;
    const plugin: Plugin<never, void> = definePlugin({
      name: "bad",
      version: "1",
      setup: () => void (again = peers.server.register(plugin)),
    });
    await peers.server.register(plugin);
    assertEquals((await assertRejects(() => again, PluginError)).code, "plugin-exists");
    assertEquals(peers.server.plugins.length, 1);
  });
});

describe("a plugin that is switched off", () => {
  it("refuses what it guards with whenOff: refuse, until it is removed", async () => {
    const place = PLACES.find(({ name }) => name === "before, modifying")!;
    await using bad = await bench(place, () => {
      throw new Error("Oops");
    }, { whenOff: "refuse" });
    for (let i = 0; i < MAX_FAILURES; i++) await ask(bad.peers);
    assertEquals([bad.state(), await ask(bad.peers)], ["off", "plugin-off"]);
    await othersAreFine(bad);
    await bad.peers.server.unregister("bad");
    assertEquals(await ask(bad.peers), "answered");
  });

  it("takes those along that depend on it, calls onClose, and is logged if nobody listens", async () => {
    const lines: unknown[] = [];
    const logger = { warn: (line: unknown) => lines.push(line), error: () => {} };
    await using peers = await streamPeers({ logger });
    const { server } = peers;
    const closed: string[] = [];
    const make = (name: string, dependsOn: readonly string[]): Plugin<"events:tag", void> =>
      definePlugin({
        name,
        version: "1",
        dependsOn,
        permissions: ["events:tag"],
        setup: (host) => {
          host.onClose(() => void closed.push(name));
          if (name === "base") host.on("tag", () => Promise.reject(new Error("Oops")));
        },
      });
    await server.register(make("base", []), undefined, { maxFailures: 1 });
    await server.register(make("user", ["base"]));
    await server.register(make("last", ["user"]));
    peers.info.addTag("x");
    await until(() => server.plugins[0].state === "off");
    const reason = 'Plugin "base" failed in the listener of "tag", once too often';
    assertEquals(server.plugins.map(({ name, state }) => `${name} ${state}`), ["base off", "user off", "last off"]);
    assertEquals(server.plugins[1].reason, 'the plugin "base", which it depends on, is off');
    assertEquals(lines.filter((line) => `${line}`.includes("switched off")), [
      `Plugin "base" is switched off: ${reason}`,
      'Plugin "user" is switched off: the plugin "base", which it depends on, is off',
      'Plugin "last" is switched off: the plugin "user", which it depends on, is off',
    ]);
    await until(() => closed.length === 3);
  });

  it("never is with maxFailures: Infinity", async () => {
    const place = PLACES[0];
    await using bad = await bench(place, () => {
      throw new Error("Oops");
    }, { maxFailures: Infinity });
    for (let i = 0; i < 50; i++) await ask(bad.peers);
    assertEquals([bad.state(), bad.peers.server.plugins[0].failures], ["on", 50]);
  });
});

describe("a plugin whose listeners of error, plugin and sent misbehave", () => {
  it("does not go round in circles", async () => {
    const lines: string[] = [];
    const logger = { warn: () => {}, error: (line: unknown) => lines.push(`${line}`) };
    await using peers = await streamPeers({ logger });
    const { server } = peers;
    let [errors, sent] = [0, 0];
    await server.register(
      definePlugin({
        name: "bad",
        version: "1",
        permissions: ["events:error", "events:plugin", "events:sent", "messages:send"],
        setup: (host) => {
          const fail = (): never => {
            errors++;
            throw new Error("Again");
          };
          host.on("error", fail);
          host.on("plugin", fail);
          host.on("sent", ({ client }) => {
            // Round and round, if it heard itself.
            if (sent++ < 10) client!.send(NOTE, "echo");
          });
        },
      }),
      undefined,
      { maxFailures: 100 },
    );
    // Its own change to "on" has made the listener of plugin fail, that has made the listener of error fail, and that is all.
    assertEquals([errors, lines.length], [2, 1]);
    peers.info.send(NOTE, "x");
    assertEquals(sent, 1);
    server.route(ASK, () => {
      throw new Error("Handler");
    });
    await ask(peers);
    assertEquals(errors, 3);
  });
});

describe("a plugin's onClose", () => {
  it("that throws or never settles does not keep it, nor the others", async () => {
    await using peers = await streamPeers({}, memoryWorld());
    const { server, world } = peers;
    const log: string[] = [];
    await server.register(
      definePlugin({
        name: "bad",
        version: "1",
        setup: (host) => {
          host.onClose(() => log.push("first"));
          host.onClose(() => new Promise(() => {}));
          host.onClose(() => {
            throw new Error("Oops");
          });
        },
      }),
      undefined,
      { hookTimeout: HOOK_TIMEOUT },
    );
    const removed = server.unregister("bad");
    await world.clock.advance(HOOK_TIMEOUT);
    assertEquals([await removed, log, server.plugins], [true, ["first"], []]);
    assertEquals(peers.errors.map((error) => (error as PluginError).code), ["plugin-failed", "plugin-timeout"]);
  });
});
