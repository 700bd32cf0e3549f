/**
 * A client whose connections are cut, with a server that keeps its session: what the program sees of it, and what it does
 * not.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  BackpressureError,
  Client,
  type ClientConfig,
  type ClientState,
  ConnectionError,
  type DisconnectState,
  HandshakeError,
  messageType,
  Server,
  type ServerConfig,
  streamType,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { Identity } from "@veltix/core/encryption";
import type { Connection, Transport } from "../src/transport.ts";
import { inspect } from "node:util";
import { Line } from "./resume_line.ts";
import { advanceUntil, HOST, memoryWorld, message, type Raw, RawServer, Recorder, until } from "./session_support.ts";

const ECHO = messageType(200, "echo", text, text);
const SLOW = messageType(201, "slow", text, text);
const NEWS = messageType(202, "news", text);
const UPLOAD = streamType(300, "upload", { down: false, result: text });
const EVENTS = ["connecting", "connect", "suspended", "resumed", "disconnect", "reconnecting", "error"] as const;
/** A pace of attempts that a test knows, but for the first one: it comes after at most 200 ms. */
const SURE = { delay: 1_000, maxDelay: 8_000, jitter: false } as const;

/** A connection of the client, which the test cuts, or on which nothing comes through any more. */
class CutLine extends Line {
  /** What was read for the handshake, as text. */
  read = "";
  unreffed = false;

  constructor(connection: Connection) {
    super(connection);
    const { unref } = connection;
    Object.assign(connection, {
      unref: () => {
        this.unreffed = true;
        unref.call(connection);
      },
    } as Partial<Connection>);
  }

  protected override came(chunk: Uint8Array | null): void {
    if (chunk !== null) this.read += new TextDecoder().decode(chunk);
  }

  cut(): void {
    this.connection.abort();
  }
}

/** A client that is connected with a server, and all that becomes of it. */
class Base<P = undefined> implements AsyncDisposable {
  readonly world = memoryWorld();
  readonly lines: CutLine[] = [];
  readonly log: string[] = [];
  readonly handled: string[] = [];
  readonly states: ClientState[] = [];
  readonly client: Client;
  readonly heard: Recorder;
  server: Server<P>;
  /** True if new connections are silent. */
  silent = false;
  /** Where new connections go to; `undefined` if there is nobody. */
  to: TcpEndpoint | undefined = { hostname: HOST, port: 49_152 };
  /** Ends the answers to SLOW. */
  readonly answer = Promise.withResolvers<void>();
  readonly #serverConfig: ServerConfig<P>;
  readonly #transport: Transport;

  constructor(client: ClientConfig = {}, server: ServerConfig<P> = {}) {
    const { world } = this;
    this.#serverConfig = server;
    this.#transport = {
      ...world.transport,
      connect: async (_to, options) => {
        if (this.to === undefined) throw new ConnectionError("refused", "Nobody listens");
        const line = new CutLine(await world.transport.connect(this.to, options));
        this.lines.push(line);
        if (this.silent) line.silence();
        return line.connection;
      },
    };
    this.server = this.#make({ hostname: HOST, port: 0 });
    const line = (...parts: unknown[]): void => void this.log.push(parts.map(String).join(" "));
    const logger = { level: "debug", debug: line, info: line, warn: line, error: line } as const;
    const given = { transport: this.#transport, logger, resume: true, reconnect: SURE, ...client };
    // The port is known when the server listens, and a client needs it from the beginning.
    this.client = new Client({ hostname: HOST, port: 49_152, ...given });
    this.heard = new Recorder(this.client, EVENTS);
    for (const event of EVENTS) this.client.on(event, () => void this.states.push(this.client.state));
  }

  static async begin<P = undefined>(client: ClientConfig = {}, server: ServerConfig<P> = {}): Promise<Base<P>> {
    const base = new Base<P>(client, server);
    await base.server.start();
    assertEquals((base.server.addresses[0] as TcpEndpoint).port, 49_152);
    await base.client.connect();
    return base;
  }

  get line(): CutLine {
    return this.lines.at(-1)!;
  }

  /** The names of the events so far. */
  get events(): string[] {
    return this.heard.all.map(([name]) => name);
  }

  get left(): number {
    return this.world.clock.pending;
  }

  /** Cuts the connection, and lets both ends see it. */
  async cut(): Promise<void> {
    this.line.cut();
    await this.world.clock.settle();
  }

  /** Lets the client come back. */
  async back(): Promise<void> {
    await this.world.clock.advance(200);
    await this.world.clock.settle();
  }

  /** Ends the server, and its sessions with it. */
  async stop(): Promise<void> {
    await this.server.close({ drain: 0 });
  }

  /** Starts another server in its place. */
  async restart(config: ServerConfig<P> = {}): Promise<void> {
    this.server = this.#make({ hostname: HOST, port: 49_152 }, config);
    await this.server.start();
  }

  disconnects(): DisconnectState[] {
    return this.heard.of("disconnect").map(([state]) => state as DisconnectState);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close({ drain: 0 });
    await this.server.close({ drain: 0 });
    assertEquals([this.left, this.client.state], [0, "disconnected"]);
  }

  #make(at: TcpEndpoint, config: ServerConfig<P> = {}): Server<P> {
    const server = new Server<P>({
      ...at,
      transport: this.world.transport,
      resume: true,
      ...this.#serverConfig,
      ...config,
    });
    server.on("error", () => {});
    server.on("rejected", () => {});
    server.route(ECHO, ({ data }) => data);
    server.route(NEWS, ({ data }) => void this.handled.push(data));
    server.route(SLOW, async ({ data }) => {
      await this.answer.promise;
      return data;
    });
    server.stream(UPLOAD, async ({ readable }) => {
      let all = "";
      for await (const chunk of readable) all += new TextDecoder().decode(chunk);
      return all;
    });
    return server;
  }
}

describe("a client with resume whose connection is cut", () => {
  it("goes on as if nothing had happened: messages, requests, streams and what comes from the server", async () => {
    await using base = await Base.begin();
    const { client, heard, server } = base;
    const came: string[] = [];
    client.route(NEWS, ({ data }) => void came.push(data));
    client.send(NEWS, "1");
    const slow = client.request(SLOW, "slow");
    const upload = client.open(UPLOAD);
    const writer = upload.writable.getWriter();
    await writer.write(new TextEncoder().encode("ab"));
    // What is written before the end of the connection is noticed is lost with it.
    base.line.silence();
    client.send(NEWS, "2");
    await base.world.clock.settle();
    base.line.cut();
    await base.world.clock.settle();
    assertEquals([client.state, client.stats().state, server.clients.length], ["suspended", "suspended", 1]);
    assertEquals([client.send(NEWS, "3"), client.security], [true, "none"]);
    const echo = client.request(ECHO, "asked while suspended");
    const written = writer.write(new TextEncoder().encode("cd"));
    const second = client.open(UPLOAD);
    void second.writable.close();
    server.clients[0].send(NEWS, "from the server");
    await client.ready();
    base.answer.resolve();
    await base.back();
    await written;
    await writer.close();
    assertEquals(await Promise.all([slow, echo, upload.result, second.result]), [
      "slow",
      "asked while suspended",
      "abcd",
      "",
    ]);
    client.send(NEWS, "4");
    await client.request(ECHO, "all before it has come");
    assertEquals([base.handled, came, client.state], [["1", "2", "3", "4"], ["from the server"], "connected"]);

    assertEquals(base.events, ["connecting", "connect", "suspended", "resumed"]);
    assertEquals(base.states, ["connecting", "connected", "suspended", "connected"]);
    const [[{ reason, error }], [{ ms, replayedBytes }]] = [heard.of("suspended")[0], heard.of("resumed")[0]];
    assertEquals([reason, error instanceof ConnectionError, ms <= 200, replayedBytes > 0], [
      "network-error",
      true,
      true,
      true,
    ]);
    assertEquals([server.clients.length, server.clients[0].id, base.lines.length], [1, 1, 2]);
    assertEquals(base.log.slice(1), ["Suspended: network-error", `Resumed after ${ms} ms`]);
  });

  it("comes back over and over, also where it was cut before anything had come", async () => {
    await using base = await Base.begin();
    base.line.cut();
    for (let i = 0; i < 20; i++) {
      await base.cut();
      assertEquals(base.client.state, "suspended");
      base.client.send(NEWS, `${i}`);
      await base.back();
      assertEquals(base.client.state, "connected");
      // It lasts, so that the row of attempts ends.
      await base.world.clock.advance(1_000);
    }
    await base.client.request(ECHO, "x");
    assertEquals(base.handled, Array.from({ length: 20 }, (_, i) => `${i}`));
    assertEquals(base.events.slice(2).filter((event) => event !== "suspended" && event !== "resumed"), []);
  });

  it("lets connect() wait until it is back, and give up by itself", async () => {
    await using base = await Base.begin();
    const { client } = base;
    await base.cut();
    let back = false;
    const alone = new AbortController();
    const nobody = assertRejects(() => client.connect({ signal: alone.signal }), Error, "not now");
    alone.abort(new Error("not now"));
    await nobody;
    const waiting = client.connect().then(() => back = true);
    const gone = new AbortController();
    const given = assertRejects(() => client.connect({ signal: gone.signal }), Error, "enough");
    gone.abort(new Error("enough"));
    await given;
    assertEquals([back, client.state], [false, "suspended"]);
    await base.back();
    await waiting;
    await client.connect();
    assertEquals([client.state, base.lines.length], ["connected", 2]);
  });

  it("tries again after attempts that failed, with credentials made anew, and tells the program nothing", async () => {
    const asked: number[] = [];
    const principals: unknown[] = [];
    await using base = await Base.begin<string>({
      credentials: (attempt: number) => {
        asked.push(attempt);
        if (asked.length === 2) throw new Error("The token cannot be renewed now");
        return "me";
      },
    }, { authenticate: ({ credentials }) => credentials as string });
    await base.cut();
    await base.back();
    assertEquals(base.client.state, "suspended");
    await base.world.clock.advance(1_000);
    await base.client.connect();
    principals.push(base.server.clients[0].principal);
    assertEquals([asked, principals, base.client.state], [[0, 1, 2], ["me"], "connected"]);
    assertEquals(base.events, ["connecting", "connect", "suspended", "resumed"]);
  });

  it("never logs or tells its key", async () => {
    await using base = await Base.begin();
    const [, key] = /"key":"([\w-]{43})"/.exec(base.line.read)!;
    await base.cut();
    await base.back();
    await base.cut();
    await base.stop();
    await base.restart();
    await base.world.clock.advance(1_000);
    await base.client.request(ECHO, "x");
    assert(base.events.includes("disconnect"));
    const said = [...base.log, ...base.heard.all.map((event) => inspect(event, { depth: 10, showHidden: true }))];
    assertEquals(said.filter((line) => line.includes(key)), []);
  });

  it("comes back over encryption, to a server that it still trusts", async () => {
    const identity = await Identity.generate();
    const me = await Identity.generate();
    await using base = await Base.begin(
      { encryption: { trust: identity.publicKey, identity: me } },
      { encryption: { identity } },
    );
    const slow = base.client.request(SLOW, "slow");
    await base.client.request(ECHO, "x");
    await base.cut();
    assertEquals([base.client.state, base.client.serverKey], ["suspended", identity.publicKey]);
    base.answer.resolve();
    assertEquals(await advanceUntil(base.world.clock, slow), "slow");
    assertEquals([base.client.serverKey, base.client.security, base.lines.length], [identity.publicKey, "noise", 2]);
    assertEquals(base.server.clients[0].publicKey, me.publicKey);
  });

  it("has a place at a server that is full", async () => {
    await using base = await Base.begin({}, { maxConnections: 1 });
    await base.cut();
    await base.back();
    assertEquals([base.client.state, base.lines.length], ["connected", 2]);
  });

  it("lets the process end, if it was told so", async () => {
    for (const when of ["connected", "suspended"]) {
      await using base = await Base.begin();
      if (when === "connected") base.client.unref();
      await base.cut();
      const { clock } = base.world;
      let timers = 0;
      clock.unref = () => void timers++;
      if (when === "suspended") {
        base.client.unref();
        // That of the wait for the next attempt.
        assertEquals(timers, 1);
      }
      await base.back();
      assertEquals([base.client.state, base.lines.length, base.line.unreffed], ["connected", 2, true]);
    }
  });
});

describe("what is sent while the client is suspended", () => {
  it("waits in the queue, and follows what was sent before the cut, in order", async () => {
    await using base = await Base.begin({ queueWhileDown: true });
    const { client } = base;
    client.send(NEWS, "before");
    await base.cut();
    client.on("resumed", () => void client.send(NEWS, "by a listener"));
    client.send(NEWS, "meanwhile 1");
    const asked = client.request(ECHO, "asked");
    client.send(NEWS, "meanwhile 2");
    assertEquals([client.state, client.stats().queuedWhileDown], ["suspended", 3]);
    await base.back();
    assertEquals(await asked, "asked");
    client.send(NEWS, "after");
    await client.request(ECHO, "x");
    assertEquals(base.handled, ["before", "meanwhile 1", "meanwhile 2", "by a listener", "after"]);
    assertEquals([base.disconnects(), client.stats().queuedWhileDown], [[], 0]);
  });

  it("keeps to the limits of the queue, which ready() knows", async () => {
    await using base = await Base.begin({ queueWhileDown: { messages: 2 } });
    const { client } = base;
    await base.cut();
    client.send(NEWS, "1");
    client.send(NEWS, "2");
    assertThrows(() => client.send(NEWS, "3"), BackpressureError);
    const ready = client.ready();
    await base.back();
    await ready;
    client.send(NEWS, "4");
    await client.request(ECHO, "x");
    assertEquals(base.handled, ["1", "2", "4"]);
  });

  it("is sent by a close that has the time for it", async () => {
    await using base = await Base.begin({ queueWhileDown: true });
    const { client } = base;
    await base.cut();
    client.send(NEWS, "last words");
    const closed = client.close({ drain: 10_000 });
    await advanceUntil(base.world.clock, closed, 50);
    assertEquals(base.handled, ["last words"]);
  });
});

describe("a client whose session is lost", () => {
  it("reconnects when the time is over, and says what became of what it sent", async () => {
    await using base = await Base.begin({ queueWhileDown: true }, { resume: { keep: 4_000 } });
    const { client, heard } = base;
    client.send(NEWS, "delivered");
    await client.request(ECHO, "x");
    await base.cut();
    await base.stop();
    client.send(NEWS, "while suspended");
    const asked = client.request(ECHO, "asked", { timeout: 60_000 });
    const waiting = client.connect();
    await base.world.clock.advance(3_990);
    assertEquals([client.state, base.disconnects()], ["suspended", []]);
    await base.world.clock.advance(40);
    const [{ reason, error, resume, permanent, attempt, nextDelay, messages }] = base.disconnects();
    assertEquals([reason, resume, permanent, attempt, nextDelay], ["network-error", "lost", false, 0, 1_000]);
    assertMatch((error as Error).message, /^The session is lost: no connection within 4000 ms$/);
    assertEquals(messages, { expired: 0, replaced: 0, delivered: 1, uncertain: 0, lost: 0, queued: 1 });
    assertEquals(client.state, "reconnecting");
    client.send(NEWS, "queued");
    await base.restart();
    await base.world.clock.advance(1_000);
    await waiting;
    assertEquals(await asked, "asked");
    assertEquals(base.handled, ["delivered", "while suspended", "queued"]);
    assertEquals(base.events.slice(2), ["suspended", "disconnect", "reconnecting", "connecting", "connect"]);
    assertEquals(heard.of("connect")[1][0].attempt, 1);
  });

  it("without a queue, fails what was sent while it was suspended", async () => {
    await using base = await Base.begin({}, { resume: { keep: 4_000 } });
    const { client } = base;
    await base.cut();
    await base.stop();
    client.send(NEWS, "lost");
    const asked = assertRejects(() => client.request(ECHO, "lost"), ConnectionError);
    await base.world.clock.advance(4_100);
    await asked;
    assertEquals(base.disconnects().map(({ resume, messages }) => [resume, messages]), [["lost", undefined]]);
    await base.restart();
    await base.world.clock.advance(1_000);
    await client.request(ECHO, "x");
    assertEquals(base.handled, []);
  });

  it("sends to a server that has begun anew what was sent while it was suspended, in order", async () => {
    await using base = await Base.begin({ queueWhileDown: true });
    const { client } = base;
    await base.cut();
    await base.stop();
    for (let i = 0; i < 300; i++) assert(client.send(NEWS, `${i}`));
    const asked = client.request(ECHO, "asked", { timeout: 60_000 });
    client.send(NEWS, "300");
    assertEquals([client.state, client.stats().queuedWhileDown], ["suspended", 302]);
    await base.restart();
    await base.back();
    assertEquals(await asked, "asked");
    assertEquals(base.handled, Array.from({ length: 301 }, (_, i) => `${i}`));
    assertEquals(base.disconnects().map(({ resume, messages }) => [resume, messages?.lost]), [["lost", 0]]);
  });

  it("uses the connection that it has where the server has begun anew, with or without resume", async () => {
    for (const resume of [true, false]) {
      await using base = await Base.begin({ queueWhileDown: true });
      const { client } = base;
      const pending = assertRejects(() => client.request(SLOW, "x"), ConnectionError, "network-error");
      await base.cut();
      await base.stop();
      await base.restart({ resume });
      const dialed = base.lines.length;
      const waiting = client.connect();
      await base.back();
      await Promise.all([waiting, pending]);
      assertEquals([client.state, base.lines.length], ["connected", dialed + 1]);
      const [{ resume: told, permanent, nextDelay, error }] = base.disconnects();
      assertEquals([told, permanent, nextDelay], ["lost", false, 0]);
      assertMatch((error as Error).message, /the server does not have it any more/);
      assertEquals(base.events.slice(2), ["suspended", "disconnect", "reconnecting", "connecting", "connect"]);
      assertEquals(await client.request(ECHO, "anew"), "anew");

      // The new session is as good as any.
      await base.world.clock.advance(1_000);
      await base.cut();
      assertEquals(client.state, resume ? "suspended" : "reconnecting");
      await base.world.clock.advance(1_000);
      assertEquals([await client.request(ECHO, "back"), base.events.includes("resumed")], ["back", resume]);
    }
  });

  it("may be closed or stopped by those who hear of it, and leaves no connection", async () => {
    for (const event of ["disconnect", "reconnecting", "connecting"] as const) {
      for (const act of ["close", "stopRetry"] as const) {
        const base = await Base.begin();
        await base.cut();
        await base.stop();
        await base.restart();
        base.client.on(event, () => void base.client[act](), { once: true });
        await base.back();
        await base.world.clock.advance(1_000);
        await base.client.closed;
        await base.world.clock.settle();
        assertEquals(base.server.clients.filter(({ connected }) => connected), []);
        assertEquals(base.disconnects().at(-1)!.permanent, true, `${act} in ${event}`);
        await base[Symbol.asyncDispose]();
      }
    }
  });

  it("is not let in any more: for good, and at once", async () => {
    let allowed = true;
    await using base = await Base.begin({}, {
      authenticate: () => allowed,
      resume: { authenticateAgain: true },
    });
    allowed = false;
    await base.cut();
    const waiting = assertRejects(() => base.client.connect(), HandshakeError);
    await base.back();
    await waiting;
    const [{ reason, resume, permanent, error, refusal }] = base.disconnects();
    assertEquals([reason, resume, permanent], ["unauthorized", "lost", true]);
    assertEquals([(error as HandshakeError).code, refusal?.code], ["unauthorized", "unauthorized"]);
    assertEquals([base.client.state, base.disconnects().length], ["disconnected", 1]);
  });

  it("is not lost to somebody in between who takes the native protocol away", async () => {
    await using base = await Base.begin();
    await base.cut();
    await using between = await RawServer.listen(base.world);
    base.to = between.address;
    const stripped = between.welcome("2.0.0").catch(() => {});
    await base.back();
    await stripped;
    assertEquals([base.client.state, base.disconnects()], ["suspended", []]);
    base.to = { hostname: HOST, port: 49_152 };
    assertEquals(await advanceUntil(base.world.clock, base.client.request(ECHO, "x")), "x");
    assertEquals(base.events.slice(2), ["suspended", "resumed"]);
  });

  it("is over where the server claims to have received what was never sent", async () => {
    await using base = await Base.begin();
    await base.cut();
    await using between = await RawServer.listen(base.world);
    base.to = between.address;
    const asked = byHand(between, { received: 1_000_000 });
    await base.back();
    const { raw, resume } = await asked;
    const [{ reason, resume: told, permanent }] = await base.heard.next("disconnect");
    const { attempt } = resume as { readonly attempt: number };
    assertEquals([reason, told, permanent, attempt], ["protocol-error", "lost", false, 1]);
    await raw.end();
    base.to = undefined;
  });

  it("does not begin anew ever faster where a server lets it in and closes", async () => {
    await using base = await Base.begin();
    await using between = await RawServer.listen(base.world);
    base.to = between.address;
    const waits: number[] = [];
    let since = base.world.clock.now();
    base.line.cut();
    for (let i = 0; i < 4; i++) {
      const { raw } = await advanceUntil(base.world.clock, byHand(between, { ...TICKET, lost: true }), 10);
      waits.push(base.world.clock.now() - since);
      await until(() => base.heard.of("connect").length === i + 2);
      since = base.world.clock.now();
      raw.connection.abort();
      await base.world.clock.settle();
    }
    assert(waits[0] <= 220);
    assertEquals(waits.slice(1).map((ms) => Math.round(ms / 100)), [10, 20, 38]);
    assertEquals(
      base.disconnects().map(({ resume, attempt }) => [resume, attempt]),
      [0, 1, 2, 3].map((n) => ["lost" as const, n]),
    );
    base.to = undefined;
  });
});

describe("a client whose connection is silent", () => {
  for (const protection of ["none", "noise"] as const) {
    const config = async (): Promise<[ClientConfig, ServerConfig]> => {
      if (protection === "none") return [{}, {}];
      const identity = await Identity.generate();
      return [{ encryption: { trust: identity.publicKey } }, { encryption: { identity } }];
    };

    it(`leaves it when the server answers on another one, security ${protection}`, async () => {
      await using base = await Base.begin(...await config());
      const { client, world } = base;
      await client.request(ECHO, "x");
      // The rest of the handshake settles.
      await world.clock.advance(1_000);
      base.line.silence();
      const since = world.clock.now();
      const asked = client.request(ECHO, "into a black hole", { timeout: 60_000 });
      const resumed = base.heard.next("resumed");
      await world.clock.advance(1_990);
      assertEquals([client.state, base.lines.length], ["connected", 1]);
      await advanceUntil(world.clock, resumed, 10);
      const took = world.clock.now() - since;
      // 2 s, a random 0 to 2 s, and a quarter of both; the heartbeat would take 25 s.
      assert(took >= 2_500 && took <= 10_000, `${took}`);
      assertEquals(await asked, "into a black hole");
      const [[{ reason, error }], [{ ms }]] = [base.heard.of("suspended")[0], base.heard.of("resumed")[0]];
      assertEquals([reason, base.lines.length, ms <= 20], ["heartbeat", 2, true]);
      assertMatch((error as Error).message, /^The peer sent nothing for \d+ ms$/);
      assertEquals(base.server.clients.length, 1);
    });

    it(`stays there when the server has only stood still, security ${protection}`, async () => {
      await using base = await Base.begin(...await config());
      const { client, world } = base;
      await client.request(ECHO, "x");
      await world.clock.advance(1_000);
      base.line.silence();
      base.silent = true;
      const asked = client.request(ECHO, "later", { timeout: 60_000 });
      await world.clock.advance(4_100);
      assertEquals([base.lines.length, client.state], [2, "connected"]);
      // The server goes on with all connections, the new one first.
      base.silent = false;
      for (const line of [...base.lines].reverse()) line.wake();
      assertEquals(await asked, "later");
      await world.clock.advance(3_000);
      assertEquals(base.events, ["connecting", "connect"]);
      assertEquals([base.server.clients.length, client.state], [1, "connected"]);
      assertEquals(await client.request(ECHO, "still there"), "still there");
    });
  }
});

describe("close(), stopRetry() and retry() while suspended", () => {
  it("close() comes back at once to take leave, and what was sent arrives", async () => {
    await using base = await Base.begin();
    const ends = new Recorder(base.server, ["disconnect"]);
    await base.cut();
    base.client.send(NEWS, "sent while suspended");
    const closing = base.client.close();
    assertEquals(base.client.state, "closing");
    await base.world.clock.settle();
    await closing;
    const [{ reason, resume, permanent }] = base.disconnects();
    assertEquals([reason, resume, permanent, base.handled], ["manual", undefined, true, ["sent while suspended"]]);
    assertEquals(base.events.slice(2), ["suspended", "resumed", "disconnect"]);
    assertEquals((await ends.next("disconnect"))[1].reason, "going-away");
  });

  it("close() gives the session up when its time is over, or is used up by another close()", async () => {
    for (const how of ["late", "hurried", "at once", "inside"] as const) {
      await using base = await Base.begin();
      const { client } = base;
      base.to = undefined;
      const asked = assertRejects(() => client.request(SLOW, "x", { timeout: 60_000 }), ConnectionError);
      if (how === "inside") client.on("suspended", () => void client.close({ drain: 0 }));
      await base.cut();
      const waiting = how === "inside" ? undefined : assertRejects(() => client.connect(), Error);
      const closing = client.close({ drain: how === "at once" ? 0 : 500 });
      if (how === "late") await base.world.clock.advance(530);
      if (how === "hurried") void client.close({ drain: 0 });
      await Promise.all([asked, waiting, closing]);
      const [{ reason, resume, permanent }] = base.disconnects();
      assertEquals([reason, resume, permanent], ["manual", "lost", true], how);
      assertEquals([base.disconnects().length, client.state], [1, "disconnected"]);
    }
  });

  it("close() ends where the server has begun a new session meanwhile", async () => {
    await using base = await Base.begin();
    await base.cut();
    await base.stop();
    await base.restart();
    await base.client.close();
    const [{ reason, resume, permanent }] = base.disconnects();
    assertEquals([reason, resume, permanent, base.events.length], ["manual", "lost", true, 4]);
    await base.world.clock.settle();
    assertEquals(base.server.clients.filter(({ connected }) => connected), []);
  });

  for (const ms of [0, 300, 999, 1_001, 1_500, 4_000, 20_000]) {
    it(`knows that a message was delivered that the peer has had for ${ms} ms, when the session is closed`, async () => {
      for (const side of ["client", "server"] as const) {
        await using base = await Base.begin({ queueWhileDown: true });
        base.client.send(NEWS, "x");
        await base.world.clock.advance(ms);
        if (side === "client") await base.client.close();
        else {
          const left = new Promise((resolve) => base.client.on("disconnect", resolve));
          await base.server.close();
          await left;
        }
        assertEquals(base.handled, ["x"]);
        const { delivered, uncertain, lost } = base.disconnects()[0].messages!;
        assertEquals({ delivered, uncertain, lost }, { delivered: 1, uncertain: 0, lost: 0 }, side);
      }
    });
  }

  it("stopRetry() loses the session, and connect() in the same turn begins anew", async () => {
    await using base = await Base.begin({ queueWhileDown: true });
    const { client } = base;
    await base.cut();
    const waiting = assertRejects(() => client.connect(), ConnectionError, "stopRetry() was called");
    client.stopRetry();
    const again = client.connect();
    client.send(NEWS, "for the next one");
    await Promise.all([waiting, again]);
    const [{ reason, resume, permanent, error }] = base.disconnects();
    assertEquals([reason, resume, permanent], ["network-error", "lost", true]);
    assertMatch((error as Error).message, /stopRetry\(\) was called/);
    await client.request(ECHO, "x");
    assertEquals([client.state, base.handled], ["connected", ["for the next one"]]);
  });

  it("stopRetry() before the cut lets the session end with its connection, until retry()", async () => {
    await using base = await Base.begin();
    base.client.stopRetry();
    assertEquals(base.client.state, "connected");
    await base.cut();
    await base.client.closed;
    assertEquals(base.events.slice(2), ["disconnect"]);
    await base.client.connect();
    base.client.stopRetry();
    await base.client.retry();
    await base.cut();
    await base.back();
    assertEquals(base.events.slice(-2), ["suspended", "resumed"]);
  });

  it("stopRetry() during the first attempt lets the session end with its connection, too", async () => {
    const base = new Base();
    await base.server.start();
    await using _ = base;
    base.client.on("connecting", () => base.client.stopRetry(), { once: true });
    await base.client.connect();
    await base.cut();
    await base.client.closed;
    assertEquals(base.events, ["connecting", "connect", "disconnect"]);
  });

  it("retry() begins the next attempt at once, also from a listener", async () => {
    await using base = await Base.begin({ reconnect: { ...SURE, delay: 3_000 } });
    base.client.on("suspended", () => void base.client.retry(), { once: true });
    await base.cut();
    assertEquals(base.events.at(-1), "resumed");

    await base.world.clock.advance(2_000);
    base.to = undefined;
    await base.cut();
    await base.back();
    base.to = { hostname: HOST, port: 49_152 };
    await base.client.retry();
    assertEquals([base.client.state, base.lines.length], ["connected", 3]);
  });
});

/** A ticket that is well-formed. */
const TICKET = { id: "A".repeat(22), key: "B".repeat(42) + "A" };

/** Accepts a client by hand. Returns what it says of its session. */
async function byHand(
  server: RawServer,
  answer: Record<string, unknown>,
): Promise<{ readonly raw: Raw; readonly resume: unknown }> {
  const raw = await server.accept("native");
  const features = { credit: { window: 1_000_000 }, goaway: {} };
  const offered = { ...features, resume: { keep: 30_000, buffer: 65_536 } };
  const native = { versions: [1], features: offered, maxMessageSize: 10_485_760, nonce: "n" };
  await raw.connection.write(message({ v: "2.0.0", meta: { id_window: 30_000, native } }));
  const said = await raw.message() as { meta: { native: { features: { resume: unknown } } } };
  await raw.connection.write(
    message({ result: "ok", native: { version: 1, features: { ...features, resume: answer } } }),
  );
  return { raw, resume: said.meta.native.features.resume };
}
