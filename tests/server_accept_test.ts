/** Connections that a program hands to its server: they are treated like those of a listener. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type AcceptOptions,
  type Address,
  Client,
  ConfigError,
  type ConnectedClient,
  type Connection,
  ConnectionError,
  fromStreams,
  HandshakeError,
  Server,
  type TcpEndpoint,
} from "../mod.ts";
import { Identity } from "@veltix/core/encryption";
import { connectionPair, memoryTransport } from "../src/adapters/memory.ts";
import { Server as CoreServer } from "../src/server/server.ts";
import { clientOver, converse, opening, serve, type Served, UPPER } from "./accept_support.ts";
import { limited } from "./processes/waiting.ts";
import { advanceUntil, HOST, Lines, memoryWorld, turn, until } from "./session_support.ts";

/** Opens connections within the program, whose other ends a server gets. */
function handing<P>({ server }: Pick<Served<P>, "server">, options?: AcceptOptions<P>): () => Connection {
  return () => {
    const [here, there] = connectionPair();
    server.accept(there, options);
    return here;
  };
}

/** Two ends, of which the second has a peer at some address. */
function pairFrom(remote: Address): [Connection, Connection] {
  const [up, down] = [new TransformStream(), new TransformStream()];
  return [
    fromStreams({ readable: down.readable, writable: up.writable }),
    fromStreams({ readable: up.readable, writable: down.writable }, { remote }),
  ];
}

describe("accept()", () => {
  it("lets a client in at a server that listens nowhere", async () => {
    await using served = await serve();
    assertEquals(served.server.addresses, []);
    await using client = clientOver(handing(served));
    await client.connect();
    await converse(served.server, client);
    assertEquals(served.server.clients.length, 1);
    assertEquals(served.server.clients[0].address, { hostname: "127.0.0.1", port: 49152 });
    assertEquals(served.events.all.map(([name]) => name), ["handshake", "connect"]);
    await client.close();
    assertEquals((await served.events.next("disconnect"))[1].reason, "going-away");
  });

  it("lets a client in beside those of listeners, under the next number", async () => {
    await using served = await serve({ listen: [{ hostname: HOST, port: 0 }] });
    await using first = new Client({ ...served.server.addresses[0] as TcpEndpoint });
    await first.connect();
    await using second = clientOver(handing(served));
    await second.connect();
    assertEquals(served.server.clients.map(({ id }) => id), [1, 2]);
    assertEquals(await second.request(UPPER, "b"), "B");
    assertEquals(served.server.stats().accepted, 2);
  });

  it("needs no sockets at all: the classes of the core can do it", async () => {
    const server = new CoreServer({ listen: [], logger: new Lines() });
    await server.start();
    const client = clientOver(handing({ server }));
    await client.connect();
    assertEquals(server.clients.length, 1);
    await client.close();
    await server.close();
    const accept = (): void => server.accept(connectionPair()[0], { encryption: { identity: {} as Identity } });
    assertEquals(assertThrows(accept, ConfigError).code, "unsupported");
    const identity = {} as Identity;
    const made = assertThrows(() => new CoreServer({ listen: [], encryption: { identity } }), ConfigError);
    assertEquals(made.code, "unsupported");
  });

  it("throws while the server does not run, and leaves the connection as it is", async () => {
    const server = new Server({ listen: [] });
    const [here, there] = connectionPair();
    const refuses = (): void => {
      const error = assertThrows(() => server.accept(there), ConnectionError);
      assertEquals(error.code, "closed");
      assertEquals(error.message, "Cannot accept the connection: the server does not run, await start() first");
    };
    refuses();
    await server.start();
    await server.close();
    refuses();
    await here.write(Uint8Array.of(1));
    assertEquals(await there.read(), Uint8Array.of(1));
    here.abort();
    there.abort();
  });

  it("works again after restart()", async () => {
    await using served = await serve();
    const client = clientOver(handing(served), { reconnect: { delay: 1 } });
    await client.connect();
    const back = new Promise((resolve) => client.on("connect", resolve, { once: true }));
    await served.server.restart();
    await limited("coming back", 20_000, back);
    assertEquals(await client.request(UPPER, "b"), "B");
    await client.close();
  });

  it("aborts what comes while the server is being closed", async () => {
    await using served = await serve();
    const slow = Promise.withResolvers<string>();
    served.server.unroute(UPPER);
    served.server.route(UPPER, () => slow.promise);
    await using client = clientOver(handing(served));
    await client.connect();
    const asking = client.request(UPPER, "a");
    await until(() => served.server.clients[0].stats().framesReceived > 0);
    const closing = served.server.close();
    const [here, there] = connectionPair();
    served.server.accept(there);
    const error = await there.closed;
    assertEquals((error as ConnectionError).code, "closed");
    const [{ reason }] = await served.events.next("rejected");
    assertEquals(reason, "server-closed");
    here.abort();
    slow.resolve("done");
    assertEquals(await asking, "done");
    await closing;
  });

  it("aborts at once what comes while the server finishes its work", async () => {
    await using served = await serve();
    const slow = Promise.withResolvers<string>();
    served.server.unroute(UPPER);
    served.server.route(UPPER, () => slow.promise);
    await using client = clientOver(handing(served));
    await client.connect();
    const asking = client.request(UPPER, "a");
    await until(() => served.server.clients[0].stats().framesReceived > 0);
    const begun = new Promise<void>((resolve) => served.server.on("closing", () => resolve()));
    const closing = served.server.close();
    await begun;
    await turn();
    const [here, there] = connectionPair();
    served.server.accept(there);
    assertEquals(served.events.of("rejected").map(([{ reason }]) => reason), ["server-closed"]);
    assertEquals(((await there.closed) as ConnectionError).message, "The server is being closed");
    assertEquals(served.events.of("handshake").length, 1);
    here.abort();
    slow.resolve("done");
    assertEquals(await asking, "done");
    await closing;
  });

  it("lets those wait whose turn has not come, and close() waits for them", async () => {
    const { eventLoop } = memoryTransport();
    // Each look at the clock takes five milliseconds, so a few connections use up the time of all.
    let time = 0;
    const clock = { ...eventLoop!.clock, now: () => time += 5 };
    const transport = { ...memoryTransport(), eventLoop: { ...eventLoop!, clock } };
    await using served = await serve({ transport });
    const ends = Array.from({ length: 12 }, () => connectionPair());
    for (const [, there] of ends) served.server.accept(there);
    const begun = served.events.of("handshake").length;
    assert(begun > 0 && begun < 12, `${begun} have begun`);
    await served.server.close({ drain: 0 });
    assertEquals([served.events.of("handshake").length, served.events.of("rejected").length], [12, 12]);
    for (const [here, there] of ends) {
      here.abort();
      assert(await there.closed !== undefined);
    }
  });

  it("names the member that a connection lacks", async () => {
    await using served = await serve();
    const [here, there] = connectionPair();
    const without = (change: object): unknown =>
      new Proxy(there, {
        get: (target, name) => name in change ? (change as never)[name] : Reflect.get(target, name, target),
      });
    const cases: [unknown, string][] = [
      [undefined, "connection must be one, not undefined"],
      [null, "connection must be one, not null"],
      ["tcp", 'connection must be one, not "tcp"'],
      [{}, "connection.read must be a function, not undefined"],
      [without({ write: 1 }), "connection.write must be a function, not 1"],
      [without({ closeWrite: undefined }), "connection.closeWrite must be a function, not undefined"],
      [without({ abort: undefined }), "connection.abort must be a function, not undefined"],
      [without({ unref: undefined }), "connection.unref must be a function, not undefined"],
      [without({ readTo: "x" }), 'connection.readTo must be a function, not "x"'],
      [without({ writeTo: "x" }), 'connection.writeTo must be a function, not "x"'],
      [without({ moved: true }), "connection.moved must be a function, not true"],
      [without({ local: undefined }), "connection.local must be an address with hostname and port, or with path"],
      [without({ remote: { hostname: "x" } }), "connection.remote must be an address with hostname and port, or with"],
      [without({ closed: true }), "connection.closed must be a promise, not true"],
    ];
    for (const [connection, message] of cases) {
      assertThrows(() => served.server.accept(connection as Connection), TypeError, message);
    }
    assertEquals(served.server.stats().pendingHandshakes, 0);
    here.abort();
    there.abort();
  });

  it("refuses wrong options, and names them", async () => {
    await using served = await serve();
    const [here, there] = connectionPair();
    const cases: [object, new () => Error, string][] = [
      [
        { port: 1 },
        TypeError as never,
        'Unknown option "port": accept() has authenticate, encryption, protocol, recov',
      ],
      [{ tls: false }, TypeError as never, 'Unknown option "tls"'],
      [{ authenticate: 1 }, TypeError as never, "authenticate must be a function, not 1"],
      [{ protocol: "4" }, RangeError as never, 'Cannot find the protocol "4"'],
      [{ recovery: "yes" }, RangeError as never, 'recovery must be close or resync, not "yes"'],
      [{ recovery: "resync", protocol: "native" }, ConfigError as never, 'protocol "native" goes without recovery'],
      [{ authenticate: () => 1, protocol: "1.2.1" }, ConfigError as never, 'protocol "1.2.1" goes without authentica'],
      [null!, TypeError as never, "accept() must be an object, not null"],
    ];
    for (const [options, type, message] of cases) {
      assertThrows(() => served.server.accept(there, options), type, message);
    }
    served.server.accept(there);
    here.abort();
  });

  it("speaks another protocol where it is told to", async () => {
    await using served = await serve();
    await using client = clientOver(handing(served, { protocol: "1.6.3" }), { protocol: "1.6.3" });
    await client.connect();
    assertEquals(await client.request(UPPER, "old"), "OLD");
    assertEquals(client.stats().protocol, "1.6.3");
  });

  it("asks authenticate of the server, or another one", async () => {
    await using served = await serve<string>({ authenticate: ({ credentials }) => `server: ${credentials}` });
    const own: AcceptOptions<string> = {
      authenticate: ({ credentials, address }) => credentials === "good" && `${(address as TcpEndpoint).hostname}`,
    };
    await using usual = clientOver(handing(served), { credentials: "me" });
    await usual.connect();
    await using other = clientOver(handing(served, own), { credentials: "good" });
    await other.connect();
    assertEquals(served.server.clients.map(({ principal }) => principal), ["server: me", "127.0.0.1"]);
    await using bad = clientOver(handing(served, own), { credentials: "bad" });
    const error = await assertRejects(() => bad.connect(), HandshakeError);
    assertEquals(error.code, "unauthorized");
    assertEquals((await served.events.next("rejected"))[0].reason, "unauthorized");
  });

  it("encrypts as the server does, otherwise, or not at all", async () => {
    const [one, two] = await Promise.all([Identity.generate(), Identity.generate()]);
    await using served = await serve({ encryption: { identity: one } });
    const cases: [AcceptOptions | undefined, Identity | undefined, string][] = [
      [undefined, one, "noise"],
      [{ encryption: { identity: two } }, two, "noise"],
      [{ encryption: false }, undefined, "none"],
    ];
    for (const [options, identity, security] of cases) {
      const encryption = identity && { trust: identity.publicKey };
      await using client = clientOver(handing(served, options), { encryption });
      await client.connect();
      assertEquals([client.security, served.server.clients.at(-1)!.security], [security, security]);
      assertEquals(await client.request(UPPER, "secret"), "SECRET");
    }
    await using plain = clientOver(handing(served));
    assertEquals((await assertRejects(() => plain.connect(), HandshakeError)).code, "encryption-required");
  });

  it("reports options of encryption that are wrong: of the server by start(), of a connection as an error", async () => {
    const encryption = { identity: "vx1:none" as never };
    const wrong = new Server({ listen: [], encryption });
    await assertRejects(() => wrong.start(), TypeError, "encryption.identity must be an Identity");
    await using served = await serve();
    const [here, there] = connectionPair();
    served.server.accept(there, { encryption });
    const [error] = await served.events.next("error");
    assert(error instanceof TypeError && error.message.includes("encryption.identity must be an Identity"), `${error}`);
    await served.events.next("rejected");
    here.abort();
  });

  it("counts the connections for all limits, by their remote addresses", async () => {
    await using served = await serve({ maxConnections: 3, maxConnectionsPerAddress: 1, maxPendingPerAddress: 1 });
    const from = (hostname: string, config = {}): Client =>
      clientOver(() => {
        const [here, there] = pairFrom({ hostname, port: 1 });
        served.server.accept(there);
        return here;
      }, config);
    const first = from("192.0.2.1");
    await first.connect();
    const again = from("192.0.2.1");
    assertEquals((await assertRejects(() => again.connect(), HandshakeError)).code, "too-many-connections");
    // One that says nothing is in its handshake, and the next one of its network is turned away at once.
    const [silent, accepted] = pairFrom({ hostname: "192.0.2.2", port: 1 });
    served.server.accept(accepted);
    // On a busy machine it begins in a later turn.
    await until(() => served.server.stats().pendingHandshakes === 1);
    const [late, refused] = pairFrom({ hostname: "192.0.2.2", port: 2 });
    served.server.accept(refused);
    assertEquals(((await refused.closed) as HandshakeError).code, "too-many-connections");
    for (const connection of [silent, late]) connection.abort();
    const others = [from("192.0.2.3"), from("192.0.2.4")];
    for (const client of others) await client.connect();
    assert(served.server.isFull);
    const last = from("192.0.2.5");
    const full = await assertRejects(() => last.connect(), HandshakeError);
    assertEquals(full.code, "too-many-connections");
    const { events } = served;
    assertEquals(events.of("rejected").map(([{ address }]) => address.hostname).slice(0, 2), [
      "192.0.2.1",
      "192.0.2.2",
    ]);
    await Promise.all([first, again, last, ...others].map((client) => client.close()));
  });

  it("holds the limits for connections that wait for their turn", async () => {
    await using served = await serve({ maxPendingPerAddress: 1 });
    served.server.unref();
    const accept = (hostname: string, port: number, unref = (): void => {}): Connection => {
      const [here, there] = pairFrom({ hostname, port });
      there.unref = unref;
      served.server.accept(there);
      return here;
    };
    // The first takes so long that those after it, in the same turn, have to wait for another one.
    const strangers = [accept("192.0.2.1", 1, () => {
      const from = performance.now();
      while (performance.now() - from < 50);
    })];
    for (let port = 1; port < 7; port++) strangers.push(accept("192.0.2.2", port));
    await until(() => served.events.of("rejected").length === 5);
    assertEquals(served.server.stats().pendingHandshakes, 2);
    for (const connection of strangers) connection.abort();
  });

  it("ends a handshake that takes too long", async () => {
    const { clock, transport } = memoryWorld();
    const server = new Server({ listen: [], transport, handshakeTimeout: 1_000, logger: new Lines() });
    const rejected = new Promise<string>((resolve) => server.on("rejected", ({ reason }) => resolve(reason)));
    await server.start();
    const [here, there] = connectionPair({ clock });
    server.accept(there);
    assertEquals(await advanceUntil(clock, rejected), "handshake-timeout");
    here.abort();
    await server.close({ drain: 0 });
  });

  it("lets many in that come at once, and close() waits for those whose turn has not come", async () => {
    await using served = await serve();
    const clients = Array.from({ length: 150 }, () => clientOver(handing(served)));
    await Promise.all(clients.map((client) => client.connect()));
    assertEquals(served.server.clients.length, 150);
    await Promise.all(clients.map((client) => client.close()));
    await until(() => served.server.clients.length === 0);
    const ends = Array.from({ length: 150 }, () => connectionPair());
    for (const [, there] of ends) served.server.accept(there);
    await served.server.close({ drain: 0 });
    const errors = await Promise.all(ends.map(([, there]) => there.closed));
    assertEquals(errors.filter((error) => error === undefined), []);
    assertEquals(served.events.of("rejected").length, 150);
    for (const [here] of ends) here.abort();
  });

  it("lets the program end while such a connection is open, once unref() was called", async () => {
    await using served = await serve();
    const [one, two] = [connectionPair(), connectionPair()];
    const seen: string[] = [];
    one[1].unref = () => void seen.push("one");
    two[1].unref = () => void seen.push("two");
    await using client = clientOver(() => {
      served.server.accept(one[1]);
      return one[0];
    });
    await client.connect();
    served.server.unref();
    assertEquals(seen, ["one"]);
    served.server.accept(two[1]);
    // On a busy machine it begins in a later turn.
    await until(() => seen.length === 2);
    assertEquals(seen, ["one", "two"]);
    two[0].abort();
  });
});

describe("a session of an accepted connection", () => {
  const WHO = (): string => "who";

  /** Connects over a first accepted connection, cuts it, and comes back over one with other options. */
  async function comesBack<P>(
    first: AcceptOptions<P> | undefined,
    then: AcceptOptions<P> | undefined,
    config: Parameters<typeof serve<P>>[0] = {},
    secret?: Identity,
  ): Promise<boolean> {
    await using served = await serve<P>({ resume: true, ...config });
    const ends: Connection[] = [];
    const client = clientOver(() => {
      const [here, there] = connectionPair();
      served.server.accept(there, ends.length === 0 ? first : then);
      ends.push(here);
      return here;
    }, { resume: true, reconnect: { delay: 1 }, encryption: secret && { trust: secret.publicKey } });
    const resumed = new Promise<boolean>((resolve) => {
      client.on("resumed", () => resolve(true));
      client.on("disconnect", () => resolve(false));
    });
    await client.connect();
    assertEquals(await client.request(UPPER, "before"), "BEFORE");
    const asking = client.request(UPPER, "across").catch(() => "lost");
    ends[0].abort();
    const came = await limited("coming back", 20_000, resumed);
    if (came) assertEquals(await asking, "ACROSS");
    await client.close();
    return came;
  }

  it("goes on over another one without options", async () => {
    assertEquals(await comesBack(undefined, undefined), true);
  });

  it("goes on over another one with the same options, or with equal ones", async () => {
    const identity = await Identity.generate();
    const options = { authenticate: WHO, protocol: "2.0", encryption: { identity, allow: undefined } };
    assertEquals(await comesBack(options, options, {}, identity), true);
    const equal = { ...options, encryption: { identity: [identity] } };
    assertEquals(await comesBack(options, equal, {}, identity), true);
    assertEquals(await comesBack({ recovery: "close" }, { protocol: "2.0" }), true);
    assertEquals(await comesBack({ authenticate: WHO }, {}, { authenticate: WHO }), true);
  });

  it("is not that of a connection on other terms", async () => {
    const [one, two] = await Promise.all([Identity.generate(), Identity.generate()]);
    assertEquals(await comesBack({ authenticate: WHO }, { authenticate: () => "who" }), false);
    assertEquals(await comesBack({ protocol: "2.0" }, { protocol: "3.3.0" }), false);
    assertEquals(await comesBack({}, { recovery: "resync" }), false);
    const both = { identity: [one, two] };
    assertEquals(await comesBack({ encryption: { identity: one } }, { encryption: both }, {}, one), false);
  });

  it("is not that of a listener with the same options", async () => {
    const memory = memoryTransport();
    await using served = await serve({ resume: true, listen: [{ hostname: "inside", port: 1, transport: memory }] });
    const ends: Connection[] = [];
    const client = new Client({
      transport: opening(async () => {
        if (ends.length > 0) return await memory.connect({ hostname: "inside", port: 1 });
        const [here, there] = connectionPair();
        ends.push(here);
        served.server.accept(there);
        return here;
      }),
      resume: true,
      reconnect: { delay: 1 },
    });
    await client.connect();
    const gone = new Promise((resolve) => client.on("disconnect", resolve, { once: true }));
    assertEquals(await client.request(UPPER, "a"), "A");
    ends[0].abort();
    await limited("losing the session", 20_000, gone);
    const [{ reason, error }] = await served.events.next("rejected");
    assertEquals(reason, "unauthorized");
    assert(error.message.includes("it came to another listener"), error.message);
    await client.close();
  });

  it("shares one encryption with those of equal options, and not with those that were changed", async () => {
    const identity = await Identity.generate();
    const guest = await Identity.generate();
    const allow = [identity.publicKey];
    await using served = await serve();
    const options = { encryption: { identity, allow } };
    const connect = async (): Promise<ConnectedClient | string> => {
      await using client = clientOver(handing(served, options), {
        encryption: { trust: identity.publicKey, identity: guest },
      });
      return await client.connect().then(() => served.server.clients[0], ({ code }) => code);
    };
    assertEquals(await connect(), "unauthorized");
    assertEquals(await connect(), "unauthorized");
    allow.push(guest.publicKey);
    assertEquals(typeof await connect(), "object");
    allow.pop();
    assertEquals(await connect(), "unauthorized");
  });
});
