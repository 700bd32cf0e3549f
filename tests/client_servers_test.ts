/** A client with several servers, and with a URL: where it connects, and what it hears when it cannot. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  Client,
  type ClientConfig,
  ConfigError,
  ConnectionError,
  HandshakeError,
  type MessageType,
  messageType,
  Server,
  type ServerConfig,
  text,
} from "../mod.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import { codeOf } from "./protected_support.ts";
import { advanceUntil, Lines, memoryWorld, microtasks, Recorder, type World } from "./session_support.ts";
import { LIMIT, LISTENER, relayTo } from "./web_socket_support.ts";
import { limited } from "./processes/waiting.ts";

const WHERE: MessageType<string, string, string, string> = messageType(210, "where", text, text);
const SURE = { delay: 100, jitter: false } as const;

/** Starts a server that says its name. */
async function serve(world: World, port: number, config: ServerConfig<unknown> = {}): Promise<Server<unknown>> {
  const server = new Server<unknown>({ hostname: "test", port, transport: world.transport, ...config });
  server.on("rejected", () => {});
  server.route(WHERE, () => `${port}`);
  await server.start();
  return server;
}

/** A client of the servers at these ports. */
function clientOf(world: World, ports: readonly number[], config: ClientConfig = {}): Client {
  return new Client({
    servers: ports.map((port) => ({ hostname: "test", port })),
    transport: world.transport,
    logger: new Lines(),
    ...config,
  });
}

/** A world in which nothing answers at some ports. */
function withHanging(world: World, ports: readonly number[]): World & { readonly tried: number[] } {
  const tried: number[] = [];
  return {
    ...world,
    tried,
    transport: {
      ...world.transport,
      connect: (to, options) => {
        const { port } = to as { port: number };
        tried.push(port);
        if (!ports.includes(port)) return world.transport.connect(to, options);
        return new Promise((_, reject) => {
          options!.signal!.addEventListener("abort", () => reject(options!.signal!.reason), { once: true });
        });
      },
    },
  };
}

async function settled<Value>(world: World, promise: Promise<Value>): Promise<Value> {
  return await advanceUntil(world.clock, promise);
}

describe("a client with several servers", () => {
  it("connects to the first that is there, and stays with it", async () => {
    const world = memoryWorld();
    await using _ = await serve(world, 2);
    await using client = clientOf(world, [1, 2, 3]);
    for (let i = 0; i < 2; i++) {
      await client.connect();
      assertEquals(await client.request(WHERE, ""), "2");
      await client.close();
    }
  });

  it("goes on to the next when one dies, and comes back to it when that dies, too", async () => {
    const world = memoryWorld();
    const first = await serve(world, 1);
    await using client = clientOf(world, [1, 2], { reconnect: SURE });
    const events = new Recorder(client, ["connect"]);
    await client.connect();
    const second = await serve(world, 2);
    await events.next("connect");
    await first.close({ drain: 0 });
    await settled(world, events.next("connect"));
    assertEquals(await client.request(WHERE, ""), "2");
    await using _ = await serve(world, 1);
    await second.close({ drain: 0 });
    await settled(world, events.next("connect"));
    assertEquals(await client.request(WHERE, ""), "1");
  });

  it("has one attempt for a pass over all of them, and counts it once", async () => {
    const world = withHanging(memoryWorld(), []);
    await using client = clientOf(world, [1, 2, 3], { reconnect: { ...SURE, attempts: 2 } });
    const events = new Recorder(client, ["connecting", "reconnecting", "disconnect"]);
    const error = await settled(world, client.connect().then(() => undefined, (error) => error));
    assertEquals(codeOf(error), "refused");
    assertEquals(world.tried, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    assertEquals(events.of("connecting").map(([{ attempt }]) => attempt), [0, 1, 2]);
    assertEquals(events.of("disconnect").map(([{ permanent }]) => permanent), [false, false, true]);
  });

  it("gives one that hangs the time of handshakeTimeout, and then tries the next", async () => {
    const world = withHanging(memoryWorld(), [1]);
    await using _ = await serve(world, 2);
    await using client = clientOf(world, [1, 2], { handshakeTimeout: 1_000 });
    await settled(world, client.connect());
    assertEquals(await client.request(WHERE, ""), "2");
    assert(world.clock.now() >= 1_000 && world.clock.now() < 1_500, `${world.clock.now()}`);
  });

  it("stops in the middle when its caller gives up, and begins with the same server the next time", async () => {
    const world = withHanging(memoryWorld(), [1]);
    await using _ = await serve(world, 2);
    await using client = clientOf(world, [1, 2]);
    const stop = new AbortController();
    const connecting = client.connect({ signal: stop.signal });
    await microtasks(50);
    const reason = new Error("enough");
    stop.abort(reason);
    assertEquals(await connecting.catch((error) => error), reason);
    await client.closed;
    assertEquals([world.tried, client.state], [[1], "disconnected"]);
    await settled(world, client.connect());
    assertEquals(world.tried, [1, 1, 2]);
  });

  it("stops in the middle when it is closed", async () => {
    const world = withHanging(memoryWorld(), [1, 2]);
    const client = clientOf(world, [1, 2, 3], { reconnect: SURE });
    const connecting = client.connect().catch((error) => error);
    await microtasks(50);
    await client.close();
    assertEquals([codeOf(await connecting), world.tried, client.state], ["closed", [1], "disconnected"]);
  });

  it("asks the next where one does not let it in, and says what that one has said if no other does", async () => {
    const world = withHanging(memoryWorld(), []);
    await using _ = await serve(world, 1, { authenticate: ({ refuse }) => refuse("unauthorized", "not you") });
    await using client = clientOf(world, [1, 2], { credentials: "a" });
    const error = await assertRejects(() => client.connect(), HandshakeError) as HandshakeError;
    assertEquals([error.code, error.refusal?.message, world.tried], ["unauthorized", "not you", [1, 2]]);
    await using second = await serve(world, 2);
    await client.connect();
    assertEquals(await client.request(WHERE, ""), "2");
    await client.close();
    await second.close();
  });

  it("tries again while one of them may still let it in, though another has refused it", async () => {
    const world = memoryWorld();
    await using _ = await serve(world, 1, { authenticate: ({ refuse }) => refuse("unauthorized", "not you") });
    await using client = clientOf(world, [1, 2], { credentials: "a", reconnect: SURE });
    const events = new Recorder(client, ["disconnect"]);
    const connecting = client.connect();
    const [state] = await settled(world, events.next("disconnect"));
    assertEquals([state.permanent, codeOf(state.error)], [false, "unauthorized"]);
    await using second = await serve(world, 2);
    await settled(world, connecting);
    assertEquals(await client.request(WHERE, ""), "2");
    await client.close();
    await second.close();
  });

  it("does not try again once all of them have refused it", async () => {
    const world = withHanging(memoryWorld(), []);
    const no: ServerConfig<unknown> = { authenticate: ({ refuse }) => refuse("unauthorized", "not you") };
    await using _ = await serve(world, 1, no);
    await using __ = await serve(world, 2, no);
    await using client = clientOf(world, [1, 2], { credentials: "a", reconnect: SURE });
    const error = await settled(world, client.connect().catch((error) => error));
    assertEquals([codeOf(error), world.tried, client.state], ["unauthorized", [1, 2], "disconnected"]);
  });

  it("goes on to the next where one is full", async () => {
    const world = memoryWorld();
    await using full = await serve(world, 1, { maxConnections: 1 });
    await using first = clientOf(world, [1]);
    await first.connect();
    await using _ = await serve(world, 2);
    await using client = clientOf(world, [1, 2]);
    await client.connect();
    assertEquals([await client.request(WHERE, ""), full.clients.length], ["2", 1]);
  });

  it("asks for its credentials anew at each server, with the number of the attempt", async () => {
    const world = memoryWorld();
    const asked: number[] = [];
    await using client = clientOf(world, [1, 2], {
      credentials: (attempt: number) => {
        asked.push(attempt);
        return "a";
      },
      reconnect: { ...SURE, attempts: 1 },
    });
    await settled(world, client.connect().catch(() => {}));
    assertEquals(asked, [0, 0, 1, 1]);
  });

  it("stops at once if its function for credentials throws", async () => {
    const world = withHanging(memoryWorld(), []);
    const broken = new Error("no token");
    await using client = clientOf(world, [1, 2], {
      credentials: () => {
        throw broken;
      },
    });
    assertEquals(await client.connect().catch((error) => error), broken);
    assertEquals(world.tried, []);
  });

  it("logs which server it leaves, and why", async () => {
    const world = memoryWorld();
    const lines: string[] = [];
    const logger = { warn: () => {}, error: () => {}, info: (line: string) => void lines.push(line) };
    await using _ = await serve(world, 2);
    await using client = clientOf(world, [1, 2], { logger });
    await client.connect();
    const line = lines.find((line) => line.endsWith("; trying the next server"));
    assert(line?.startsWith("test:1: Cannot connect to"), `${lines}`);
  });

  it("resumes its session only where it is, and begins another one elsewhere once it is lost", async () => {
    const world = withHanging(memoryWorld(), []);
    const keep = 5_000;
    const first = await serve(world, 1, { resume: { keep } });
    await using _ = await serve(world, 2, { resume: { keep } });
    await using client = clientOf(world, [1, 2], { reconnect: SURE, resume: true });
    const events = new Recorder(client, ["connect", "suspended", "resumed", "disconnect"]);
    await client.connect();
    await events.next("connect");
    world.tried.length = 0;
    await first.close({ drain: 0 });
    // It says that it goes away, so nothing is left there to come back to.
    await settled(world, events.next("connect"));
    assertEquals([await client.request(WHERE, ""), events.of("resumed").length], ["2", 0]);
  });
});

describe("a client with several servers that take WebSockets", () => {
  it("comes back to its session after a cut, at the server that has it", async () => {
    const config = { resume: true } as const;
    await using one = await LISTENER.serve({}, config);
    await using two = await LISTENER.serve({}, config);
    one.server.route(WHERE, () => "one");
    two.server.route(WHERE, () => "two");
    await using relay = await relayTo(one.port);
    await using client = new Client({
      servers: [{ url: `ws://127.0.0.1:${relay.port}/veltix` }, { url: two.url }],
      reconnect: { delay: 10 },
      resume: true,
    });
    const events = new Recorder(client, ["suspended", "resumed", "disconnect"]);
    await client.connect();
    for (let i = 0; i < 3; i++) {
      relay.cut();
      await limited("resumed", LIMIT, events.next("resumed"));
      assertEquals(await client.request(WHERE, ""), "one");
    }
    assertEquals([events.of("disconnect"), two.server.clients.length], [[], 0]);
  });

  it("waits for the server that has its session for as long as it is kept there, and then goes to another one", async () => {
    await using one = await LISTENER.serve({}, { resume: { keep: 1_000 } });
    await using two = await LISTENER.serve({}, { resume: true });
    two.server.route(WHERE, () => "two");
    const relay = await relayTo(one.port);
    await using client = new Client({
      servers: [{ url: `ws://127.0.0.1:${relay.port}/veltix` }, { url: two.url }],
      reconnect: { delay: 10 },
      resume: true,
    });
    const events = new Recorder(client, ["connect", "suspended", "disconnect"]);
    await client.connect();
    await events.next("connect");
    await relay[Symbol.asyncDispose]();
    await limited("suspended", LIMIT, events.next("suspended"));
    const [state] = await limited("disconnected", LIMIT, events.next("disconnect"));
    assertEquals([state.resume, state.permanent], ["lost", false]);
    await limited("connected", LIMIT, events.next("connect"));
    assertEquals(await client.request(WHERE, ""), "two");
  });

  it("goes from a WebSocket to bare sockets, and back", async () => {
    await using web = await LISTENER.serve();
    web.server.route(WHERE, () => "web");
    const bare = new Server({ port: 0, hostname: "127.0.0.1" });
    bare.route(WHERE, () => "bare");
    await bare.start();
    const { port } = bare.addresses[0] as { port: number };
    await using client = new Client({ servers: [{ port, hostname: "127.0.0.1" }, { url: web.url }] });
    await client.connect();
    assertEquals(await client.request(WHERE, ""), "bare");
    await bare.close();
    await client.closed;
    await client.connect();
    assertEquals(await client.request(WHERE, ""), "web");
  });

  it("leaves a server that hangs during TLS, or with its answer", async () => {
    await using web = await LISTENER.serve();
    web.server.route(WHERE, () => "web");
    const { createServer } = await import("node:net");
    const sockets = new Set<{ destroy(): void }>();
    const silent = createServer((socket) => void sockets.add(socket.on("error", () => {})));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    const urls = [`wss://127.0.0.1:${port}/`, `ws://127.0.0.1:${port}/`, web.url];
    await using client = new Client({ servers: urls.map((url) => ({ url })), handshakeTimeout: 300 });
    await client.connect();
    assertEquals(await client.request(WHERE, ""), "web");
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
});

describe("the option servers", () => {
  const wrong: readonly [config: object, error: typeof TypeError | typeof ConfigError, message: string][] = [
    [{ servers: [] }, TypeError, "servers must be an array of at least one server"],
    [{ servers: "ws://a/" }, TypeError, "servers must be an array of at least one server"],
    [{ servers: ["ws://a/"] }, TypeError, 'servers[0] must be an object, not "ws://a/"'],
    [{ servers: [{}, { prot: 1 }] }, TypeError, 'Unknown option "prot"'],
    [{ servers: [{ port: 0 }] }, RangeError as never, "servers[0].port must be a whole number from 1 to 65535"],
    [{ servers: [{}], port: 1 }, ConfigError, "servers"],
    [{ servers: [{}], url: "ws://a/" }, ConfigError, "servers"],
    [{ servers: [{ url: "ws://a/", port: 1 }] }, ConfigError, "servers[0].url"],
    [{ servers: [{ port: 1, path: "/a" }] }, ConfigError, "servers[0]."],
    [{ servers: [{ url: "http://a/" }] }, ConfigError, "servers[0].url must be a URL with ws: or wss:"],
    [
      { servers: [{ url: "wss://a/" }, { url: "ws://b/" }], tls: {} },
      ConfigError,
      "tls goes with wss: only, and the URL is ws://b/",
    ],
    [{ servers: [{ url: "wss://a/" }, { hostname: "example.org" }], credentials: "x" }, ConfigError, "example.org"],
    [{ servers: [{ url: "ws://a/" }], transport: memoryTransport() }, ConfigError, "url goes without transport"],
  ];
  for (const [config, type, message] of wrong) {
    it(`is checked: ${message}`, () => {
      const error = assertThrows(() => new Client(config as ClientConfig), type as typeof Error) as Error;
      assertStringIncludes(error.message, message);
    });
  }
});

describe("the option url", () => {
  const wrong: readonly [url: unknown, message: string][] = [
    ["", 'url must be a URL with ws: or wss:, such as "wss://example.org/veltix", not ""'],
    ["example.org", "url must be a URL with ws: or wss:"],
    ["//example.org/", "url must be a URL with ws: or wss:"],
    ["/veltix", "url must be a URL with ws: or wss:"],
    ["http://example.org/", "url must be a URL with ws: or wss:"],
    ["https://example.org/", "url must be a URL with ws: or wss:"],
    ["ws:", "url must be a URL with ws: or wss:"],
    ["ws://", "url must be a URL with ws: or wss:"],
    ["ws://a b/", "url must be a URL with ws: or wss:"],
    ["ws://example.org:65536/", "url must be a URL with ws: or wss:"],
    ["ws://example.org:0/", "url must have a port from 1 to 65535"],
    ["ws://[::1/", "url must be a URL with ws: or wss:"],
    ["ws://example.org/#top", "url must not have a fragment (#top)"],
    ["ws://me:secret@example.org/", "url must not have a user or a password: use credentials"],
    ["ws://me@example.org/", "url must not have a user or a password: use credentials"],
    [7, "url must be a URL, not 7"],
    [null, "url must be a URL, not null"],
    [{ href: "ws://a/" }, "url must be a URL, not of type object"],
  ];
  for (const [url, message] of wrong) {
    it(`is checked: ${JSON.stringify(url)}`, () => {
      const error = assertThrows(() => new Client({ url } as ClientConfig)) as Error;
      assert(error instanceof (typeof url === "string" ? ConfigError : TypeError), String(error));
      assertStringIncludes(error.message, message);
      // What is secret in it is not repeated.
      assert(!error.message.includes("secret"), error.message);
    });
  }

  it("may be a URL object, of any case and with the port that goes without saying", () => {
    for (const url of [new URL("ws://127.0.0.1:1/a?b"), "WS://LOCALHOST:80/", "wss://[::1]:443", "ws://127.1/"]) {
      assertEquals(new Client({ url }).state, "disconnected");
    }
  });

  it("excludes port, hostname, path and transport", () => {
    for (const other of [{ port: 1 }, { hostname: "a" }, { path: "/a" }]) {
      assertThrows(() => new Client({ url: "ws://a/", ...other }), ConfigError, "url");
    }
  });

  const ways: readonly [config: ClientConfig, fails: boolean][] = [
    [{ url: "ws://example.org/", credentials: "secret" }, true],
    [{ url: "ws://192.0.2.1/", credentials: () => "secret" }, true],
    [{ url: "ws://localhost.example.org/", credentials: "secret" }, true],
    [{ url: "ws://example.org/", credentials: "secret", insecureCredentials: true }, false],
    [{ url: "ws://localhost/", credentials: "secret" }, false],
    [{ url: "ws://127.0.0.1/", credentials: "secret" }, false],
    [{ url: "ws://[::1]/", credentials: "secret" }, false],
    [{ url: "wss://example.org/", credentials: "secret" }, false],
  ];
  for (const [config, fails] of ways) {
    it(`${fails ? "refuses" : "takes"} credentials to ${config.url}${config.insecureCredentials ? " if told to" : ""}`, () => {
      if (!fails) return assertEquals(new Client(config).state, "disconnected");
      const error = assertThrows(() => new Client(config), ConfigError) as ConfigError;
      assertStringIncludes(error.message, "credentials would travel unencrypted to");
      assertStringIncludes(error.message, ": use wss: in the URL, or set encryption, or insecureCredentials to true");
      assert(!error.message.includes("secret"));
    });
  }

  it("of another path gets an error that says so", async () => {
    await using served = await LISTENER.serve();
    await using client = new Client({ url: served.url.replace("/veltix", "/other") });
    const error = await assertRejects(() => client.connect(), HandshakeError) as HandshakeError;
    assertEquals(error.code, "handshake-failed");
    assertStringIncludes(
      error.message,
      "the server answered with the status 404 and not with a WebSocket, check the URL",
    );
  });

  it("of a port where nobody listens is refused, and of a name that is none cannot be resolved", async () => {
    const served = await LISTENER.serve();
    await served.server.close();
    for (const [url, code] of [[served.url, "refused"], ["ws://nowhere.invalid/", "unresolvable"]] as const) {
      await using client = new Client({ url });
      const error = await assertRejects(() => client.connect(), ConnectionError) as ConnectionError;
      assertEquals(error.code, code, error.message);
    }
  });
});
