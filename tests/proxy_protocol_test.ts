/** A server behind proxies that say who is connected: for limits, events and decisions, the peer is the one they name. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import {
  type Address,
  Client,
  type ClientConfig,
  type Connection,
  type HandshakeError,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  type Transport,
} from "../mod.ts";
import { Identity } from "@veltix/core/encryption";
import { connectionPair } from "../src/adapters/memory.ts";
import { ProxiedConnection } from "../src/server/proxied_connection.ts";
import { answer, ASK, converse, opening, UPPER } from "./accept_support.ts";
import { itOnPosix } from "./posix.ts";
import { limited } from "./processes/waiting.ts";
import {
  advanceUntil,
  HOST,
  Lines,
  memoryWorld,
  message,
  Raw,
  Recorder,
  soon,
  until,
  type World,
} from "./session_support.ts";
import { CA, SERVER } from "./tls_support.ts";
import { join, utf8 } from "./wire_support.ts";

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const LOCAL = join(SIGNATURE, Uint8Array.of(0x20, 0x00, 0x00, 0x00));

/** The header of version 1 for a client. */
function text({ hostname, port }: TcpEndpoint): Uint8Array {
  return utf8(`PROXY ${hostname.includes(":") ? "TCP6" : "TCP4"} ${hostname} ${hostname} ${port} 443\r\n`);
}

/** The header of version 2 for a client. IPv6 addresses are written out. */
function binary({ hostname, port }: TcpEndpoint): Uint8Array {
  const v6 = hostname.includes(":");
  const ip = v6
    ? hostname.split(":").flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255])
    : hostname.split(".").map(Number);
  const block = Uint8Array.of(...ip, ...ip, port >> 8, port & 255, 1, 187);
  return join(SIGNATURE, Uint8Array.of(0x21, v6 ? 0x21 : 0x11, 0, block.length), block);
}

const PEER4 = { hostname: "203.0.113.7", port: 4_711 };
const PEER6 = { hostname: "2001:db8:1:2:3:4:5:6", port: 4_712 };

/** What a proxy writes first, and how. */
interface Header {
  readonly bytes: Uint8Array;
  /** Each byte in a write of its own. */
  readonly slowly?: boolean;
  /** Together with the client's first bytes. */
  readonly glued?: boolean;
}

/** A proxy in front of a server. Its clients may come from anywhere: it says what the test says. */
class FrontProxy implements AsyncDisposable {
  readonly #server: NetServer;
  readonly #sockets = new Set<Socket>();

  constructor(to: Address, header: () => Header) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      const upstream = connect("path" in to ? { path: to.path } : { host: to.hostname, port: to.port });
      upstream.setNoDelay(true);
      for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
        this.#sockets.add(socket);
        socket.on("error", () => other.destroy());
        socket.on("close", () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
      void this.#begin(client, upstream, header());
    });
  }

  async #begin(client: Socket, upstream: Socket, { bytes, slowly = false, glued = false }: Header): Promise<void> {
    if (glued) {
      const first = await new Promise<Uint8Array>((resolve) => client.once("data", resolve));
      client.pause();
      upstream.write(join(bytes, first));
    } else if (slowly) {
      for (const byte of bytes) await new Promise<unknown>((done) => upstream.write(Uint8Array.of(byte), done));
    } else upstream.write(bytes);
    client.pipe(upstream);
    upstream.pipe(client);
  }

  static async start(to: Address, header: () => Header): Promise<FrontProxy> {
    const proxy = new FrontProxy(to, header);
    await new Promise<void>((resolve) => proxy.#server.listen(0, HOST, resolve));
    return proxy;
  }

  get address(): TcpEndpoint {
    return { hostname: HOST, port: (this.#server.address() as AddressInfo).port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

interface Served extends AsyncDisposable {
  readonly server: Server<unknown>;
  readonly events: Recorder;
  readonly log: Lines;
}

/** Starts a server that believes the proxies of this machine. */
async function serve(config: ServerConfig<unknown> = {}): Promise<Served> {
  const log = new Lines();
  const at = config.path === undefined && config.listen === undefined ? { hostname: HOST, port: 0 } : {};
  const server = new Server<unknown>({ ...at, logger: log, proxyProtocol: { from: ["localhost"] }, ...config });
  const events = new Recorder(server, ["handshake", "connect", "disconnect", "rejected", "error"]);
  answer(server);
  await server.start();
  return { server, events, log, [Symbol.asyncDispose]: () => server.close({ drain: 0 }) };
}

/** A network within the program, whose peers are on this machine. */
async function serveInside(config: ServerConfig<unknown> = {}): Promise<Served & { readonly world: World }> {
  const world = memoryWorld();
  return { world, ...await serve({ transport: world.transport, ...config }) };
}

/** Connects by hand, writes something, and reads what comes until the end. */
async function say({ world, server }: Served & { readonly world: World }, bytes: Uint8Array): Promise<Raw> {
  const raw = new Raw(await world.transport.connect(server.addresses[0]), "native");
  await raw.connection.write(bytes);
  return raw;
}

const identity = await Identity.generate();
/** How listeners protect connections, and what clients need for it. */
const PROTECTIONS: [name: string, server: ServerConfig<unknown>, client: ClientConfig][] = [
  ["a plain listener", {}, {}],
  ["a listener with encryption", { encryption: { identity } }, { encryption: { trust: identity.publicKey } }],
  ["a listener with TLS", { tls: SERVER }, { tls: { ca: CA, serverName: "localhost" } }],
  [
    "a listener with encryption in TLS",
    { tls: SERVER, encryption: { identity } },
    { tls: { ca: CA, serverName: "localhost" }, encryption: { trust: identity.publicKey } },
  ],
];

const HEADERS: [name: string, header: (peer: TcpEndpoint) => Header][] = [
  ["of version 1", (peer) => ({ bytes: text(peer) })],
  ["of version 2", (peer) => ({ bytes: binary(peer) })],
  ["of version 1, byte by byte", (peer) => ({ bytes: text(peer), slowly: true })],
  ["of version 2, byte by byte", (peer) => ({ bytes: binary(peer), slowly: true })],
];

for (const [protection, forServer, forClient] of PROTECTIONS) {
  describe(`${protection} behind a proxy`, () => {
    for (const [kind, header] of HEADERS) {
      for (const [hostname, peer] of [[HOST, PEER4], ["::1", PEER6]] as const) {
        it(`sees a peer at ${peer.hostname}, whom a header ${kind} names`, async () => {
          const asked: Address[] = [];
          await using served = await serve({
            hostname,
            ...forServer,
            authenticate: ({ address }) => asked.push(address),
          });
          await using proxy = await FrontProxy.start(served.server.addresses[0], () => header(peer));
          await using client = new Client({ ...proxy.address, ...forClient });
          client.route(ASK, ({ data }) => `${data}!`);
          await client.connect();
          await converse(served.server, client);
          const [handshake] = await served.events.next("handshake");
          assertEquals([handshake, asked, served.server.clients[0].address], [peer, [peer], peer]);
          await client.close();
          const [left, { reason }] = await served.events.next("disconnect");
          assertEquals([left.address, reason], [peer, "going-away"]);
          assertEquals(served.events.of("rejected"), []);
        });
      }
    }

    // A plain listener speaks first. There the client's bytes are written by hand, below.
    if (protection !== "a plain listener") {
      it("takes the first bytes of the client together with the header", async () => {
        await using served = await serve(forServer);
        const header = { bytes: binary(PEER4), glued: true };
        await using proxy = await FrontProxy.start(served.server.addresses[0], () => header);
        await using client = new Client({ ...proxy.address, ...forClient });
        await client.connect();
        assertEquals(await client.request(UPPER, "a"), "A");
        assertEquals(served.server.clients[0].address, PEER4);
      });
    }

    it("has the proxy as the peer if the proxy speaks for itself, or does not know", async () => {
      await using served = await serve(forServer);
      for (const bytes of [LOCAL, utf8("PROXY UNKNOWN\r\n")]) {
        await using proxy = await FrontProxy.start(served.server.addresses[0], () => ({ bytes }));
        await using client = new Client({ ...proxy.address, ...forClient });
        await client.connect();
        assertEquals((served.server.clients.at(-1)!.address as TcpEndpoint).hostname, HOST);
        await client.close();
      }
    });

    it("refuses what comes without a header, under the address of the proxy", async () => {
      await using served = await serve(forServer);
      const { port } = served.server.addresses[0] as TcpEndpoint;
      const socket = connect(port, HOST);
      socket.write("GET / HTTP/1.1\r\n\r\n");
      socket.on("error", () => {});
      socket.resume();
      const [{ address, reason, error }] = await served.events.next("rejected");
      assertEquals([address.hostname, reason], [HOST, "handshake-failed"]);
      assertEquals(error.code, "proxy-header-required");
      assertStringIncludes(error.message, 'PROXY header is missing: it began with an HTTP request, "GET / HTTP/1.1"');
      await limited("the end", 20_000, new Promise((resolve) => socket.on("close", resolve)));
      assertEquals(served.events.of("handshake"), []);
    });

    it("ends at once with close() while a header is waited for", async () => {
      const served = await serve(forServer);
      const { port } = served.server.addresses[0] as TcpEndpoint;
      const socket = connect(port, HOST);
      socket.write("PROXY TCP4 ");
      socket.on("error", () => {});
      socket.resume();
      const gone = new Promise((resolve) => socket.on("close", resolve));
      await until(() => served.server.stats().pendingHandshakes === 1);
      await limited("close()", 3_000, served.server.close());
      await limited("the end", 20_000, gone);
      assertEquals((await served.events.next("rejected"))[0].reason, "server-closed");
    });
  });
}

describe("proxyProtocol", () => {
  it("names the peer in what TLS and encryption report, too", async () => {
    for (const config of [{ tls: SERVER }, { encryption: { identity } }]) {
      await using served = await serve(config);
      await using proxy = await FrontProxy.start(served.server.addresses[0], () => ({ bytes: text(PEER4) }));
      const socket = connect(proxy.address.port, HOST);
      socket.write("hello there");
      socket.on("error", () => {});
      socket.resume();
      const [{ address, error }] = await served.events.next("rejected");
      assertEquals(address, PEER4);
      if ("tls" in config) {
        assertStringIncludes(error.message, 'Cannot agree with "203.0.113.7:4711": it does not speak');
      } else assertEquals(error.code, "encryption-required");
      socket.destroy();
    }
  });

  it("looks for no header from an address that is not in `from`", async () => {
    await using served = await serveInside({ proxyProtocol: { from: ["192.0.2.1", "10.0.0.0/8"] } });
    const raw = await say(served, text(PEER4));
    const [{ address, error }] = await served.events.next("rejected");
    assertEquals((address as TcpEndpoint).hostname, HOST);
    assertStringIncludes(error.message, 'the header of a proxy, "PROXY TCP4');
    assertStringIncludes(error.message, "set the option proxyProtocol of the server");
    await raw[Symbol.asyncDispose]();
    await using client = new Client({
      ...served.server.addresses[0] as TcpEndpoint,
      transport: served.world.transport,
    });
    await client.connect();
    assertEquals((served.server.clients[0].address as TcpEndpoint).hostname, HOST);
  });

  it("leaves what comes together with the header to the handshake", async () => {
    await using served = await serveInside();
    const native = { versions: [1], features: {}, maxMessageSize: 10_485_760 };
    const raw = await say(served, join(text(PEER4), message({ v: "2.0.0", meta: { native } })));
    await raw.message();
    assertEquals((await raw.message() as { result: string }).result, "ok");
    assertEquals((await served.events.next("connect"))[0].address, PEER4);
    await raw[Symbol.asyncDispose]();
  });

  it("may be that of one listener, or be left out there", async () => {
    const world = memoryWorld();
    await using served = await serve({
      transport: world.transport,
      listen: [{ hostname: HOST, port: 1 }, { hostname: HOST, port: 2, proxyProtocol: false }],
    });
    await using direct = new Client({ hostname: HOST, port: 2, transport: world.transport });
    await direct.connect();
    const [, second] = served.server.addresses;
    assertEquals(second, { hostname: HOST, port: 2 });
    const raw = new Raw(await world.transport.connect({ hostname: HOST, port: 1 }), "native");
    await raw.connection.write(text(PEER4));
    await raw.agreeAsClient();
    await until(() => served.server.clients.length === 2);
    assertEquals(served.server.clients[1].address, PEER4);
    await raw[Symbol.asyncDispose]();
    await using other = await serve({
      transport: memoryWorld().transport,
      proxyProtocol: undefined,
      listen: [{ hostname: HOST, port: 1, proxyProtocol: { from: ["::1", "127.0.0.1"] } }],
    });
    assertEquals(other.server.addresses, [{ hostname: HOST, port: 1 }]);
  });

  it("tells a client that connects directly why it is refused, once its time is over", async () => {
    await using served = await serveInside({ handshakeTimeout: 1_000 });
    const { world, server } = served;
    const client = new Client({ ...server.addresses[0] as TcpEndpoint, transport: world.transport });
    const error = await advanceUntil(world.clock, client.connect().catch((error) => error)) as HandshakeError;
    assertEquals([error.code, error.refusal?.code], ["refused-by-peer", "proxy-header-required"]);
    assertStringIncludes(error.message, "takes connections from this address only with a PROXY header");
    const [info] = await served.events.next("rejected");
    assertEquals([info.reason, info.error.code], ["handshake-timeout", "handshake-timeout"]);
    assertStringIncludes(info.error.message, "did not come within 1000 ms, only 0 bytes did");
    await client.close();
  });

  it("gives header and handshake one time together", async () => {
    await using served = await serveInside({ handshakeTimeout: 1_000 });
    const { world, events } = served;
    const raw = await say(served, text(PEER4).subarray(0, 10));
    await world.clock.advance(900);
    assertEquals(events.of("rejected"), []);
    await raw.connection.write(text(PEER4).subarray(10));
    await raw.message();
    const began = world.clock.now();
    const [{ address, reason }] = await advanceUntil(world.clock, events.next("rejected"), 10);
    assertEquals([address, reason], [PEER4, "handshake-timeout"]);
    assert(world.clock.now() - began < 500, `${world.clock.now() - began} ms`);
    await raw[Symbol.asyncDispose]();
  });

  it("takes a header that is cut off for none, and an end before any byte for a visit", async () => {
    await using served = await serveInside();
    const cut = await say(served, binary(PEER4).subarray(0, 20));
    await cut.connection.closeWrite();
    const [{ reason, error }] = await served.events.next("rejected");
    assertEquals([reason, error.code], ["handshake-failed", "proxy-header-required"]);
    assertStringIncludes(error.message, "PROXY header is cut off after 20 bytes");
    const visit = await say(served, new Uint8Array(0));
    await visit.connection.closeWrite();
    assertEquals((await served.events.next("rejected"))[0].reason, "peer-closed");
    for (const raw of [cut, visit]) await raw[Symbol.asyncDispose]();
  });

  it("logs a wrong header as a warning, and a visit not at all", async () => {
    const { transport } = memoryWorld();
    const log = new Lines();
    const server = new Server({ hostname: HOST, port: 1, logger: log, proxyProtocol: { from: [HOST] }, transport });
    await server.start();
    const visit = await transport.connect({ hostname: HOST, port: 1 });
    await visit.closeWrite();
    assertEquals(await visit.read(), null);
    const wrong = await transport.connect({ hostname: HOST, port: 1 });
    await wrong.write(utf8("hello\r\n"));
    await until(() => log.lines.length > 0);
    assertEquals(log.lines.length, 1);
    assertStringIncludes(String(log.lines[0][1]), "its PROXY header is missing: it began with the text");
    for (const connection of [visit, wrong]) connection.abort();
    await server.close();
  });

  it("believes nobody whose address is unknown: the peer was gone before it was looked at", async () => {
    const world = memoryWorld();
    const lost: Transport = {
      ...world.transport,
      listen: async (at, options) => {
        const listener = await world.transport.listen(at, options);
        const accepted = async function* (): AsyncGenerator<Connection> {
          for await (const connection of listener) {
            yield new Proxy(connection, {
              get: (target, name) => {
                if (name === "remote") return { hostname: "", port: 0 };
                const value = Reflect.get(target, name, target);
                return typeof value === "function" ? value.bind(target) : value;
              },
            });
          }
        };
        return {
          ...listener,
          address: listener.address,
          close: () => listener.close(),
          [Symbol.asyncIterator]: accepted,
        };
      },
    };
    await using other = await serve({ transport: lost });
    const visit = await world.transport.connect(other.server.addresses[0]);
    await visit.write(text(PEER4));
    const [{ address, reason }] = await other.events.next("rejected");
    assertEquals([address, reason], [{ hostname: "", port: 0 }, "peer-closed"]);
    assertEquals([other.events.of("handshake"), other.log.lines], [[], []]);
    visit.abort();
  });

  it("reads no more than a header may have", async () => {
    await using served = await serveInside();
    const raw = await say(served, join(SIGNATURE, Uint8Array.of(0x21, 0x11, 0xff, 0xff)));
    const [{ error }] = await served.events.next("rejected");
    assertStringIncludes(error.message, "PROXY header has 65551 bytes, and 536 are the most");
    await raw[Symbol.asyncDispose]();
  });

  itOnPosix("believes the peers of a unix socket where it is told to, and takes their paths", async () => {
    const folder = await mkdtemp(joinPath(tmpdir(), "veltix-proxy-"));
    try {
      const path = joinPath(folder, "app.sock");
      await using served = await serve({ path, proxyProtocol: { from: ["unix"] } });
      await using proxy = await FrontProxy.start({ path }, () => ({ bytes: text(PEER4) }));
      await using client = new Client({ ...proxy.address });
      await client.connect();
      assertEquals(served.server.clients[0].address, PEER4);
      const block = new Uint8Array(216);
      block.set(utf8("/run/peer.sock"));
      const bytes = join(SIGNATURE, Uint8Array.of(0x21, 0x31, 0, 216), block);
      await using other = await FrontProxy.start({ path }, () => ({ bytes }));
      await using local = new Client({ ...other.address });
      await local.connect();
      assertEquals(served.server.clients[1].address, { path: "/run/peer.sock" });
      await Promise.all([client.close(), local.close()]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("limits behind a proxy", () => {
  /** Connects by hand from behind the proxy. */
  async function come(served: Served & { readonly world: World }, hostname: string): Promise<Raw> {
    return await say(served, text({ hostname, port: 1 }));
  }

  it("count the peers that it names, not the proxy", async () => {
    await using served = await serveInside({ maxConnectionsPerAddress: 2 });
    const { server, events } = served;
    const raws: Raw[] = [];
    for (const last of [1, 2, 3, 1, 2, 3]) {
      const raw = await come(served, `203.0.113.${last}`);
      await raw.agreeAsClient();
      raws.push(raw);
    }
    await until(() => server.clients.length === 6);
    const third = await come(served, "203.0.113.2");
    assertEquals((await third.message() as { code: string }).code, "too-many-connections");
    const [{ address, reason }] = await events.next("rejected");
    assertEquals([address, reason], [{ hostname: "203.0.113.2", port: 1 }, "too-many-connections"]);
    for (const raw of [third, ...raws]) await raw[Symbol.asyncDispose]();
  });

  it("of handshakes in one network count the peers, too", async () => {
    await using served = await serveInside({ maxPendingPerAddress: 2 });
    const raws = await Promise.all([1, 2, 1, 2].map((last) => come(served, `203.0.113.${last}`)));
    await until(() => served.events.of("handshake").length === 4);
    assertEquals(served.server.stats().pendingHandshakes, 4);
    const third = await come(served, "203.0.113.1");
    const [{ address, reason }] = await served.events.next("rejected");
    assertEquals([address, reason], [{ hostname: "203.0.113.1", port: 1 }, "too-many-connections"]);
    assertEquals(await third.end(), "fin");
    for (const raw of [third, ...raws]) await raw[Symbol.asyncDispose]();
  });

  it("of handshakes in one network do not count the proxy while headers are waited for", async () => {
    await using served = await serveInside({
      maxPendingPerAddress: 2,
      listen: [{ hostname: HOST, port: 1 }, { hostname: HOST, port: 2, proxyProtocol: false }],
    });
    // As many as may be come from the address of the proxy itself.
    const own = [0, 1].map(() => served.world.transport.connect({ hostname: HOST, port: 2 }));
    for (const connection of await Promise.all(own)) assert(await connection.read() !== null);
    const raws: Raw[] = [];
    for (let i = 0; i < 5; i++) raws.push(await say(served, utf8("PROXY ")));
    await until(() => served.server.stats().pendingHandshakes === 7);
    for (const connection of await Promise.all(own)) connection.abort();
    for (const [i, raw] of raws.entries()) {
      await raw.connection.write(text({ hostname: `203.0.113.${i}`, port: 1 }).subarray(6));
      await raw.agreeAsClient();
    }
    await until(() => served.server.clients.length === 5);
    for (const raw of raws) await raw[Symbol.asyncDispose]();
  });

  it("of all handshakes hold while headers are waited for: the oldest has to go", async () => {
    await using served = await serveInside({ maxPendingHandshakes: 3 });
    const raws: Raw[] = [];
    for (let i = 0; i < 5; i++) {
      raws.push(await say(served, utf8("PROXY ")));
      await soon(() => served.server.stats().pendingHandshakes === i + 1);
    }
    assertEquals(served.server.stats().pendingHandshakes, 3);
    for (const raw of raws.slice(0, 2)) assert(["fin", "reset"].includes(await raw.end()));
    const reasons = served.events.of("rejected").map(([{ reason }]) => reason);
    assertEquals(reasons, ["handshake-timeout", "handshake-timeout"]);
    // The newest still gets in.
    await raws[4].connection.write(text(PEER4).subarray(6));
    await raws[4].agreeAsClient();
    await until(() => served.server.clients.length === 1);
    for (const raw of raws) await raw[Symbol.asyncDispose]();
  });

  it("of offenders are those of the peer's network", async () => {
    await using served = await serveInside();
    const offend = async (hostname: string): Promise<void> => {
      const raw = await come(served, hostname);
      await raw.agreeAsClient();
      await raw.connection.write(new Uint8Array(64).fill(0xee));
      await raw.end();
      await raw[Symbol.asyncDispose]();
    };
    for (let i = 0; i < 22; i++) await advanceUntil(served.world.clock, offend("203.0.113.9"), 1);
    await until(() => served.log.lines.length > 0);
    const said = served.log.lines.map(([, text]) => String(text)).filter((text) => text.includes("limited pace"));
    assertEquals(said.length, 1);
    assertStringIncludes(said[0], "Connections from 203.0.113.9 are greeted at a limited pace");
  });
});

describe("a connection that a proxy has passed on", () => {
  it("begins with what came after the header, and goes on with the rest, whichever way it is read", async () => {
    for (const how of ["read", "readTo"] as const) {
      const [here, there] = connectionPair();
      const recycled: Uint8Array[] = [];
      const rest = Uint8Array.of(1, 2);
      const connection = new ProxiedConnection(
        Object.assign(there, { recycle: (chunk: Uint8Array) => void recycled.push(chunk) }),
        PEER4,
        rest,
      );
      const read = (): Promise<Uint8Array | null> =>
        how === "read" ? connection.read() : new Promise((resolve) => connection.readTo({ received: resolve }));
      await here.write(Uint8Array.of(3));
      const first = await read();
      assertEquals(first, rest);
      // Only what is the connection's own is given back to it.
      connection.recycle(first!);
      assertEquals(recycled, []);
      const second = await read();
      assertEquals(second, Uint8Array.of(3));
      connection.recycle(second!);
      assertEquals(recycled, [Uint8Array.of(3)]);
      await connection.write(Uint8Array.of(4));
      assertEquals(await here.read(), Uint8Array.of(4));
      assertEquals([connection.remote, connection.local, connection.secure], [PEER4, there.local, undefined]);
      const closing = connection.closeWrite();
      assertEquals(await here.read(), null);
      await closing;
      const reason = new Error("enough");
      connection.abort(reason);
      assertEquals(await connection.closed, reason);
      here.abort();
    }
  });

  it("needs no more of the connection than it must have", async () => {
    const [here, there] = connectionPair();
    const least = {
      local: there.local,
      remote: there.remote,
      closed: there.closed,
      read: () => there.read(),
      write: (bytes: Uint8Array) => there.write(bytes),
      closeWrite: () => there.closeWrite(),
      abort: (reason?: Error) => there.abort(reason),
      unref: () => there.unref(),
    };
    const connection = new ProxiedConnection(least, PEER4);
    const reading = new Promise((resolve) =>
      connection.readTo({ received: (chunk, error) => resolve(error ?? chunk) })
    );
    await here.write(Uint8Array.of(1));
    assertEquals(await reading, Uint8Array.of(1));
    connection.recycle(Uint8Array.of(1));
    connection.stopReading();
    assertEquals([connection.moved(), connection.security], [false, undefined]);
    const failing = new Promise((resolve) =>
      connection.readTo({ received: (chunk, error) => resolve(error ?? chunk) })
    );
    const reason = new Error("enough");
    connection.abort(reason);
    assertEquals(await failing, reason);
    here.abort();
  });

  it("tells its TLS whose it is, and what came after the header", async () => {
    const [here, there] = connectionPair();
    const told: unknown[] = [];
    const arrival = Object.assign(there, {
      secure: (forwarded: unknown) => (told.push(forwarded), Promise.resolve(here)),
    });
    const secured = await new ProxiedConnection(arrival, PEER4, Uint8Array.of(7)).secure!();
    assertEquals(told, [{ remote: PEER4, rest: Uint8Array.of(7) }]);
    assertEquals([secured.remote, secured.local], [PEER4, here.local]);
    here.abort();
    there.abort();
  });
});

describe("a session behind a proxy", () => {
  it("goes on when its client comes back from another address, which counts from then on", async () => {
    await using served = await serveInside({ resume: true, maxConnectionsPerAddress: 1 });
    const { world, server } = served;
    const ends: Connection[] = [];
    await using client = new Client({
      transport: {
        ...opening(async () => {
          const connection = await world.transport.connect(server.addresses[0]);
          await connection.write(text({ hostname: `203.0.113.${ends.length + 1}`, port: 1 }));
          ends.push(connection);
          return connection;
        }),
        eventLoop: world.transport.eventLoop!,
      },
      resume: true,
      reconnect: { delay: 1 },
    });
    const resumed = new Promise((resolve) => client.on("resumed", resolve, { once: true }));
    await client.connect();
    assertEquals(server.clients[0].address, { hostname: "203.0.113.1", port: 1 });
    assertEquals(await client.request(UPPER, "a"), "A");
    ends[0].abort();
    await advanceUntil(world.clock, resumed);
    assertEquals(await client.request(UPPER, "b"), "B");
    assertEquals(server.clients[0].address, { hostname: "203.0.113.2", port: 1 });
    // The first address is free again, the second is not.
    const first = await say(served, text({ hostname: "203.0.113.1", port: 2 }));
    await first.agreeAsClient();
    const second = await say(served, text({ hostname: "203.0.113.2", port: 2 }));
    await second.message();
    await second.connection.write(message({ v: "2.0.0", meta: {} }));
    assertEquals((await second.message() as { code: string }).code, "too-many-connections");
    for (const raw of [first, second]) await raw[Symbol.asyncDispose]();
  });

  it("is refused to a client whose header is missing", async () => {
    await using served = await serveInside({ handshakeTimeout: 500 });
    const { world, server } = served;
    const client = new Client({ ...server.addresses[0] as TcpEndpoint, transport: world.transport });
    await advanceUntil(world.clock, assertRejects(() => client.connect()));
    assertEquals(server.clients.length, 0);
  });
});
