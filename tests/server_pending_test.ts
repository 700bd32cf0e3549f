/** Who has to go when there are too many handshakes: who has come least far, and whose network has most. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type HandshakeError, type RejectedInfo, Server, type ServerConfig } from "../mod.ts";
import { Held, Shares } from "../src/server/shares.ts";
import { type Address, networkOf } from "../src/base/address.ts";
import type { Connection, Listener, Transport } from "../src/transport.ts";
import {
  advanceUntil,
  HOST,
  Lines,
  memoryWorld,
  message,
  Raw,
  soon,
  turn,
  until,
  type World,
} from "./session_support.ts";
import { Random, rounds, RUNTIME_INDEX } from "./wire_support.ts";

const ANSWER = message({
  v: "2.0.0",
  meta: { native: { versions: [1], features: {}, maxMessageSize: 100_000 } },
});

/** Two clocks' worth of time after which any greeted peer has had enough. */
const LONG = 4_000;

/** A server whose peers come from wherever a test says. */
class Crowd implements AsyncDisposable {
  readonly world: World = memoryWorld();
  readonly server: Server<unknown>;
  readonly rejected: RejectedInfo[] = [];
  /** How many handshakes began. */
  begun = 0;
  readonly #from: Address[] = [];
  readonly #raws: Raw[] = [];

  constructor(config: Omit<ServerConfig<unknown>, "transport">) {
    const transport: Transport = { ...this.world.transport, listen: (at) => this.#listen(at) };
    this.server = new Server<unknown>({ hostname: HOST, port: 0, ...config, transport });
    this.server.on("handshake", () => void this.begun++);
  }

  /** Connects from an address; greeted unless it is turned away. */
  async come(hostname: string, from: Address = { hostname, port: 1 }): Promise<Raw> {
    this.#from.push(from);
    const raw = new Raw(await this.world.transport.connect(this.server.addresses[0]), "native");
    this.#raws.push(raw);
    await soon(() => this.#from.length === 0);
    await turn();
    return raw;
  }

  /** Comes, and goes as far as asking to be let in. */
  async ask(hostname: string): Promise<Raw> {
    const raw = await this.come(hostname);
    await raw.message();
    await raw.connection.write(ANSWER);
    for (let i = 0; i < 5; i++) await turn();
    return raw;
  }

  /** Whether the server has closed it. */
  async isOut(raw: Raw): Promise<boolean> {
    let out = false;
    const ended = (): void => void (out = true);
    raw.end().then(ended, ended);
    return await soon(() => out);
  }

  /** Whether a peer that was greeted is let in when it answers. */
  async getsIn(raw: Raw): Promise<boolean> {
    const { accepted } = this.server.stats();
    await raw.message();
    await raw.connection.write(ANSWER).catch(() => {});
    return await soon(() => this.server.stats().accepted > accepted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const raw of this.#raws) raw.connection.abort();
    await this.server.close();
  }

  async #listen(at: Address): Promise<Listener> {
    const listener = await this.world.transport.listen(at);
    const seen = (connection: Connection): Connection => elsewhere(connection, this.#from.shift()!);
    return {
      address: listener.address,
      close: () => listener.close(),
      unref: () => listener.unref(),
      async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
        for await (const connection of listener) yield seen(connection);
      },
      [Symbol.asyncDispose]: () => listener.close(),
    };
  }
}

/** The same connection from another address. */
function elsewhere(connection: Connection, remote: Address): Connection {
  return new Proxy(connection, {
    get(target, name): unknown {
      if (name === "remote") return remote;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function crowd(config: Omit<ServerConfig<unknown>, "transport">, logger = new Lines()): Promise<Crowd> {
  const made = new Crowd({ logger, ...config });
  await made.server.start();
  return made;
}

describe("too many handshakes", () => {
  it("cost the network that has most of them one, and nobody else", async () => {
    await using made = await crowd({ maxPendingHandshakes: 20 });
    const honest = await made.come("192.0.2.1");
    for (let i = 0; i < 200; i++) await made.come(`198.51.100.${i % 5}`);
    assertEquals(made.server.stats().pendingHandshakes, 20);
    const late = await made.come("192.0.2.2");
    for (let i = 0; i < 200; i++) await made.come(`198.51.100.${i % 5}`);
    assertEquals([await made.getsIn(honest), await made.getsIn(late)], [true, true]);
  });

  it("from a few networks are closed without a greeting while those before have had little time", async () => {
    await using made = await crowd({ maxPendingHandshakes: 20 });
    for (let i = 0; i < 20; i++) await made.come(`198.51.100.${i % 5}`);
    assertEquals(made.begun, 20);
    for (let i = 0; i < 500; i++) await made.come(`198.51.100.${i % 5}`);
    assertEquals([made.begun, made.server.stats().rejected], [20, 500]);
    // With time, their place goes to the next of the same network.
    await made.world.clock.advance(3_000);
    const next = await made.come("198.51.100.0");
    assertEquals(made.begun, 21);
    assertEquals(await made.getsIn(next), true);
  });

  it("from as many networks as there are cost the oldest its place: who answers in time gets in", async () => {
    await using made = await crowd({ maxPendingHandshakes: 50 });
    let n = 0;
    const stranger = (): Promise<Raw> => made.come(`2001:db8:${(++n >> 8).toString(16)}:${(n & 255).toString(16)}::1`);
    for (let i = 0; i < 100; i++) await stranger();
    for (const between of [0, 1, 48]) {
      const honest = await made.come("192.0.2.1");
      for (let i = 0; i < between; i++) await stranger();
      assertEquals(await made.getsIn(honest), true, `${between} came in between`);
    }
    const slow = await made.come("192.0.2.1");
    for (let i = 0; i < 50; i++) await stranger();
    assertEquals(await made.isOut(slow), true);
  });

  it("do not tell the peers of one address from each other: the oldest goes", async () => {
    await using made = await crowd({ maxPendingHandshakes: 10 });
    const peers: Raw[] = [];
    for (let i = 0; i < 15; i++) peers.push(await made.come("192.0.2.1"));
    assertEquals(made.begun, 15);
    assertEquals(await made.isOut(peers[4]), true);
    for (const raw of peers.slice(5)) assertEquals(await made.getsIn(raw), true);
  });

  it("that wait for authenticate stay before those that have not answered, but may not have more than half", async () => {
    await using made = await crowd({ maxPendingHandshakes: 10, authenticate: () => new Promise(() => {}) });
    const asking: Raw[] = [];
    for (let i = 0; i < 5; i++) asking.push(await made.ask("192.0.2.1"));
    const silent: Raw[] = [];
    for (let i = 0; i < 6; i++) silent.push(await made.come("192.0.2.2"));
    assertEquals(await made.isOut(silent[0]), true);
    for (const raw of asking) assertEquals(await made.isOut(raw), false);
    assertEquals(made.server.stats().pendingHandshakes, 10);
  });

  it("that wait for a slow authenticate keep nobody of another network out", async () => {
    let others = 0;
    await using made = await crowd({
      maxPendingHandshakes: 10,
      authenticate: ({ address }) => "hostname" in address && address.hostname.startsWith("192.0.2.") ? true : hang(),
    });
    const hang = (): Promise<true> => (others++, new Promise(() => {}));
    for (let i = 0; i < 100; i++) {
      const raw = await made.come(`198.51.100.${i % 5}`);
      await raw.connection.write(ANSWER).catch(() => {});
      await turn();
    }
    assert(others < 20, `authenticate was asked about ${others} of 100`);
    assertEquals(made.server.stats().pendingHandshakes, 10);
    for (let i = 0; i < 5; i++) assertEquals(await made.getsIn(await made.come("192.0.2.1")), true);
    // Also where several are on their way at once.
    const [first, second] = [await made.come("192.0.2.1"), await made.come("192.0.2.2")];
    assertEquals([await made.getsIn(first), await made.getsIn(second)], [true, true]);
    // However long they have waited, another of theirs would wait as long.
    for (let i = 0; i < 5; i++) await made.ask(`198.51.100.${i}`).catch(() => {});
    await made.world.clock.advance(LONG);
    const { begun } = made;
    for (let i = 0; i < 20; i++) await made.come(`198.51.100.${i % 5}`);
    assertEquals([made.begun, made.server.stats().pendingHandshakes], [begun, 10]);
  });

  it("abort the signal of one that has to go while authenticate runs", async () => {
    const signals: AbortSignal[] = [];
    await using made = await crowd({
      maxPendingHandshakes: 2,
      authenticate: ({ signal }) => (signals.push(signal), new Promise(() => {})),
    });
    for (const n of [1, 2, 3]) await made.ask(`192.0.2.${n}`);
    assertEquals(signals.map(({ aborted }) => aborted), [false, true, false]);
    assertEquals((signals[1].reason as HandshakeError).code, "handshake-timeout");
  });

  it("are said once in the log until somebody came in, and each is an event that shares its error", async () => {
    const log = new Lines();
    await using made = await crowd({ maxPendingHandshakes: 4 }, log);
    for (let i = 0; i < 50; i++) await made.come(`198.51.100.${i % 2}`);
    assertEquals(log.lines.map(([level]) => level), ["warn"]);
    assertEquals(await made.getsIn(await made.come("192.0.2.1")), true);
    made.server.on("rejected", (info) => void made.rejected.push(info));
    for (let i = 0; i < 50; i++) await made.come(`198.51.100.${i % 2}`);
    assertEquals(log.lines.length, 1);
    assert(made.rejected.length >= 49);
    assertEquals(new Set(made.rejected.map(({ error }) => error)).size, 1);
    assertEquals([...new Set(made.rejected.map(({ reason }) => reason))], ["handshake-timeout"]);
  });

  it("leave nothing counted when they are over, however they end", async () => {
    const random = new Random(3 + RUNTIME_INDEX);
    await using made = await crowd({
      maxPendingHandshakes: 12,
      maxPendingPerAddress: 5,
      authenticate: () => random.below(2) === 0 ? true : new Promise((resolve) => setTimeout(resolve)),
    });
    for (let i = rounds(600); i > 0; i--) {
      const raw = await made.come(`198.51.100.${random.below(4)}`);
      if (random.below(2) === 0) await raw.connection.write(ANSWER.subarray(random.below(3))).catch(() => {});
      if (random.below(3) === 0) raw.connection.abort();
      if (random.below(50) === 0) await made.world.clock.advance(LONG);
      assert(made.server.stats().pendingHandshakes <= 12);
    }
    await made.world.clock.advance(10_000);
    await until(() => made.server.stats().pendingHandshakes === 0);
    for (let i = 0; i < 5; i++) assertEquals(await made.isOut(await made.come("198.51.100.0")), false);
    assertEquals(made.server.stats().pendingHandshakes, 5);
  });
});

describe("maxPendingPerAddress", () => {
  it("closes what is above it without a greeting, whoever else is there, and lets others in", async () => {
    await using made = await crowd({ maxPendingPerAddress: 2, authenticate: () => new Promise(() => {}) });
    made.server.on("rejected", (info) => void made.rejected.push(info));
    const [first] = [await made.ask("192.0.2.1"), await made.come("::ffff:192.0.2.1")];
    const third = await made.come("192.0.2.1");
    assertEquals(await made.isOut(third), true);
    assertEquals([made.begun, made.rejected.length], [2, 1]);
    const [{ reason, address, error }] = made.rejected;
    assertEquals([reason, address, (error as HandshakeError).code], [
      "too-many-connections",
      { hostname: "192.0.2.1", port: 1 },
      "too-many-connections",
    ]);
    assertEquals(await made.isOut(await made.come("192.0.2.2")), false);
    first.connection.abort();
    await until(() => made.server.stats().pendingHandshakes === 2);
    assertEquals(await made.isOut(await made.come("192.0.2.1")), false);
  });

  it("counts 64 bits of IPv6 as one, and none on a unix socket or where the peer is gone already", async () => {
    await using made = await crowd({ maxPendingPerAddress: 1 });
    await made.come("2001:db8::1");
    assertEquals(await made.isOut(await made.come("2001:db8:0:0:ffff::7")), true);
    assertEquals(await made.isOut(await made.come("2001:db8:0:1::1")), false);
    for (let i = 0; i < 5; i++) {
      assertEquals(await made.isOut(await made.come("", { path: "/tmp/x" })), false);
      assertEquals(await made.isOut(await made.come("")), false);
    }
  });

  it("counts the handshake alone: who is in, or out, is not counted", async () => {
    await using made = await crowd({ maxPendingPerAddress: 1 });
    for (let i = 0; i < 4; i++) assertEquals(await made.getsIn(await made.come("192.0.2.1")), true);
    await made.come("192.0.2.1");
    assertEquals(await made.isOut(await made.come("192.0.2.1")), true);
    const timer = new Promise<void>((resolve) => made.server.on("rejected", () => resolve(), { once: true }));
    await advanceUntil(made.world.clock, timer);
    assertEquals(await made.getsIn(await made.come("192.0.2.1")), true);
  });
});

describe("the network of an address", () => {
  it("is the IPv4 address in its own notation, or the first 64 bits of the IPv6 address in one", () => {
    const at = (hostname: string): string => networkOf({ hostname, port: 1 });
    for (const [ip, network] of [["192.0.2.1", "192.0.2.1"], ["::ffff:192.0.2.1", "192.0.2.1"], ["::1", "0:0:0:0"]]) {
      assertEquals(at(ip), network);
    }
    const same = ["2001:db8:0:10::", "2001:DB8::10:1:2:3:4", "2001:0db8:0000:0010:0:0:0:1", "2001:db8:0:10::1%eth0"];
    assertEquals(new Set(same.map(at)), new Set(["2001:db8:0:10"]));
    assertEquals(at("fe80::1:2:3:4%lo"), "fe80:0:0:0");
    assertEquals([at("::"), at("1::"), at("1:2:3:4:5:6:7:8")], ["0:0:0:0", "1:0:0:0", "1:2:3:4"]);
    assertEquals(at("::ffff:c000:0201"), at("192.0.2.1"));
    for (const odd of ["a:b", ":", ":::", "1:2:3:4:5:6:7:8:9", "x::1"]) assertEquals(at(odd), odd);
    assertEquals([at(""), networkOf({ path: "/x" })], ["", ""]);
  });
});

describe("shares", () => {
  class Thing extends Held {}

  it("agree with a plain count, whatever is given and taken back in whatever order", () => {
    const random = new Random(11);
    const shares = new Shares<Thing>();
    const other = new Shares<Thing>();
    let held: [key: string, thing: Thing][] = [];
    for (let i = 0; i < 6_000; i++) {
      if (held.length === 0 || random.below(100) < (i < 3_000 ? 55 : 48)) {
        const thing = new Thing();
        const key = ["", "a", "b", "c", `${random.below(1_000)}`][random.below(5)];
        shares.add(key, thing);
        held.push([key, thing]);
      } else {
        const [, thing] = held[random.below(held.length)];
        other.delete(thing);
        shares.delete(thing);
        shares.delete(thing);
        held = held.filter(([, kept]) => kept !== thing);
      }
      if (i % 100 > 0) continue;
      const counts = new Map<string | Thing, number>();
      for (const [key, thing] of held) counts.set(key || thing, (counts.get(key || thing) ?? 0) + 1);
      const most = Math.max(0, ...counts.values());
      assertEquals([shares.size, shares.most, shares.count("a"), shares.count("")], [
        held.length,
        most,
        counts.get("a") ?? 0,
        0,
      ]);
      assertEquals(new Set(shares), new Set(held.map(([, thing]) => thing)));
      const of = (key: string): Thing[] => held.filter(([its]) => its === key).map(([, thing]) => thing);
      assertEquals(shares.oldestOf("b") === of("b")[0], true);
      if (held.length === 0) continue;
      const [oldest, newest] = [shares.oldest!, shares.newest!].map((thing) =>
        held.find(([, kept]) => kept === thing)!
      );
      for (const [key, thing] of [oldest, newest]) assertEquals(counts.get(key || thing), most);
      if (oldest[0] !== "") assertEquals(of(oldest[0])[0] === oldest[1], true);
      if (newest[0] !== "") assertEquals(of(newest[0]).at(-1) === newest[1], true);
    }
  });

  it("name the one that has had most for longest first, and last who came to have it last", () => {
    const shares = new Shares<Thing>();
    const [a, b, c] = [new Thing(), new Thing(), new Thing()];
    shares.add("a", a);
    shares.add("b", b);
    shares.add("", c);
    assertEquals([shares.oldest === a, shares.newest === c], [true, true]);
    shares.delete(a);
    shares.delete(c);
    assertEquals([shares.oldest === b, shares.newest === b], [true, true]);
    shares.delete(b);
    assertEquals([shares.oldest, shares.newest, shares.size], [undefined, undefined, 0]);
  });
});
