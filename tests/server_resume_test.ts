/** Clients that come back to their sessions on a server: who may, who has to wait, and what everybody else is told. */

import { assert, assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type AuthenticateContext,
  bytes,
  type ConnectedClient,
  type HandshakeError,
  messageType,
  type RejectedInfo,
  Server,
  type ServerConfig,
  type TcpEndpoint,
  text,
} from "../mod.ts";
import { Identity } from "@veltix/core/encryption";
import { encryption } from "../src/encryption/encrypt.ts";
import { isToken } from "../src/session/resumption.ts";
import type { Connection } from "../src/transport.ts";
import { SystemCode } from "../src/wire/frame.ts";
import {
  deferred,
  HOST,
  memoryWorld,
  message,
  Raw,
  Recorder,
  soon,
  turn,
  until,
  type World,
} from "./session_support.ts";

const NEWS = messageType(200, "news", text);
const ECHO = messageType(201, "echo", text, text);
const BULK = messageType(202, "bulk", bytes);

/** The reasons of a connection that a client by hand has aborted: what was unread then decides. */
const CUT = ["network-error", "peer-closed"];

/** What message 2 says about its session. */
type Asked = Readonly<Record<string, unknown>>;

/** What message 3 says. */
interface Said {
  readonly result: string;
  readonly code?: string;
  readonly native?: { readonly features: { readonly resume?: Asked } };
}

/** A native client by hand that knows how far its session is. */
class Phone implements AsyncDisposable {
  readonly raw: Raw;
  readonly said: Said;
  /** The bytes of the server's frames that were read. */
  received = 0;

  constructor(raw: Raw, said: Said) {
    this.raw = raw;
    this.said = said;
  }

  /** Connects, asks and reads the answer. */
  static async call(
    world: World,
    to: TcpEndpoint,
    asked: Asked | null = {},
    credentials?: unknown,
  ): Promise<Phone> {
    const { raw, answer } = await Phone.ring(world, to, asked, credentials);
    return new Phone(raw, await answer);
  }

  /** Connects and asks. The answer may take its time. */
  static async ring(
    { transport }: World,
    to: TcpEndpoint,
    asked: Asked | null,
    credentials?: unknown,
  ): Promise<{ raw: Raw; answer: Promise<Said> }> {
    const raw = new Raw(await transport.connect(to), "native");
    await raw.message();
    await raw.connection.write(message2(asked, credentials));
    return { raw, answer: raw.message() as Promise<Said> };
  }

  /** What message 3 says about the session. */
  get ticket(): Asked {
    return this.said.native!.features.resume!;
  }

  /** What message 2 says to come back. */
  back(attempt: number, change: Asked = {}): Asked {
    const { id, key } = this.ticket;
    return { id, key, attempt, received: this.received, ...change };
  }

  /** The next frame that is no ACK and no CREDIT. */
  async frame(): Promise<{ code: number; text: string } | null> {
    for (;;) {
      const frame = await this.raw.frame();
      if (frame === null) return null;
      this.received += 16 + frame.content.length;
      if (frame.code >= 200 || frame.code === SystemCode.GOAWAY) {
        return { code: frame.code, text: new TextDecoder().decode(frame.content) };
      }
    }
  }

  /** Says that nothing has been received yet, as a client does first. */
  async ack(): Promise<this> {
    await this.raw.send({ code: SystemCode.ACK, content: new Uint8Array(8) });
    return this;
  }

  /** Its connection is lost. */
  cut(): void {
    this.raw.connection.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.raw[Symbol.asyncDispose]();
  }
}

function message2(asked: Asked | null, credentials?: unknown): Uint8Array {
  const resume = asked === null ? undefined : { buffer: 1_048_576, ...asked };
  const features = { credit: { window: 1_000_000 }, goaway: {}, resume };
  return message({
    v: "2.0.0",
    meta: { native: { versions: [1], features, maxMessageSize: 10_485_760, credentials } },
  });
}

/** A server with `resume`, and its events. */
class Base<P = undefined> implements AsyncDisposable {
  readonly world: World;
  readonly server: Server<P>;
  readonly events: Recorder;
  readonly rejected: RejectedInfo[] = [];
  readonly lines: string[] = [];

  constructor(config: ServerConfig<P> = {}, world: World = memoryWorld()) {
    this.world = world;
    const log = (...line: unknown[]): void => void this.lines.push(line.map(String).join(" "));
    const logger = { level: "debug", debug: log, info: log, warn: log, error: log } as const;
    const { transport } = this.world;
    this.server = new Server<P>({ hostname: HOST, port: 0, transport, logger, resume: true, ...config });
    this.events = new Recorder(this.server, ["connect", "suspended", "resumed", "disconnect", "error"]);
    this.server.on("rejected", (info) => void this.rejected.push(info));
    this.server.route(ECHO, ({ data }) => data);
  }

  async start(): Promise<this> {
    await this.server.start();
    return this;
  }

  at(listener = 0): TcpEndpoint {
    return this.server.addresses[listener] as TcpEndpoint;
  }

  call(asked?: Asked, credentials?: unknown): Promise<Phone> {
    return Phone.call(this.world, this.at(), asked, credentials);
  }

  /** A client from which something has come. */
  async proven(): Promise<{ phone: Phone; client: ConnectedClient<P> }> {
    const phone = await (await this.call()).ack();
    const [client] = await this.events.next("connect");
    await until(() => client.stats().bytesReceived > 0);
    return { phone, client };
  }

  /** A client whose connection was lost. */
  async suspended(): Promise<{ phone: Phone; client: ConnectedClient<P> }> {
    const made = await this.proven();
    made.phone.cut();
    await this.events.next("suspended");
    return made;
  }

  /** The names of the events so far, `error` with its text. */
  get seen(): string[] {
    return this.events.all.map(([name]) => name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server.close({ drain: 0 });
  }
}

describe("a server with resume", () => {
  it("gives each new session an id and a key, and tells nobody", async () => {
    await using base = await new Base({ logger: undefined }).start();
    await using served = await new Base().start();
    await using phone = await served.call();
    await using other = await served.call();
    const { id, key } = phone.ticket as { id: string; key: string };
    assertEquals(Object.keys(phone.ticket).sort(), ["id", "key"]);
    assert(isToken(id, 16) && isToken(key, 32));
    assertNotEquals([id, key], [other.ticket.id, other.ticket.key]);
    const [client] = await served.events.next("connect");
    phone.cut();
    const suspended = await served.events.next("suspended");
    const wrong = await served.call(phone.back(1, { key: other.ticket.key }));
    const back = await served.call(phone.back(1));
    const resumed = await served.events.next("resumed");
    assertEquals(served.rejected.length, 1);
    const all = JSON.stringify([served.lines, client, suspended, resumed, served.rejected, served.server.stats()]) +
      String(served.rejected[0].error);
    for (const secret of [key, other.ticket.key as string]) assert(!all.includes(secret));
    for (const used of [wrong, back]) await used[Symbol.asyncDispose]();
    assertEquals(base.server.stats().suspended, 0);
  });

  it("takes clients without it as ever", async () => {
    await using base = await new Base().start();
    const phone = await Phone.call(base.world, base.at(), null);
    const { raw, answer } = await Phone.ring(base.world, base.at(), null);
    assertEquals(phone.said.native!.features.resume, undefined);
    assertEquals(await answer, phone.said);
    phone.cut();
    raw.connection.abort();
    await base.events.next("disconnect");
    await base.events.next("disconnect");
    assertEquals(base.seen, ["connect", "connect", "disconnect", "disconnect"]);
  });

  it("keeps a client a client while its connection is lost, and goes on when it is back", async () => {
    await using base = await new Base().start();
    const { phone, client } = await base.proven();
    client.addTag("room", 1);
    assertEquals([client.connected, base.server.stats().suspended], [true, 0]);
    phone.cut();
    const [who, { reason }] = await base.events.next("suspended");
    assertEquals([who, CUT.includes(reason)], [client, true]);
    assertEquals([client.connected, client.leaving, base.server.clients.length], [false, false, 1]);
    const { connections, closing, suspended } = base.server.stats();
    assertEquals([connections, closing, suspended], [1, 0, 1]);
    assertEquals(base.server.clientsByTag("room", 1), [client]);
    assertEquals(base.server.broadcast(NEWS, "to all"), { sent: 1, dropped: 0, closed: 0 });
    client.send(NEWS, "to you");
    const answer = client.request(ECHO, "?");
    const before = client.address;
    await base.world.clock.advance(1_000);

    await using back = await base.call(phone.back(1));
    assertEquals(back.ticket, { received: 24 });
    const [again, { ms }] = await base.events.next("resumed");
    assertEquals([again, client.connected, base.server.stats().suspended], [client, true, 0]);
    assert(ms >= 1_000);
    assertEquals(await back.frame(), { code: 200, text: "to all" });
    assertEquals(await back.frame(), { code: 200, text: "to you" });
    assertEquals((await back.frame())?.code, 201);
    assertNotEquals(client.address, before);
    assertEquals(client.address, back.raw.connection.local);
    back.cut();
    await base.events.next("suspended");
    void client.close();
    await base.events.next("disconnect");
    await answer.catch(() => {});
    assertEquals(base.seen, ["connect", "suspended", "resumed", "suspended", "disconnect"]);
    const lines = base.lines.filter((line) => line.includes("Client 1")).join("\n");
    for (const line of ["Client 1 suspended: ", "Client 1 resumed after"]) {
      assertStringIncludes(lines, line);
    }
  });

  it("takes a session over from a connection that still works", async () => {
    await using base = await new Base().start();
    const { phone, client } = await base.proven();
    await using back = await base.call(phone.back(1));
    assertEquals(back.ticket, { received: 24 });
    const [, { reason }] = await base.events.next("suspended");
    assertEquals(reason, "replaced");
    await base.events.next("resumed");
    assertNotEquals(await phone.raw.end(), "");
    client.send(NEWS, "here");
    assertEquals(await back.frame(), { code: 200, text: "here" });
    assertEquals(base.seen, ["connect", "suspended", "resumed"]);
    // Hundreds of times, each from the last one.
    for (let attempt = 2; attempt < 200; attempt++) {
      await using next = await base.call(phone.back(attempt, { received: back.received }));
      assertEquals(next.ticket, { received: 24 });
    }
    assertEquals(base.server.stats().accepted, 1);
  });
});

describe("a comeback that is not what it should be", () => {
  it("gets a new session, whatever is wrong, and the old one waits on", async () => {
    const asked: unknown[] = [];
    const authenticate = ({ credentials, principal }: AuthenticateContext): string => {
      asked.push([credentials, principal]);
      return "user";
    };
    await using base = await new Base<string>({
      authenticate,
      listen: [1, 2].map(() => ({ hostname: HOST, port: 0 })),
      hostname: undefined,
      port: undefined,
    })
      .start();
    const { phone } = await base.suspended();
    await using used = await base.call(phone.back(5));
    assertEquals(used.ticket, { received: 24 });
    used.cut();
    await base.events.next("suspended");
    const stranger = "A".repeat(43);
    const cases: [what: string, asked: Asked, at: number, rejected: string | undefined][] = [
      ["a wrong key", phone.back(6, { key: stranger }), 0, "its key is wrong"],
      ["an unknown id", phone.back(6, { id: "A".repeat(22) }), 0, undefined],
      ["another listener", phone.back(6), 1, "it came to another listener"],
      ["an attempt that was made", phone.back(5), 0, undefined],
      ["an attempt before the last", phone.back(4), 0, undefined],
      ["no attempt", phone.back(6, { attempt: undefined }), 0, undefined],
      ["an attempt that is no number", phone.back(6, { attempt: "6" }), 0, undefined],
      ["no key", phone.back(6, { key: undefined }), 0, undefined],
      ["a short key", phone.back(6, { key: "AAAA" }), 0, undefined],
      ["less than nothing received", phone.back(6, { received: -1 }), 0, undefined],
      ["an id alone", { id: 7 }, 0, undefined],
    ];
    for (const [what, says, at, expected] of cases) {
      asked.length = base.rejected.length = 0;
      await using other = await Phone.call(base.world, base.at(at), says, "token");
      const { id, key, ...rest } = other.ticket;
      assert(isToken(id as string, 16) && isToken(key as string, 32), what);
      assertNotEquals(id, phone.ticket.id);
      // One cannot be told from another.
      assertEquals([Object.keys(other.ticket), rest], [["id", "key", "lost"], { lost: true }], what);
      assertEquals(asked, [["token", undefined]], what);
      assertEquals(base.rejected.length, expected === undefined ? 0 : 1, what);
      if (expected === undefined) continue;
      const { error, reason } = base.rejected[0] as RejectedInfo & { error: HandshakeError };
      assertEquals([reason, error.code], ["unauthorized", "unauthorized"]);
      assertStringIncludes(error.message, expected);
    }
    assertEquals(base.server.stats().rejected, 2);
    await using back = await base.call(phone.back(6));
    assertEquals(back.ticket, { received: 24 });
  });

  it("with what was never written ends the session, and the peer gets a new one", async () => {
    await using base = await new Base().start();
    const { phone } = await base.suspended();
    await using other = await base.call(phone.back(1, { received: 1_000_000 }));
    assertEquals(other.ticket.lost, true);
    const [, { reason }] = await base.events.next("disconnect");
    assertEquals(reason, "protocol-error");
    assertEquals(base.server.clients.map(({ id }) => id), [2]);
  });

  it("by another identity is refused the session, with whatever key", async () => {
    const [own, device, thief] = [await Identity.generate(), await Identity.generate(), await Identity.generate()];
    await using base = await new Base({ encryption: { identity: own } }).start();
    const call = async (identity: Identity | undefined, asked: Asked): Promise<Phone> => {
      const client = encryption().client({ trust: own.publicKey, ...identity === undefined ? {} : { identity } });
      const plain = await base.world.transport.connect(base.at());
      const connection: Connection = await client.connect(plain, base.at(), () => message2(asked));
      const raw = new Raw(connection, "native");
      return new Phone(raw, await raw.message() as Said);
    };
    await using phone = await call(device, {});
    const [client] = await base.events.next("connect");
    assertEquals(client.publicKey, device.publicKey);
    for (const identity of [thief, undefined]) {
      await using other = await call(identity, phone.back(1));
      assertEquals(other.ticket.lost, true);
      assertStringIncludes(String(base.rejected.pop()?.error), "it has another identity");
    }
    await using back = await call(device, phone.back(1));
    assertEquals(back.ticket, { received: 0 });
    assertEquals([client.publicKey, client.security], [device.publicKey, "noise"]);
  });

  it("a thousand times costs a thousand connections and leaves nothing", async () => {
    await using base = await new Base({ maxPendingHandshakes: 100 }).start();
    const { phone, client } = await base.suspended();
    for (let i = 0; i < 1_000; i++) {
      const key = `${"A".repeat(39)}${String(i).padStart(3, "0")}A`;
      const other = await base.call(phone.back(1, i % 2 === 0 ? { key } : { id: key.slice(20, 41) + "A" }));
      assertEquals(Object.keys(other.ticket), ["id", "key", "lost"]);
      other.cut();
    }
    assert(await soon(() => base.server.clients.length <= 101));
    const { accepted, rejected, suspended } = base.server.stats();
    assertEquals([accepted, rejected, suspended], [1_001, 500, 1]);
    await base.world.clock.advance(5_200);
    assertEquals(base.server.clients, [client]);
    await using back = await base.call(phone.back(1));
    assertEquals(back.ticket, { received: 24 });
  });
});

describe("a server with resume that is full", () => {
  for (const limit of [{ maxConnections: 2 }, { maxConnectionsPerAddress: 2 }]) {
    it(`lets in who has a place, and refuses others at the end of their handshake (${Object.keys(limit)[0]})`, async () => {
      let asked = 0;
      const authenticate = (): string => (asked++, "user");
      await using base = await new Base<string>({ ...limit, authenticate }).start();
      const { phone } = await base.suspended();
      const other = await base.proven();
      assertEquals(asked, 2);
      for (const says of [{}, phone.back(1, { key: "A".repeat(43) })]) {
        const refused = await base.call(says);
        assertEquals([refused.said.result, refused.said.code], ["error", "too-many-connections"]);
        assertEquals(await refused.raw.end(), "fin");
      }
      assertEquals(asked, 2);
      await using back = await base.call(phone.back(1));
      assertEquals(back.ticket, { received: 24 });
      await base.events.next("resumed");
      // Its place stays one, however often it comes back.
      const refused = await base.call();
      assertEquals(refused.said.code, "too-many-connections");
      await refused[Symbol.asyncDispose]();
      void other.client.close("manual", { drain: 0 });
      await base.events.next("disconnect");
      await using last = await base.call();
      assertEquals(last.said.result, "ok");
    });
  }

  it("counts who has come back once", async () => {
    await using base = await new Base({ maxConnectionsPerAddress: 2 }).start();
    const { phone } = await base.suspended();
    await using back = await base.call(phone.back(1));
    assertEquals(back.ticket, { received: 24 });
    await using other = await base.call();
    assertEquals(other.said.result, "ok");
  });

  it("greets nobody whose protocol knows no sessions", async () => {
    await using base = await new Base({ maxConnections: 1, protocol: "1.6.3" }).start();
    await using first = await Raw.connect(base.world, base.at(), "1.6.3");
    await base.events.next("connect");
    await using second = new Raw(await base.world.transport.connect(base.at()), "1.6.3");
    assertEquals(await second.frame(), null);
    assertEquals([first.release, base.rejected[0].reason], ["1.6.3", "too-many-connections"]);
  });

  it("lets somebody in whose place became free during the handshake", async () => {
    await using base = await new Base({ maxConnections: 1 }).start();
    const { client } = await base.proven();
    const late = new Raw(await base.world.transport.connect(base.at()), "native");
    await late.message();
    void client.close("manual", { drain: 0 });
    await base.events.next("disconnect");
    await late.connection.write(message2({}));
    assertEquals((await late.message() as Said).result, "ok");
    await late[Symbol.asyncDispose]();
  });

  it("keeps at most half of the places for clients that are away", async () => {
    await using base = await new Base({ maxConnections: 4 }).start();
    const clients = [];
    for (let i = 0; i < 4; i++) clients.push(await base.proven());
    for (const { phone } of clients) {
      phone.cut();
      await base.events.next("suspended");
    }
    assertEquals(base.server.clients.map(({ id }) => id), [3, 4]);
    const [, { reason, error }] = await base.events.next("disconnect");
    assert(CUT.includes(reason));
    assertStringIncludes(error.message, "more than the 2 that maxSuspended allows");
  });
});

describe("an answer to a comeback that is not read", () => {
  /** A client whose answer waits, as the connection holds only so much. */
  async function stuck(base: Base): Promise<{ phone: Phone; raw: Raw; client: ConnectedClient }> {
    const { phone, client } = await base.proven();
    const raw = new Raw(await base.world.transport.connect(base.at()), "native");
    await raw.message();
    await raw.connection.write(message2(phone.back(1)));
    const [, { reason }] = await base.events.next("suspended");
    assertEquals([reason, base.server.stats().suspended], ["replaced", 0]);
    return { phone, raw, client };
  }

  const narrow = (): Base => new Base({}, memoryWorld({ pipeSize: 16 }));

  it("leaves the session waiting if the connection is lost", async () => {
    await using base = await narrow().start();
    const { phone, raw, client } = await stuck(base);
    raw.connection.abort();
    assert(await soon(() => base.server.stats().suspended === 1));
    await using back = await base.call(phone.back(2));
    assertEquals(back.ticket, { received: 24 });
    await base.events.next("resumed");
    assertEquals([client.connected, base.server.stats().suspended], [true, 0]);
  });

  it("counts no more when the client has come back once more", async () => {
    await using base = await narrow().start();
    const { phone, raw, client } = await stuck(base);
    await using back = await base.call(phone.back(2));
    assertEquals(back.ticket, { received: 24 });
    await base.events.next("resumed");
    assertEquals(await raw.message(), back.said);
    // It is told nothing more, and the session goes on where it is.
    await raw.end();
    assertEquals([client.connected, base.server.stats().pendingHandshakes], [true, 0]);
    client.send(NEWS, "here");
    assertEquals(await back.frame(), { code: 200, text: "here" });
    assertEquals(base.seen, ["connect", "suspended", "resumed"]);
  });

  it("counts no more when the client was closed meanwhile", async () => {
    await using base = await narrow().start();
    const { raw, client } = await stuck(base);
    await client.close();
    await raw.message();
    await raw.end();
    assertEquals(base.seen, ["connect", "suspended", "disconnect"]);
    assertEquals([base.server.clients, base.rejected], [[], []]);
  });
});

describe("authenticateAgain", () => {
  it("asks about each comeback, with the principal of the client, which stays", async () => {
    const asked: unknown[] = [];
    let n = 0;
    const authenticate = ({ credentials, principal }: AuthenticateContext): string => {
      asked.push([credentials, principal]);
      return `user ${++n}`;
    };
    await using base = await new Base<string>({ authenticate, resume: { authenticateAgain: true } }).start();
    const { phone, client } = await base.suspended();
    await using back = await base.call(phone.back(1), "token");
    assertEquals(back.ticket, { received: 24 });
    assertEquals(asked, [[undefined, undefined], ["token", "user 1"]]);
    assertEquals(client.principal, "user 1");
  });

  it("is off by default: the key is enough", async () => {
    let asked = 0;
    await using base = await new Base<string>({ authenticate: () => (asked++, "user") }).start();
    const { phone } = await base.suspended();
    await using back = await base.call(phone.back(1));
    assertEquals([back.ticket, asked], [{ received: 24 }, 1]);
  });

  for (const later of [false, true]) {
    it(`ends the session of a client that is refused ${later ? "later" : "at once"}, and both connections hear it`, async () => {
      let banned = false;
      const authenticate = async ({ refuse }: AuthenticateContext): Promise<string> => {
        if (later) await turn();
        return banned ? refuse("banned", "go away") : "user";
      };
      const atOnce = ({ refuse }: AuthenticateContext): string => banned ? refuse("banned", "go away") : "user";
      await using base = await new Base<string>({
        authenticate: later ? authenticate : atOnce,
        resume: { authenticateAgain: true },
      }).start();
      const { phone } = await base.proven();
      banned = true;
      await using back = await base.call(phone.back(1));
      assertEquals([back.said.result, back.said.code], ["error", "banned"]);
      const frame = await phone.frame();
      assertEquals(frame?.code, SystemCode.GOAWAY);
      assertStringIncludes(frame!.text, '"code":"banned"');
      assertEquals(await phone.raw.end(), "fin");
      assertEquals((await base.events.next("disconnect"))[1].reason, "unauthorized");
      assertEquals(base.rejected.length, 1);
      banned = false;
      await using other = await base.call(phone.back(2));
      assertEquals(other.ticket.lost, true);
    });
  }

  it("leaves the old connection at work until it is decided", async () => {
    const hold = deferred<string>();
    let first = true;
    const authenticate = (): string | Promise<string> => {
      if (!first) return hold.promise;
      first = false;
      return "user";
    };
    await using base = await new Base<string>({ authenticate, resume: { authenticateAgain: true } }).start();
    const { phone, client } = await base.proven();
    const { raw, answer } = await Phone.ring(base.world, base.at(), phone.back(1));
    assert(await soon(() => base.server.stats().pendingHandshakes === 1));
    client.send(NEWS, "still here");
    assertEquals(await phone.frame(), { code: 200, text: "still here" });
    hold.resolve("user");
    const back = new Phone(raw, await answer);
    assertEquals(back.ticket, { received: 24 });
    await base.events.next("resumed");
    assertEquals(base.seen, ["connect", "suspended", "resumed"]);
    back.cut();
  });

  it("decides about the last attempt alone", async () => {
    const asked: { readonly signal: AbortSignal; readonly decide: (user: string | undefined) => void }[] = [];
    let first = true;
    const authenticate = ({ signal }: AuthenticateContext): string | Promise<string | undefined> => {
      if (first) {
        first = false;
        return "user";
      }
      const { promise, resolve } = deferred<string | undefined>();
      asked.push({ signal, decide: resolve });
      return promise;
    };
    await using base = await new Base<string>({ authenticate, resume: { authenticateAgain: true } }).start();
    const { phone } = await base.suspended();
    const one = await Phone.ring(base.world, base.at(), phone.back(1));
    const unanswered = assertRejects(() => one.answer, Error, "FIN");
    assert(await soon(() => asked.length === 1));
    const two = await Phone.ring(base.world, base.at(), phone.back(2));
    assert(await soon(() => asked.length === 2));
    assertEquals([asked[0].signal.aborted, asked[1].signal.aborted], [true, false]);
    // The decision about the first one comes too late to end the session.
    asked[0].decide(undefined);
    await unanswered;
    await one.raw.end();
    asked[1].decide("user");
    const back = new Phone(two.raw, await two.answer);
    assertEquals(back.ticket, { received: 24 });
    await base.events.next("resumed");
    back.cut();
  });

  it("leaves the session alone if the peer leaves, and asks again if the session ends meanwhile", async () => {
    const asked: unknown[] = [];
    const holds: ((user: string) => void)[] = [];
    const authenticate = ({ principal }: AuthenticateContext): string | Promise<string> => {
      asked.push(principal);
      if (asked.length === 1) return "user";
      return new Promise((resolve) => holds.push(resolve));
    };
    await using base = await new Base<string>({ authenticate, resume: { authenticateAgain: true } }).start();
    const { phone, client } = await base.suspended();
    const gone = await Phone.ring(base.world, base.at(), phone.back(1));
    gone.answer.catch(() => {});
    assert(await soon(() => holds.length === 1));
    gone.raw.connection.abort();
    assert(await soon(() => base.server.stats().pendingHandshakes === 0));
    assertEquals([base.server.stats().suspended, client.connected], [1, false]);

    const { raw, answer } = await Phone.ring(base.world, base.at(), phone.back(2));
    assert(await soon(() => holds.length === 2));
    void client.close();
    holds[1]("user");
    assert(await soon(() => holds.length === 3));
    assertEquals(base.server.stats().pendingHandshakes, 1);
    holds[2]("other");
    const other = new Phone(raw, await answer);
    assertEquals(other.ticket.lost, true);
    assertEquals(asked, [undefined, "user", "user", undefined]);
    await until(() => base.server.clients.length === 1);
    assertEquals(base.server.clients[0].principal, "other");
    other.cut();
  });
});

describe("a suspended client", () => {
  it("is kept for as long as the server says", async () => {
    await using base = await new Base({ resume: { keep: 10_000 } }).start();
    const { phone, client } = await base.suspended();
    await base.world.clock.advance(9_900);
    assertEquals(base.server.clients, [client]);
    await base.world.clock.advance(200);
    const [, { reason, error }] = await base.events.next("disconnect");
    assertEquals([CUT.includes(reason), error.code], [true, "timed-out"]);
    assertStringIncludes(error.message, "within 10000 ms");
    assertEquals([base.server.clients, base.server.stats().suspended], [[], 0]);
    await using other = await base.call(phone.back(1));
    assertEquals(other.ticket.lost, true);
  });

  it("waits for as long as a handshake if nothing has come from it, and takes no place", async () => {
    await using base = await new Base({ maxConnections: 1, handshakeTimeout: 2_000 }).start();
    const phone = await base.call();
    await base.events.next("connect");
    phone.cut();
    await base.events.next("suspended");
    const { connections, suspended } = base.server.stats();
    assertEquals([connections, suspended, base.server.isFull], [1, 0, false]);
    await using back = await base.call(phone.back(1));
    assertEquals([back.ticket, base.server.isFull], [{ received: 0 }, true]);
    await base.events.next("resumed");
    back.cut();
    await base.events.next("suspended");
    const { phone: other } = await base.proven();
    const lost = await base.call(phone.back(2));
    assertEquals(lost.said.code, "too-many-connections");
    await lost[Symbol.asyncDispose]();
    await base.world.clock.advance(2_200);
    const [{ id }, { reason }] = await base.events.next("disconnect");
    assertEquals([id, CUT.includes(reason)], [1, true]);
    other.cut();
  });

  it("of which nothing has come pushes nobody out", async () => {
    await using base = await new Base({ maxPendingHandshakes: 20, resume: { maxSuspended: 10 } }).start();
    const kept = [];
    for (let i = 0; i < 10; i++) kept.push((await base.suspended()).client);
    for (let i = 0; i < 100; i++) {
      const phone = await base.call();
      await base.events.next("connect");
      phone.cut();
      await base.events.next("suspended");
    }
    assertEquals(base.server.stats().suspended, 10);
    assertEquals(base.server.clients.slice(0, 10), kept);
    assertEquals(base.server.clients.length, 30);
  });

  it("ends at once when it or the server is closed, however long they may take", async () => {
    await using base = await new Base().start();
    const first = await base.suspended();
    const second = await base.suspended();
    await first.client.close("manual", { drain: 60_000 });
    assertEquals((await base.events.next("disconnect"))[1].reason, "manual");
    await base.server.close({ drain: 60_000 });
    const [who, { reason }] = await base.events.next("disconnect");
    assertEquals([who, reason, base.server.stats().connections], [second.client, "server-closed", 0]);
  });

  it("is skipped by broadcasts once its buffer is full", async () => {
    await using base = await new Base({ resume: { buffer: 65_536 } }).start();
    const { phone, client } = await base.suspended();
    await using other = (await base.proven()).phone;
    const news = new Uint8Array(30_000);
    const results = [1, 2, 3, 4].map(() => base.server.broadcast(BULK, news).sent);
    assertEquals(results, [2, 2, 1, 1]);
    assertEquals(base.server.stats().broadcastsDropped, 2);
    await using back = await base.call(phone.back(1));
    await base.events.next("resumed");
    for (let i = 0; i < 2; i++) assertEquals((await back.frame())?.code, 202);
    assertEquals([client.connected, other.said.result], [true, "ok"]);
  });

  it("ends when what it holds grows above what all may hold", async () => {
    await using base = await new Base({ resume: { buffer: 200_000, maxSuspendedBytes: 100_000 } }).start();
    const { client } = await base.suspended();
    for (let i = 0; i < 4; i++) client.send(BULK, new Uint8Array(30_000));
    assertEquals(base.server.clients, [client]);
    await base.world.clock.advance(1_100);
    const [, { reason, error }] = await base.events.next("disconnect");
    assert(CUT.includes(reason));
    assertStringIncludes(error.message, "maxSuspendedBytes");
  });
});
