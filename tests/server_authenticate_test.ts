/** Who may come in: `authenticate` in every way that it can answer, and peers that do not wait for it. */

import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type Address,
  type Authenticate,
  type AuthenticateContext,
  Client,
  HandshakeError,
  messageType,
  Server,
  type TcpEndpoint,
  text,
  type Transport,
} from "../mod.ts";
import {
  deferred,
  HOST,
  Lines,
  memoryWorld,
  message,
  microtasks,
  pass,
  Raw,
  type Release,
  serve,
  SPOKEN,
  turn,
  until,
  type World,
  WORLDS,
} from "./session_support.ts";
import { helloFrame } from "../src/wire/python/hello_frames.ts";
import { join } from "./wire_support.ts";
import type { Connection } from "../src/transport.ts";

const WHO = messageType(200, "who", text, text);
const NEWS = messageType(201, "news", text);

/** A peer that has said all it has to say in its handshake, and has not been answered. */
async function knocked(
  world: World,
  { address }: { readonly address: Address },
  release: Release,
  credentials?: unknown,
): Promise<Raw> {
  const raw = new Raw(await world.transport.connect(address), release);
  if (release === "1.6.3") {
    const hello = (await raw.frame())!;
    await raw.connection.write(helloFrame(raw.protocol, 11, hello.requestId, 0, "1.6.3"));
  } else {
    await raw.message();
    const native = { versions: [1], features: {}, maxMessageSize: 100_000, credentials };
    await raw.connection.write(message({ v: "2.0.0", meta: release === "native" ? { native } : {} }));
  }
  return raw;
}

/** Everything that comes until FIN, as text. */
async function all(raw: Raw): Promise<string> {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let chunk; (chunk = await raw.connection.read()) !== null;) bytes = join(bytes, chunk);
  await raw.connection.closeWrite();
  return new TextDecoder("latin1").decode(bytes);
}

/** Arrays in arrays. */
function parsedDeep(depth: number): unknown {
  return JSON.parse("[".repeat(depth) + "]".repeat(depth));
}

const THROWN = "select * from users: secret-of-the-server";
const GENERIC = { result: "error", code: "unauthorized", message: "The server does not let you in" };

/** Ways to say no, what the peer is told, and what this side knows. */
const REFUSALS: [how: string, authenticate: Authenticate<unknown>, told: object, ours: string][] = [
  ...[null, undefined, false].flatMap((no): typeof REFUSALS => [
    [`returns ${no}`, () => no, GENERIC, `authenticate returned ${no}`],
    [`promises ${no}`, () => Promise.resolve(no), GENERIC, `authenticate returned ${no}`],
  ]),
  [
    "throws",
    () => {
      throw new Error(THROWN);
    },
    GENERIC,
    `authenticate failed: ${THROWN}`,
  ],
  [
    "rejects",
    async () => {
      await turn();
      throw new Error(THROWN);
    },
    GENERIC,
    `authenticate failed: ${THROWN}`,
  ],
  [
    "throws an error of this library",
    () => {
      throw new HandshakeError("version-mismatch", THROWN);
    },
    GENERIC,
    `authenticate failed: ${THROWN}`,
  ],
  [
    "throws one with a refusal in it",
    () => {
      const refusal = { code: "x", message: THROWN, retryAfter: 1 };
      throw new HandshakeError("unauthorized", THROWN, { refusal });
    },
    GENERIC,
    `authenticate failed: ${THROWN}`,
  ],
  [
    "throws what throws when it is looked at",
    () => {
      throw new Proxy(new Error(), {
        get: () => {
          throw new Error(THROWN);
        },
      });
    },
    GENERIC,
    "authenticate failed",
  ],
  [
    "returns what throws when it is looked at",
    () => ({
      get then(): never {
        throw new Error(THROWN);
      },
    }),
    GENERIC,
    `authenticate failed: ${THROWN}`,
  ],
  ["calls refuse()", ({ refuse }) => refuse("banned", "come\u0000back", { retryAfter: 60_000 }), {
    result: "error",
    code: "banned",
    message: "come?back",
    retryAfter: 60_000,
  }, "come?back (banned)"],
  [
    "calls refuse() later",
    async ({ refuse }) => {
      await turn();
      refuse("banned", "no");
    },
    { result: "error", code: "banned", message: "no" },
    "no (banned)",
  ],
  [
    "calls refuse() wrongly",
    ({ refuse }) => refuse("", THROWN),
    GENERIC,
    "authenticate failed: code must be a non-empty string",
  ],
  [
    "calls refuse() with no time",
    ({ refuse }) => refuse("a", THROWN, { retryAfter: -1 }),
    GENERIC,
    "authenticate failed: retryAfter must be",
  ],
];

for (const { name, make } of WORLDS) {
  describe(`authenticate, ${name},`, () => {
    for (const { release, server: protocol } of SPOKEN) {
      it(`lets ${release} peers in, at once or later, and handlers and events know who they are`, async () => {
        const made = await make();
        for (const later of [false, true]) {
          const asked: AuthenticateContext[] = [];
          const hold = deferred();
          await using served = await serve(made, {
            protocol,
            authenticate: (context: AuthenticateContext) => {
              asked.push(context);
              const user = { name: "Alice", of: context.credentials };
              return later ? hold.promise.then(() => user) : user;
            },
          }, (server) => {
            server.on("connect", (client) => void client.send(NEWS, `welcome ${client.principal.name}`));
            server.route(NEWS, ({ data }, client) => void client.send(NEWS, `${client.principal.name}: ${data}`));
          });
          const credentials = release === "native" ? { token: "t" } : undefined;
          const raw = await knocked(made, served, release, credentials);
          await until(() => asked.length === 1);
          if (later) {
            await turn();
            assertEquals(served.server.stats(), {
              connections: 0,
              suspended: 0,
              closing: 0,
              pendingHandshakes: 1,
              rejected: 0,
              accepted: 0,
              slowConsumers: 0,
              broadcastsDropped: 0,
              bufferedBytes: 0,
            });
            assertEquals(served.server.broadcast(NEWS, "too early").sent, 0);
          }
          // A Python peer may go on at once.
          const early = raw.encode({ code: 201, content: "hi" });
          if (release !== "native") await raw.connection.write(early.subarray(0, 9));
          if (release !== "native" && later) await turn();
          hold.resolve();
          if (release !== "1.6.3") {
            const native = release === "native" ? { native: { version: 1, features: {} } } : {};
            assertEquals(await raw.message(), { result: "ok", ...native });
          }
          await raw.connection.write(release === "native" ? early : early.subarray(9));
          const heard: string[] = [];
          while (heard.length < 2) heard.push(new TextDecoder().decode((await raw.frame())!.content));
          assertEquals(heard, ["welcome Alice", "Alice: hi"]);
          const [context] = asked;
          assertEquals([context.native, context.protocol, context.credentials, context.signal.aborted], [
            release === "native",
            release,
            credentials,
            false,
          ]);
          assertEquals("port" in context.address, true);
          assertEquals(served.server.clients[0].principal, { name: "Alice", of: credentials });
          await raw[Symbol.asyncDispose]();
          await served.events.next("disconnect");
          assertEquals(context.signal.aborted, false, "the connection ended, not the question");
        }
      });

      it(`that says no to ${release} peers tells them as much as it should, and nothing finds them`, async () => {
        const made = await make();
        for (const [how, authenticate, told, ours] of REFUSALS) {
          await using served = await serve<unknown>(made, { protocol, authenticate });
          const raw = await knocked(made, served, release);
          const said = await all(raw);
          assert(!said.includes("secret"), how);
          if (release === "1.6.3") assertEquals(said, "", how);
          else assertEquals(JSON.parse(said.slice(2)), told, how);
          const [{ reason, error, address }] = await served.events.next("rejected");
          assertEquals([reason, error.code], ["unauthorized", "unauthorized"], how);
          assertInstanceOf(error, HandshakeError);
          assertStringIncludes(error.message, `Cannot let the peer in: ${ours}`, how);
          assertEquals(typeof address, "object");
          const { connections, pendingHandshakes, rejected } = served.server.stats();
          assertEquals([connections, pendingHandshakes, rejected], [0, 0, 1]);
          assertEquals([served.events.of("connect"), served.events.of("error"), served.log.lines], [[], [], []]);
          await raw[Symbol.asyncDispose]();
        }
      });

      it(`that never answers ends by the handshake's time limit, for ${release} peers`, async () => {
        const made = await make();
        const signals: AbortSignal[] = [];
        await using served = await serve<unknown>(made, {
          protocol,
          authenticate: ({ signal }) => {
            signals.push(signal);
            return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
          },
        });
        const raw = await knocked(made, served, release);
        await until(() => signals.length === 1);
        await made.clock.advance(4_990);
        await turn();
        assertEquals([signals[0].aborted, served.events.of("rejected")], [false, []]);
        const [{ reason, error }] = await pass(made.clock, 30, served.events.next("rejected"));
        assertEquals([reason, signals[0].aborted, signals[0].reason], ["handshake-timeout", true, error]);
        assertStringIncludes(error.message, "it was not decided within 5000 ms whether to let it in");
        const said = await all(raw);
        const message = "It was not decided within 5000 ms whether to let the client in";
        if (release === "1.6.3") assertEquals(said, "");
        else assertEquals(JSON.parse(said.slice(2)), { result: "error", code: "handshake-timeout", message });
        await raw[Symbol.asyncDispose]();
        await turn();
        assertEquals(served.events.of("error"), [], "what the signal brought about is no error of its own");
      });

      it(`does not wait for a ${release} peer that takes no last word when the time is over`, async () => {
        const made = await make();
        await using served = await serve<unknown>(made, { protocol, authenticate: () => new Promise(() => {}) });
        const raw = await knocked(made, served, release);
        await until(() => served.server.stats().pendingHandshakes === 1);
        await pass(made.clock, 5_010, served.events.next("rejected"));
        // It neither reads nor leaves.
        await pass(made.clock, 2_500, until(() => served.server.stats().pendingHandshakes === 0));
        await raw[Symbol.asyncDispose]();
      });

      it(`notices ${release} peers that leave, by FIN or reset, while it runs`, async () => {
        const made = await make();
        for (const leave of ["closeWrite", "abort"] as const) {
          const asked = deferred<AbortSignal>();
          const hold = deferred<boolean>();
          await using served = await serve<unknown>(made, {
            protocol,
            authenticate: ({ signal }) => (asked.resolve(signal), hold.promise),
          });
          const raw = await knocked(made, served, release);
          const signal = await asked.promise;
          const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
          await raw.connection[leave]();
          await aborted;
          const [{ reason }] = await served.events.next("rejected");
          assert(reason === "peer-closed" || leave === "abort" && reason === "network-error", reason);
          hold.resolve(true);
          await turn();
          assertEquals([served.server.clients, served.events.of("connect"), served.events.of("error")], [[], [], []]);
          await raw[Symbol.asyncDispose]();
        }
      });

      it(`does not hold up close(), for ${release} peers`, async () => {
        const made = await make();
        const asked = deferred<AbortSignal>();
        const served = await serve<unknown>(made, {
          protocol,
          authenticate: ({ signal }) => (asked.resolve(signal), new Promise(() => {})),
        });
        const raw = await knocked(made, served, release);
        const signal = await asked.promise;
        await served.server.close();
        assertEquals([signal.aborted, made.clock.pending, made.clock.now()], [true, 0, 0]);
        assertEquals(served.events.of("rejected").map(([{ reason }]) => reason), ["server-closed"]);
        await raw[Symbol.asyncDispose]();
      });
    }

    it("keeps what a Python peer sends meanwhile, up to 64 KiB, and refuses a native one that sends anything", async () => {
      const made = await make();
      for (const [release, size, reason] of [["native", 1, "protocol-error"], ["2.0.0", 65_537, "handshake-failed"]]) {
        const asked = deferred<AbortSignal>();
        await using served = await serve<unknown>(made, {
          authenticate: ({ signal }) => (asked.resolve(signal), new Promise(() => {})),
        });
        const raw = await knocked(made, served, release as Release);
        const signal = await asked.promise;
        await raw.connection.write(new Uint8Array(size as number));
        const [info] = await served.events.next("rejected");
        assertEquals([info.reason, signal.aborted, signal.reason], [reason, true, info.error]);
        const said = await all(raw);
        if (release === "2.0.0") assertEquals(JSON.parse(said.slice(2)).code, "handshake-failed");
        await raw[Symbol.asyncDispose]();
      }
    });

    it("gets whatever credentials a peer makes up, and the server lives", async () => {
      const made = await make();
      const seen: unknown[] = [];
      await using served = await serve<unknown>(made, {
        authenticate: ({ credentials }) => {
          seen.push(credentials);
          return (credentials as { user: { name: string } }).user.name;
        },
      });
      const garbage = [undefined, null, 0, "", [], {}, { user: null }, { user: { name: null } }, "x".repeat(15_000)];
      for (const credentials of garbage) {
        const raw = await knocked(made, served, "native", credentials);
        assertEquals(JSON.parse((await all(raw)).slice(2)), GENERIC);
        await raw[Symbol.asyncDispose]();
      }
      assertEquals(seen, garbage);
      const proto = new Raw(await made.transport.connect(served.address), "native");
      await proto.message();
      const native =
        '{"versions":[1],"features":{},"maxMessageSize":9999,"credentials":{"__proto__":{"user":{"name":"x"}}}}';
      await proto.connection.write(message(JSON.parse(`{"v":"2.0.0","meta":{"native":${native}}}`)));
      await proto.end();
      await proto[Symbol.asyncDispose]();
      assertEquals(({} as { user?: unknown }).user, undefined);
    });

    it("is given credentials that are built once, when it looks at them for the first time", async () => {
      const made = await make();
      const contexts: AuthenticateContext[] = [];
      await using served = await serve<unknown>(made, {
        authenticate: (context) => (contexts.push(context), Promise.resolve(null)),
      });
      const raw = await knocked(made, served, "native", { token: "t" });
      assertEquals(JSON.parse((await all(raw)).slice(2)), GENERIC);
      const parse = JSON.parse;
      const parsed: string[] = [];
      JSON.parse = (text) => (parsed.push(text), parse(text));
      try {
        const { credentials } = contexts[0];
        assertEquals(parsed, ['{"token":"t"}']);
        assertEquals(credentials, { token: "t" });
        assertStrictEquals(contexts[0].credentials, credentials);
        assertEquals(parsed.length, 1);
      } finally {
        JSON.parse = parse;
      }
      await raw[Symbol.asyncDispose]();
    });

    it("refuses a peer whose credentials hold too much without asking, and lives", async () => {
      const made = await make();
      let asked = 0;
      await using served = await serve<unknown>(made, { authenticate: () => ++asked });
      for (const credentials of [Array(600).fill({}), parsedDeep(200)]) {
        const raw = await knocked(made, served, "native", credentials);
        const { code } = JSON.parse((await all(raw)).slice(2));
        const [info] = await served.events.next("rejected");
        assertEquals([code, info.reason], ["handshake-failed", "handshake-failed"]);
        await raw[Symbol.asyncDispose]();
      }
      await using raw = await knocked(made, served, "native", [1, [2]]);
      assertEquals((await raw.message() as { result: string }).result, "ok");
      assertEquals(asked, 1);
    });

    it("counts what comes together with a Python peer's last message among the 64 KiB that wait", async () => {
      const made = await make();
      await using served = await serve<unknown>(made, {
        authenticate: () => new Promise(() => {}),
        bufferSize: "huge",
      });
      await using raw = new Raw(await made.transport.connect(served.address), "2.0.0");
      await raw.message();
      await raw.connection.write(join(message({ v: "2.0.0", meta: {} }), new Uint8Array(65_537)));
      const [{ reason }] = await served.events.next("rejected");
      assertEquals(reason, "handshake-failed");
      assertEquals(JSON.parse((await all(raw)).slice(2)).code, "handshake-failed");
    });

    it("of one listener is not that of another", async () => {
      const made = await make();
      const log = new Lines();
      await using server = new Server<string | undefined>({
        transport: made.transport,
        logger: log,
        listen: [
          { hostname: HOST, port: 0 },
          { hostname: HOST, port: 0, authenticate: () => "known" },
        ],
      });
      const seen: unknown[] = [];
      server.on("connect", ({ principal }) => seen.push(principal));
      await server.start();
      for (const address of server.addresses) {
        const client = new Client({ ...address as { port: number }, transport: made.transport });
        await client.connect();
        await client.close();
      }
      assertEquals(seen, [undefined, "known"]);
    });

    it("runs beside the accept loop: 100 that wait keep nobody else waiting", async () => {
      const made = await make();
      const hold = deferred<boolean>();
      let asked = 0;
      await using served = await serve<unknown>(made, { authenticate: () => ++asked > 100 ? true : hold.promise });
      const waiting = await Promise.all(Array.from({ length: 100 }, () => knocked(made, served, "native")));
      await until(() => asked === 100);
      await using quick = await knocked(made, served, "native");
      assertEquals((await quick.message() as { result: string }).result, "ok");
      hold.resolve(true);
      for (const raw of waiting) assertEquals((await raw.message() as { result: string }).result, "ok");
      for (const raw of waiting) await raw[Symbol.asyncDispose]();
    });
  });
}

describe("authenticate", () => {
  it("that fails after nobody waits for it any more is an error event, unless the signal brought it about", async () => {
    const world = memoryWorld();
    const late = new Error("the database is gone");
    const fails = [
      (signal: AbortSignal) => signal.reason,
      () => late,
    ];
    for (const [i, fail] of fails.entries()) {
      const hold = deferred<AbortSignal>();
      await using served = await serve<unknown>(world, {
        authenticate: async ({ signal }) => {
          hold.resolve(signal);
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          await microtasks(20);
          throw fail(signal);
        },
      });
      const raw = await knocked(world, served, "native");
      await hold.promise;
      raw.connection.abort();
      await served.events.next("rejected");
      await turn();
      assertEquals(served.events.of("error"), i === 0 ? [] : [[late]]);
    }
  });

  it("that refuses is logged with its text where nobody listens to rejected", async () => {
    const world = memoryWorld();
    const log = new Lines();
    const server = new Server<unknown>({
      hostname: HOST,
      port: 0,
      transport: world.transport,
      logger: log,
      authenticate: () => {
        throw new Error(THROWN);
      },
    });
    await server.start();
    const raw = await knocked(world, { address: server.addresses[0] }, "native");
    await raw.end();
    await until(() => log.lines.length === 1);
    assertEquals(log.lines[0].slice(0, 2), ["warn", `Cannot let the peer in: authenticate failed: ${THROWN}`]);
    await server.close();
    await raw[Symbol.asyncDispose]();
  });

  it("that says yes when the server is full by then is a refusal all the same", async () => {
    const world = memoryWorld();
    const holds = [deferred<string>(), deferred<string>()];
    let asked = 0;
    await using served = await serve(world, { maxConnections: 1, authenticate: () => holds[asked++].promise });
    await using first = await knocked(world, served, "native");
    await using second = await knocked(world, served, "native");
    await until(() => asked === 2);
    holds[1].resolve("second");
    assertEquals((await second.message() as { result: string }).result, "ok");
    holds[0].resolve("first");
    assertEquals((await first.message() as { code: string }).code, "too-many-connections");
    assertEquals(served.server.clients.map(({ principal }) => principal), ["second"]);
  });

  it("gets the credentials of a Client, which learns why it was refused", async () => {
    const world = memoryWorld();
    await using served = await serve(world, {
      authenticate: ({ credentials, refuse }) => {
        if (credentials === undefined) refuse("no-token", "bring a token");
        return credentials === "good" && { name: "Alice" };
      },
    }, (server) => server.route(WHO, (_, client) => client.principal.name));
    const connect = async (credentials?: unknown): Promise<Client> => {
      const client = new Client({ ...served.address, transport: world.transport, credentials });
      await client.connect();
      return client;
    };
    const cases = [[undefined, "refused-by-peer", "no-token", "bring a token"], [
      "bad",
      "unauthorized",
      "unauthorized",
      GENERIC.message,
    ]];
    for (const [credentials, code, theirs, message] of cases) {
      const error = await connect(credentials).then(() => undefined, (error) => error) as HandshakeError;
      assertEquals([error.code, error.refusal], [code, { code: theirs, message, retryAfter: undefined }]);
    }
    const client = await connect("good");
    assertEquals(await client.request(WHO, ""), "Alice");
    await client.close();
  });

  it("that decides nothing in time has a Client told so, which comes back", async () => {
    const world = memoryWorld();
    let asked = 0;
    await using served = await serve(world, {
      handshakeTimeout: 1_000,
      authenticate: () => ++asked === 1 ? new Promise<string>(() => {}) : "Alice",
    });
    const client = new Client({ ...served.address, transport: world.transport, logger: new Lines() });
    const failed = client.connect().then(() => undefined, (error) => error) as Promise<HandshakeError>;
    await until(() => asked === 1);
    await world.clock.advance(1_010);
    const error = await failed;
    const message = "It was not decided within 1000 ms whether to let the client in";
    assertEquals([error.code, error.refusal], ["handshake-timeout", {
      code: "handshake-timeout",
      message,
      retryAfter: undefined,
    }]);
    await client.connect();
    assertEquals(served.server.clients.map(({ principal }) => principal), ["Alice"]);
    await client.close();
  });

  it("leaves the connection to be read without promises, whether it answers at once or later", async () => {
    for (const answer of ["Alice", Promise.resolve("Alice")]) {
      const world = memoryWorld();
      let reads = 0;
      const listen: Transport["listen"] = async (at, options) => {
        const listener = await world.transport.listen(at, options);
        const connections = listener[Symbol.asyncIterator]();
        return Object.assign(Object.create(listener), {
          address: listener.address,
          close: () => listener.close(),
          [Symbol.asyncIterator]: () => ({
            async next(): Promise<IteratorResult<Connection, undefined>> {
              const { done, value } = await connections.next();
              if (done) return { done, value };
              const read = value.read.bind(value);
              return { done, value: Object.assign(value, { read: () => (reads++, read()) }) };
            },
          }),
        });
      };
      const server = new Server({
        hostname: HOST,
        port: 0,
        transport: { ...world.transport, listen },
        logger: new Lines(),
        authenticate: () => answer,
      });
      server.route(WHO, ({ data }) => data);
      await server.start();
      const client = new Client({ ...server.addresses[0] as TcpEndpoint, transport: world.transport });
      await client.connect();
      assertEquals(await client.request(WHO, "0"), "0");
      const before = reads;
      assert(before > 0);
      for (let i = 1; i <= 20; i++) assertEquals(await client.request(WHO, `${i}`), `${i}`);
      assertEquals(reads - before, 0);
      await client.close();
      await server.close();
    }
  });
});
