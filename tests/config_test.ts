/**
 * What a Server and a Client refuse to be told: at once, with the name of the argument and what would be right.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  Client,
  ConfigError,
  DEFAULT_LIMITS,
  messageType,
  MessageTypeError,
  Server,
  type Transport,
} from "@veltix/core";
import { memoryTransport } from "@veltix/core/memory";

/** A program without types, as a configuration out of a file has none. */
const makeServer = (config: unknown): Server => new Server(config as never);
const makeClient = (config: unknown): Client => new Client(config as never);
const BOTH = [["Server", makeServer], ["Client", makeClient]] as const;

type Wrong = readonly [value: unknown, error: typeof TypeError | typeof RangeError, message: string];

const whole = (name: string, least: number, most = 0x7fffffff): Wrong[] => {
  const range = `${name} must be a whole number from ${least} to ${most}, not `;
  return [
    [least - 1, RangeError, `${range}${least - 1}`],
    [most + 1, RangeError, `${range}${most + 1}`],
    [-1, RangeError, `${range}-1`],
    [least + 0.5, RangeError, `${range}${least + 0.5}`],
    [NaN, RangeError, `${range}NaN`],
    [Infinity, RangeError, `${range}Infinity`],
    ["300", TypeError, `${name} must be a number, not "300"`],
    [null, TypeError, `${name} must be a number, not null`],
    [true, TypeError, `${name} must be a number, not true`],
    [[300], TypeError, `${name} must be a number, not an array`],
    [300n, TypeError, `${name} must be a number, not of type bigint`],
    [Symbol("x"), TypeError, `${name} must be a number, not of type symbol`],
    [{ toString: null }, TypeError, `${name} must be a number, not of type object`],
  ];
};

const text = (name: string): Wrong[] => [
  ["", TypeError, `${name} must be a non-empty string, not ""`],
  [80, TypeError, `${name} must be a non-empty string, not 80`],
  [null, TypeError, `${name} must be a non-empty string, not null`],
  [["a"], TypeError, `${name} must be a non-empty string, not an array`],
];

const spoken = (name: string): Wrong[] => [
  ...["1.6", "4.0", "", "2", "2.1.0", "v2.0.0", "latest", "__proto__"].map((release): Wrong => [
    release,
    RangeError,
    `Cannot find the protocol "${release}": it must be "native", a release`,
  ]),
  [2.0, TypeError, `${name} must be a string, not 2`],
  [null, TypeError, `${name} must be a string, not null`],
  [["2.0"], TypeError, `${name} must be a string, not an array`],
];

/** The least value of each limit. */
const LEAST: Record<keyof typeof DEFAULT_LIMITS, number> = {
  maxMessageSize: 256,
  handshakeTimeout: 1,
  maxConcurrentHandlers: 1,
  maxQueuedMessages: 1,
  maxQueuedBytes: 1,
  maxHandlerBytes: 1,
  highWaterMark: 0,
  maxBufferedBytes: 1,
  maxTotalBufferedBytes: 1,
  writeTimeout: 1,
  maxDrain: 1,
  maxStreams: 0,
  streamWindow: 1_024,
  maxStreamWindow: 1_024,
  maxStreamBytes: 0,
  maxTotalStreamBytes: 0,
};

const SIZES = "bufferSize must be small, medium, large, huge or a number, not ";
const SOCKETS = "transport must be auto, bun, deno, node or a Transport, not ";
const LOGGER = "logger must have the methods warn and error";

/** Transports whose event loop is not whole. */
function wrongLoops(): Wrong[] {
  const clock = { now: () => 0, setTimeout: () => 0, clearTimeout: () => {}, unref: () => {} };
  const loop = { defer: () => {}, yield: () => {}, clock };
  const wrong = (eventLoop: unknown, text: string): Wrong => [
    { connect: () => {}, listen: () => {}, eventLoop },
    TypeError,
    `transport.eventLoop${text}`,
  ];
  return [
    wrong(null, " must be an EventLoop, not null"),
    wrong("node", ' must be an EventLoop, not "node"'),
    ...["defer", "yield", "throttled"].map((name) =>
      wrong({ ...loop, [name]: 1 }, `.${name} must be a function, not 1`)
    ),
    wrong({ ...loop, clock: undefined }, ".clock must be a Clock, not undefined"),
    ...Object.keys(clock).map((name) =>
      wrong({ ...loop, clock: { ...clock, [name]: undefined } }, `.clock.${name} must be a function, not undefined`)
    ),
  ];
}

const COMMON: Record<string, Wrong[]> = {
  ...Object.fromEntries(Object.entries(LEAST).map(([name, least]) => [name, whole(name, least)])),
  hostname: text("hostname"),
  path: text("path"),
  protocol: spoken("protocol"),
  bufferSize: [
    ["tiny", RangeError, `${SIZES}"tiny"`],
    ["", RangeError, `${SIZES}""`],
    ["toString", RangeError, `${SIZES}"toString"`],
    [null, TypeError, `${SIZES}null`],
    [["small"], TypeError, `${SIZES}an array`],
    [63, RangeError, "bufferSize must be a whole number from 64 to 16777216, not 63"],
    [16 * 1024 * 1024 + 1, RangeError, "bufferSize must be a whole number from 64 to 16777216, not 16777217"],
    [NaN, RangeError, "bufferSize must be a whole number from 64 to 16777216, not NaN"],
  ],
  transport: [
    ["nodejs", RangeError, `${SOCKETS}"nodejs"`],
    ["", RangeError, `${SOCKETS}""`],
    ["memory", RangeError, `${SOCKETS}"memory"`],
    [null, TypeError, `${SOCKETS}null`],
    [7, TypeError, `${SOCKETS}7`],
    [{}, TypeError, "transport.connect must be a function, not undefined"],
    [{ connect: () => {} }, TypeError, "transport.listen must be a function, not undefined"],
    [{ connect: "x", listen: () => {} }, TypeError, 'transport.connect must be a function, not "x"'],
    ...wrongLoops(),
    [memoryTransport, TypeError, `${SOCKETS}of type function`],
  ],
  recovery: [
    ["rescan", RangeError, 'recovery must be close or resync, not "rescan"'],
    ["", RangeError, 'recovery must be close or resync, not ""'],
    [null, TypeError, "recovery must be close or resync, not null"],
    [true, TypeError, "recovery must be close or resync, not true"],
    [["resync"], TypeError, "recovery must be close or resync, not an array"],
  ],
  logger: [
    [null, TypeError, LOGGER],
    ["console", TypeError, LOGGER],
    [{}, TypeError, LOGGER],
    [{ warn: () => {} }, TypeError, LOGGER],
    [{ error: () => {} }, TypeError, LOGGER],
    [{ ...console, info: 1 }, TypeError, "logger.info must be a function, not 1"],
    [{ ...console, debug: null }, TypeError, "logger.debug must be a function, not null"],
  ],
};

function refuses(make: (config: unknown) => unknown, members: Record<string, Wrong[]>): void {
  for (const [name, values] of Object.entries(members)) {
    for (const [value, type, message] of values) {
      const error = assertThrows(() => make({ [name]: value })) as Error;
      assertEquals([error.name, error.message.slice(0, message.length)], [type.name, message]);
    }
  }
}

describe("the config of a Server and of a Client", () => {
  for (const [side, make] of BOTH) {
    it(`of a ${side} refuses every wrong value with the name of the member and what is right`, () => {
      refuses(make, { ...COMMON, port: whole("port", side === "Client" ? 1 : 0, 65535) });
    });

    it(`of a ${side} takes the ends of every range, undefined for the default, and its own members together`, () => {
      for (const [name, least] of Object.entries(LEAST)) {
        for (const value of [least, 0x7fffffff, undefined]) {
          make({ maxBufferedBytes: 0x7fffffff, maxStreamWindow: 0x7fffffff, streamWindow: 1_024, [name]: value });
        }
      }
      for (const port of [1, 65535, undefined]) make({ port });
      for (const bufferSize of ["small", "medium", "large", "huge", 64, 16 * 1024 * 1024, undefined]) {
        make({ bufferSize });
      }
      for (const protocol of ["1.2.1", "1.6.3", "1.6.10", "1.7", "2.0", "2.0.0", "2.0.0b3", "native", undefined]) {
        make({ protocol });
      }
      for (const transport of ["auto", "bun", "deno", "node", memoryTransport(), undefined]) make({ transport });
      for (const recovery of ["close", "resync", undefined]) make({ recovery });
      make({ hostname: "::1", port: 1, protocol: "native", maxConcurrentHandlers: 1, logger: console });
      make({ path: "/tmp/x.sock", hostname: undefined, port: undefined });
      make({ ...({ hostname: "127.0.0.1", port: 8080 }) });
      make({});
      make(undefined);
    });

    it(`of a ${side} is an object`, () => {
      for (const [value, shown] of [[8080, "8080"], ["8080", '"8080"'], [null, "null"], [[], "an array"]] as const) {
        const error = assertThrows(() => make(value), TypeError);
        assertEquals(error.message, `a ${side.toLowerCase()}'s config must be an object, not ${shown}`);
      }
    });

    // A misspelt limit that passes is a limit that is not set.
    it(`of a ${side} refuses a name that it does not have, and lists those it has`, () => {
      const { message } = assertThrows(() => make({ port: 8080, maxMesageSize: 1024 }), TypeError);
      assertStringIncludes(message, `Unknown option "maxMesageSize": a ${side.toLowerCase()}'s config has `);
      assertStringIncludes(message, "bufferSize, ");
      assertStringIncludes(message, "maxMessageSize");
      make({ maxMesageSize: undefined });
      for (const name of ["__proto__", "constructor", "toString"]) {
        assertThrows(() => make(JSON.parse(`{"${name}": 1}`)), TypeError, `Unknown option "${name}"`);
      }
    });

    it(`of a ${side} takes a unix socket's path or host and port, not both`, () => {
      for (const other of [{ hostname: "127.0.0.1" }, { port: 8080 }]) {
        const error = assertThrows(() => make({ path: "/tmp/x.sock", ...other }), ConfigError);
        assertEquals(error.code, "invalid-config");
        assertEquals(error.message, `path stands in place of ${Object.keys(other)[0]}: give one of them`);
      }
    });

    it(`of a ${side} takes recovery: "resync" with the releases that have a magic, and names them otherwise`, () => {
      for (const protocol of ["1.7", "1.7.5", "1.8", "1.9.0", "2.0", "2.0.0b3", undefined]) {
        make({ protocol, recovery: "resync" });
      }
      for (const protocol of ["1.2.1", "1.3", "1.6.1", "1.6.3", "1.6.10", "native"]) {
        make({ protocol, recovery: "close" });
        const error = assertThrows(() => make({ protocol, recovery: "resync" }), ConfigError);
        assertEquals(error.code, "invalid-config");
        assertEquals(
          error.message,
          `protocol "${protocol}" goes without recovery: "resync": only the Python releases from 1.7 on begin their frames ` +
            "with a magic",
        );
      }
    });

    it(`of a ${side} is not changed, and may be frozen`, () => {
      const config = Object.freeze({ port: 8080, maxConcurrentHandlers: 3 });
      make(config);
      assertEquals(config, { port: 8080, maxConcurrentHandlers: 3 });
    });
  }

  it('of a Server refuses "auto" as protocol, and a Client takes it', () => {
    assertThrows(() => makeServer({ protocol: "auto" }), RangeError, 'Cannot find the protocol "auto"');
    makeClient({ protocol: "auto" });
  });

  it("of a Server refuses wrong numbers of connections", () => {
    refuses(makeServer, { maxPendingHandshakes: whole("maxPendingHandshakes", 1) });
    for (const name of ["maxConnections", "maxConnectionsPerAddress", "maxPendingPerAddress"]) {
      for (const value of [0, -1, 1.5, NaN, -Infinity, 2 ** 31]) {
        assertThrows(() => makeServer({ [name]: value }), RangeError, `${name} must be a whole number from 1 to`);
      }
      for (const value of ["9", null, {}]) assertThrows(() => makeServer({ [name]: value }), TypeError, name);
      for (const value of [1, 0x7fffffff, undefined, Infinity]) makeServer({ [name]: value });
    }
  });

  it("of a Server refuses an authenticate that is no function, or that a release cannot be asked for", () => {
    for (const authenticate of [null, "secret", true, {}, Promise.resolve()]) {
      assertThrows(() => makeServer({ authenticate }), TypeError, "authenticate must be a function, not ");
    }
    const authenticate = (): string => "anybody";
    for (const protocol of ["1.2.1", "1.3"]) {
      for (
        const config of [
          { protocol, authenticate },
          { listen: [{ protocol, authenticate }] },
          { authenticate, listen: [{ port: 1 }, { port: 2, protocol }] },
          { protocol, listen: [{ authenticate }] },
        ]
      ) {
        const error = assertThrows(() => makeServer(config), ConfigError);
        assertEquals(error.code, "invalid-config");
        assertStringIncludes(error.message, `protocol "${protocol}" goes without authenticate`);
      }
      makeServer({ listen: [{ port: 1, protocol }, { port: 2, authenticate }] });
    }
    for (const protocol of ["1.4.0", "1.6.3", "1.9", "2.0", "native"]) makeServer({ protocol, authenticate });
    makeServer({ authenticate: undefined });
  });

  it("of a Client refuses what only a Server has", () => {
    const limits = { maxPendingHandshakes: 9, maxPendingPerAddress: 9, maxConnections: 9, maxConnectionsPerAddress: 9 };
    const others = { ...limits, authenticate: () => 1 };
    for (const [name, value] of Object.entries({ ...others, listen: [] })) {
      assertThrows(() => makeClient({ [name]: value }), TypeError, `Unknown option "${name}"`);
    }
  });
});

const PEM = "-----BEGIN CERTIFICATE-----";

describe("proxyProtocol, in the config of a Server,", () => {
  it("is the list of the proxies to believe, or false", () => {
    for (const from of [["127.0.0.1"], ["::1", "10.0.0.0/8", "2001:db8::/32"], ["localhost", "unix"], ["0.0.0.0/0"]]) {
      makeServer({ proxyProtocol: { from } });
      makeServer({ listen: [{ port: 1, proxyProtocol: { from } }, { port: 2, proxyProtocol: false }] });
    }
    makeServer({ proxyProtocol: false });
    makeServer({ proxyProtocol: undefined });
  });

  it("names what is wrong in it", () => {
    const cases: [given: unknown, type: typeof TypeError | typeof RangeError, message: string][] = [
      [true, TypeError, "proxyProtocol must be an object, not true"],
      [["127.0.0.1"], TypeError, "proxyProtocol must be an object, not an array"],
      [{}, TypeError, "proxyProtocol.from must be an array of the addresses of proxies, not undefined"],
      [
        { from: [] },
        TypeError,
        "proxyProtocol.from must be an array of the addresses of proxies, not an empty one: leave",
      ],
      [{ from: "::1" }, TypeError, 'proxyProtocol.from must be an array of the addresses of proxies, not "::1"'],
      [{ from: ["::1", 1] }, TypeError, "proxyProtocol.from[1] must be a string, not 1"],
      [{ from: ["example.org"] }, RangeError, 'from[0] must be an IP address, a network such as "10.0.0.0/8", "local'],
      [{ from: ["10.0.0.0/33"] }, RangeError, "proxyProtocol.from[0] must be an IP address, a network such as"],
      [{ from: ["127.1"] }, RangeError, "proxyProtocol.from[0] must be an IP address, a network such as"],
      [{ to: [] }, TypeError, 'Unknown option "to": proxyProtocol has from'],
    ];
    for (const [given, type, message] of cases) {
      assertStringIncludes((assertThrows(() => makeServer({ proxyProtocol: given }), type) as Error).message, message);
      const place = assertThrows(() => makeServer({ listen: [{ proxyProtocol: given }] }), type) as Error;
      assertStringIncludes(place.message, "listen[0].proxyProtocol");
    }
  });
});

describe("listen, in the config of a Server,", () => {
  it("is an array of places", () => {
    for (const listen of [{}, "8080", 8080, null]) {
      assertThrows(() => makeServer({ listen }), TypeError, "listen must be an array of places, not ");
    }
    makeServer({ listen: [{}] });
    makeServer({ listen: undefined });
  });

  it("may be empty, and then excludes what is for listeners", () => {
    makeServer({ listen: [] });
    makeServer({ listen: [], tls: false, proxyProtocol: false, protocol: "1.9", recovery: "resync" });
    const cases = [
      [{ tls: { cert: PEM, key: PEM } }, "tls is for listeners, and listen has none: leave out one of them"],
      [{ proxyProtocol: { from: ["::1"] } }, "proxyProtocol is for listeners, and listen has none: leave out one"],
      [{ port: 1 }, "listen stands in place of port: give one of them"],
      [{ recovery: "resync", protocol: "native" }, 'protocol "native" goes without recovery: "resync"'],
      [{ authenticate: () => 1, protocol: "1.2.1" }, 'protocol "1.2.1" goes without authenticate'],
    ] as const;
    for (const [config, message] of cases) {
      assertThrows(() => makeServer({ listen: [], ...config }), ConfigError, message);
    }
  });

  it("refuses what is wrong in a place, with the place in the message", () => {
    const cases: [place: unknown, type: typeof TypeError | typeof RangeError, message: string][] = [
      [8080, TypeError, "listen[1] must be an object, not 8080"],
      [null, TypeError, "listen[1] must be an object, not null"],
      [
        { prot: 1 },
        TypeError,
        'Unknown option "prot": listen[1] has authenticate, encryption, hostname, path, port, protocol',
      ],
      [{ authenticate: "x" }, TypeError, 'listen[1].authenticate must be a function, not "x"'],
      [{ port: "80" }, TypeError, 'listen[1].port must be a number, not "80"'],
      [{ port: -1 }, RangeError, "listen[1].port must be a whole number from 0 to 65535, not -1"],
      [{ hostname: "" }, TypeError, 'listen[1].hostname must be a non-empty string, not ""'],
      [{ path: "" }, TypeError, 'listen[1].path must be a non-empty string, not ""'],
      [{ recovery: "x" }, RangeError, 'listen[1].recovery must be close or resync, not "x"'],
      [
        { transport: "memory" },
        RangeError,
        'listen[1].transport must be auto, bun, deno, node or a Transport, not "mem',
      ],
      [{ transport: { connect: () => {} } }, TypeError, "listen[1].transport.listen must be a function, not undefined"],
      [{ protocol: 2 }, TypeError, "listen[1].protocol must be a string, not 2"],
      [{ protocol: "1.6" }, RangeError, 'Cannot find the protocol "1.6"'],
    ];
    for (const [place, type, message] of cases) {
      const error = assertThrows(() => makeServer({ listen: [{ port: 0 }, place] }), type);
      assertStringIncludes((error as Error).message, message);
    }
    assertThrows(
      () => makeServer({ listen: [{ path: "/tmp/x.sock", port: 1 }] }),
      ConfigError,
      "listen[0].path stands in place of listen[0].port: give one of them",
    );
  });

  it('takes recovery: "resync" where one place can use it, and for a place that can', () => {
    const [old, native, python] = ["1.6.3", "native", "2.0"].map((protocol) => ({ protocol }));
    makeServer({ recovery: "resync", listen: [old, native, python] });
    makeServer({ recovery: "resync", protocol: "1.6.3", listen: [python] });
    makeServer({ protocol: "1.6.3", listen: [{ ...python, recovery: "resync" }, {}] });
    makeServer({ recovery: "resync", listen: [python, { ...old, recovery: "close" }] });
    const cases: [config: unknown, what: string][] = [
      [{ recovery: "resync", listen: [old, native] }, "every protocol in listen"],
      [{ recovery: "resync", protocol: "native", listen: [{}] }, "every protocol in listen"],
      [{ listen: [python, { ...old, recovery: "resync" }] }, 'listen[1].protocol "1.6.3"'],
      [{ protocol: "native", listen: [{ recovery: "resync" }] }, 'listen[0].protocol "native"'],
    ];
    for (const [config, what] of cases) {
      const error = assertThrows(() => makeServer(config), ConfigError);
      assertEquals(error.message.split(" goes without ")[0], what);
    }
  });

  it("stands in place of port, hostname and path", () => {
    for (const other of [{ port: 1 }, { hostname: "::1" }, { path: "/tmp/x.sock" }]) {
      const error = assertThrows(() => makeServer({ listen: [{}], ...other }), ConfigError);
      assertEquals(error.message, `listen stands in place of ${Object.keys(other)[0]}: give one of them`);
    }
  });

  it("takes the protocol of the server where a place has none", async () => {
    const transport = memoryTransport();
    await using server = new Server({
      transport,
      protocol: "1.6.3",
      listen: [{ port: 1 }, { port: 2, protocol: "native" }],
    });
    const seen: string[] = [];
    server.on("connect", ({ protocol }) => seen.push(protocol));
    await server.start();
    assertEquals(server.addresses, [{ hostname: "0.0.0.0", port: 1 }, { hostname: "0.0.0.0", port: 2 }]);
    for (const port of [1, 2]) {
      await using client = new Client({ transport, port });
      await client.connect();
      await client.close();
    }
    assertEquals(seen, ["1.6.3", "native"]);
  });
});

describe("a wrong argument of a method", () => {
  const TYPE = messageType(200);

  for (const [side, make] of BOTH) {
    it(`of a ${side}: drain must be milliseconds from 0 to 2147483647, and nothing is closed otherwise`, async () => {
      const peer = make({ transport: memoryTransport() });
      for (const drain of [-1, NaN, Infinity, 2 ** 31]) {
        const { message } = assertThrows(() => peer.close({ drain }), RangeError);
        assertEquals(message, `drain must be 0 to 2147483647 ms, not ${drain}`);
      }
      for (const drain of ["5", null, {}]) {
        assertThrows(() => peer.close({ drain } as never), TypeError, "drain must be a number, not ");
      }
      if (peer instanceof Server) {
        await peer.start();
        assertEquals(peer.addresses.length, 1);
      }
      await peer.close({ drain: 0.5 });
      await peer.close({ drain: 0 });
    });

    it(`of a ${side}: an unknown event is refused with a list of the events`, () => {
      const peer = make({}) as { on(event: string, listener: unknown): void };
      for (const event of ["conect", "data", "", "toString"]) {
        const { message } = assertThrows(() => peer.on(event, () => {}), TypeError);
        assertStringIncludes(message, `Cannot listen to "${event}": the events are `);
        assertStringIncludes(message, "connect, message, disconnect");
      }
      for (const listener of [undefined, null, "f", {}]) {
        assertThrows(
          () => peer.on("connect", listener),
          TypeError,
          'Cannot listen to "connect": listener must be a function',
        );
      }
    });

    it(`of a ${side}: a handler that is no function is refused, and its code stays free`, () => {
      const peer = make({});
      for (const handler of [undefined, null, "f", {}]) {
        assertThrows(
          () => peer.route(TYPE, handler as never),
          TypeError,
          'Cannot route "type-200": handler must be a function',
        );
      }
      peer.route(TYPE, () => {});
      const other = messageType(200, "other");
      const error = assertThrows(() => peer.route(other, () => {}), MessageTypeError);
      assertEquals(error.code, "code-taken");
      assertStringIncludes(error.message, 'Cannot route "other": code 200 is routed as "type-200"');
      assert(peer.unroute(TYPE));
      peer.route(other, () => {});
    });
  }

  it("of a broadcast: onFull is skip or close", () => {
    const server = new Server();
    assertThrows(
      () => server.broadcast(TYPE, new Uint8Array(1), { onFull: "drop" as never }),
      TypeError,
      'onFull must be skip or close, not "drop"',
    );
    assertEquals(server.broadcast(TYPE, new Uint8Array(1), { onFull: "skip" }), { sent: 0, dropped: 0, closed: 0 });
  });
});

describe("DEFAULT_LIMITS", () => {
  it("are frozen, and have every limit", () => {
    assert(Object.isFrozen(DEFAULT_LIMITS));
    assertEquals(Object.keys(DEFAULT_LIMITS).sort(), Object.keys(LEAST).sort());
  });
});

describe("transport", () => {
  it("takes a Transport object of the user's own, and no other sockets are used", async () => {
    const memory = memoryTransport();
    let listened = 0;
    const own: Transport = {
      ...memory,
      name: "own",
      listen: (...args) => {
        listened++;
        return memory.listen(...args);
      },
    };
    await using server = new Server({ transport: own, port: 9 });
    await server.start();
    await using client = new Client({ transport: own, port: 9 });
    await client.connect();
    assertEquals([listened, client.state], [1, "connected"]);
  });

  it("names the runtime when the sockets of another are asked for", async () => {
    const globals = globalThis as { Bun?: unknown; Deno?: unknown };
    for (const [core, name, here] of [["deno", "Deno", globals.Deno], ["bun", "Bun", globals.Bun]] as const) {
      if (here !== undefined) continue;
      const client = new Client({ transport: core, port: 9 });
      const server = new Server({ transport: core, port: 0 });
      for (const failing of [client.connect(), server.start()]) {
        const error = await failing.then(() => undefined, (error: unknown) => error);
        assertInstanceOf(error, ConfigError);
        assertEquals(error.code, "unsupported");
        assertStringIncludes(error.message, `Cannot make the ${name} transport: this runtime is `);
      }
      await Promise.all([client.close(), server.close()]);
    }
  });
});

describe("highWaterMark", () => {
  it("is refused above maxBufferedBytes, where send() would throw before it returns false", () => {
    for (const Peer of [Client, Server]) {
      assertThrows(
        () => new Peer({ highWaterMark: 1_001, maxBufferedBytes: 1_000 }),
        RangeError,
        "highWaterMark must be at most maxBufferedBytes, 1000, not 1001",
      );
    }
  });
});

describe("options that are given with a call", () => {
  it("are refused by name where there is none: a misspelt one would silently do nothing", async () => {
    const transport = memoryTransport();
    await using server = new Server({ port: 1, hostname: "h", transport });
    const client = new Client({ port: 1, hostname: "h", transport });
    const type = messageType(200, "t");
    for (const peer of [server, client]) {
      assertThrows(() => peer.route(type, () => {}, { orderd: true } as never), TypeError, 'Unknown option "orderd"');
      assertThrows(() => peer.route(type, () => {}, { ordered: 1 } as never), TypeError, "ordered must be a boolean");
      assertThrows(() => peer.route(type, () => {}, { timeout: 0 }), RangeError, "timeout");
      assertThrows(() => peer.route({} as never, () => {}), TypeError, "type must be a message type");
      assertThrows(() => peer.close({ drian: 1 } as never), TypeError, 'Unknown option "drian"');
      const { on } = peer as Server;
      assertThrows(() => on.call(peer as Server, "error", () => {}, { onec: true } as never), TypeError, "onec");
    }
    assertThrows(() => server.broadcast(type, new Uint8Array(), { exclude: [] } as never), TypeError, '"exclude"');
    assertThrows(() => server.close({ retryAfter: -1 }), RangeError, "retryAfter");
    assertThrows(() => client.close({ retryAfter: 1 } as never), TypeError, 'Unknown option "retryAfter"');
    await Promise.resolve();
  });
});
