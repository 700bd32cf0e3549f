/** The sessions that a server keeps for its clients: who may go on with one, which wait, and which have to go. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConnectionError, HandshakeError } from "../mod.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import type { Address } from "../src/base/address.ts";
import { TimerWheel } from "../src/base/timer_wheel.ts";
import type { Channel } from "../src/link/channel.ts";
import type { CloseReason } from "../src/link/close_reason.ts";
import { Comeback } from "../src/server/comeback.ts";
import { ConnectionLimits, type ConnectionSlot } from "../src/server/connection_limits.ts";
import {
  type Origin,
  type ResumableClient,
  type ResumableSession,
  ResumableSessions,
} from "../src/server/resumable_sessions.ts";
import type { SuspendedLimits } from "../src/server/suspended_sessions.ts";
import { isToken, type Resumption, type SessionTicket } from "../src/session/resumption.ts";

const at = (hostname: string): Address => ({ hostname, port: 1 });
const PLACE = {};
const HERE: Origin = { place: PLACE, security: undefined };
const LIMITS: SuspendedLimits = {
  keep: 30_000,
  maxSuspended: 4,
  maxSuspendedBytes: 1_000,
  handshakeTimeout: 5_000,
  maxPendingHandshakes: 3,
};

/** Sessions on a clock, and the places of their connections. */
class Bench {
  readonly clock = new FakeClock();
  readonly wheel = new TimerWheel(this.clock);
  readonly gate: ConnectionLimits;
  readonly sessions: ResumableSessions;
  #id = 0;

  constructor(
    limits: Partial<SuspendedLimits> = {},
    gate: ConnectionLimits = new ConnectionLimits(Infinity, Infinity),
  ) {
    this.gate = gate;
    this.sessions = new ResumableSessions({ ...LIMITS, ...limits }, this.wheel, this.clock);
  }

  /** A connected client, on whose session something has come. */
  client({ from = "10.0.0.1", received = 24, heldBytes = 10, origin = HERE }: {
    from?: string;
    received?: number;
    heldBytes?: number;
    origin?: Origin;
  } = {}): FakeClient {
    const slot = this.gate.enter(at(from));
    slot.open();
    const client = new FakeClient(this.sessions, ++this.#id, at(from), slot, received, heldBytes);
    client.ticket = this.sessions.ticket();
    client.kept = this.sessions.add(client.ticket, client, origin);
    return client;
  }

  /** An attempt that says what it should. */
  come(client: FakeClient, attempt: number, from = "10.0.0.1", received = 0): Comeback {
    const claimed = { ...client.ticket, attempt, received };
    const { session } = this.sessions.claim(claimed, HERE);
    assert(session !== undefined);
    return new Comeback(this.sessions, session, claimed, channel(from));
  }

  /** The place of a connection in its handshake. */
  slot(from = "10.0.0.1"): ConnectionSlot {
    return this.gate.slot(at(from));
  }
}

/** A client without sockets. What happens to it is written down. */
class FakeClient implements ResumableClient {
  readonly info: { readonly id: number; readonly principal: unknown; address: Address };
  readonly slot: ConnectionSlot;
  readonly seen: string[] = [];
  readonly lost: Error[] = [];
  readonly resumption: { -readonly [Name in "heldBytes" | "received" | "suspended"]: Resumption[Name] };
  ticket!: SessionTicket;
  kept!: ResumableSession;
  /** What a listener of `suspended` does. */
  onSuspended: (() => void) | undefined = undefined;
  readonly #sessions: ResumableSessions;

  constructor(
    sessions: ResumableSessions,
    id: number,
    address: Address,
    slot: ConnectionSlot,
    received: number,
    heldBytes: number,
  ) {
    this.#sessions = sessions;
    this.info = { id, principal: `user ${id}`, address };
    this.slot = slot;
    this.resumption = { received, heldBytes, suspended: false };
  }

  get peer(): ResumableClient["peer"] {
    return {
      session: {
        resumption: this.resumption as Resumption,
        resumable: (received) => received <= 100,
        suspend: (reason) => {
          if (!this.resumption.suspended) this.cut(reason);
        },
        lose: (reason, error) => {
          this.lost.push(error);
          this.#over(`lost ${reason}`);
        },
      },
      close: (reason, drain, how) => {
        this.#over(`closed ${reason} ${drain} ${JSON.stringify(how ?? {})}`);
        return Promise.resolve();
      },
    };
  }

  /** Its connection is lost. */
  cut(reason: CloseReason = "network-error"): void {
    this.resumption.suspended = true;
    this.#sessions.cut(this.kept, reason);
    this.seen.push(`suspended ${reason}`);
    this.onSuspended?.();
    this.#sessions.trim();
  }

  error(error: unknown): void {
    this.seen.push(`error ${(error as Error).message}`);
  }

  resume({ remote }: Channel, received: number): void {
    this.resumption.suspended = false;
    this.info.address = remote;
    this.seen.push(`resumed ${received}`);
  }

  #over(how: string): void {
    this.#sessions.forget(this.kept);
    this.slot.leave();
    this.seen.push(how);
  }
}

function channel(from: string): Channel {
  return { remote: at(from) } as Channel;
}

const ids = (clients: readonly FakeClient[]): number[] =>
  clients.filter(({ lost }) => lost.length === 0).map(({ info }) => info.id);

describe("the ticket of a session", () => {
  it("is 16 and 32 random bytes, never the same twice, and shows nowhere", () => {
    const bench = new Bench();
    const { id, key } = bench.sessions.ticket();
    const again = bench.sessions.ticket();
    assert(isToken(id, 16) && isToken(key, 32));
    assertNotEquals([id, key], [again.id, again.key]);
    const client = bench.client();
    assert(
      !JSON.stringify([bench.sessions, client.kept.lose, { ...client.kept, client: 0 }]).includes(client.ticket.key),
    );
  });
});

describe("a claim of a session", () => {
  it("needs the id, the key and an attempt above the last one", () => {
    const bench = new Bench();
    const { ticket, kept } = bench.client();
    const claim = (change: object): ReturnType<ResumableSessions["claim"]> =>
      bench.sessions.claim({ ...ticket, attempt: 1, received: 0, ...change }, HERE);
    const other = bench.sessions.ticket();
    assertEquals(claim({ id: other.id }), {});
    const { wrong, session } = claim({ key: other.key });
    assertEquals(session, undefined);
    assertEquals(
      wrong,
      "Cannot go on with the session of client 1: its key is wrong; the peer is treated like any other",
    );
    assertEquals(claim({ attempt: 7 }).session, kept);
    // A replayed message 2, one that was overtaken, and the next one.
    assertEquals([claim({ attempt: 7 }), claim({ attempt: 6 })], [{}, {}]);
    assertEquals(claim({ attempt: 8 }).session, kept);
  });

  it("is refused for each single byte of the key that is wrong", () => {
    const bench = new Bench();
    const { ticket } = bench.client();
    const bytes = Uint8Array.from(atob(ticket.key.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    for (let i = 0; i < bytes.length; i++) {
      const other = bytes.slice();
      other[i] ^= 1 << i % 8;
      const key = btoa(String.fromCharCode(...other)).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
      const { wrong } = bench.sessions.claim({ ...ticket, key, attempt: 1, received: 0 }, HERE);
      assert(wrong?.includes("its key is wrong"), `byte ${i}`);
    }
  });

  it("needs the listener, the kind of protection and the identity of the beginning", () => {
    const certificate = { pin: "pin" };
    const noise = { kind: "noise", publicKey: "vx1:A", certificate: undefined } as const;
    const tls = { kind: "tls", certificate } as const;
    const cases: [began: Origin["security"], came: Origin["security"], wrong: string | undefined][] = [
      [undefined, undefined, undefined],
      [noise, { ...noise }, undefined],
      [tls, { kind: "tls", certificate: { pin: "pin" } }, undefined],
      [undefined, noise, "another kind of protection"],
      [noise, undefined, "another kind of protection"],
      [tls, noise, "another kind of protection"],
      [noise, { ...noise, publicKey: "vx1:B" }, "another identity"],
      [noise, { ...noise, publicKey: undefined }, "another identity"],
      [{ ...noise, publicKey: undefined }, noise, "another identity"],
      [tls, { kind: "tls", certificate: { pin: "other" } }, "its certificate has another key"],
      [tls, { kind: "tls", certificate: undefined }, "its certificate has another key"],
      [{ kind: "tls", certificate: undefined }, tls, "its certificate has another key"],
    ];
    const bench = new Bench();
    for (const [began, came, expected] of cases) {
      const { ticket, kept } = bench.client({ origin: { place: PLACE, security: began } });
      const claimed = { ...ticket, attempt: 1, received: 0 };
      const elsewhere = bench.sessions.claim(claimed, { place: {}, security: began });
      assert(elsewhere.wrong?.includes("another listener"));
      const { session, wrong } = bench.sessions.claim(claimed, { place: PLACE, security: came });
      if (expected === undefined) assertEquals([session, wrong], [kept, undefined]);
      else assert(session === undefined && wrong?.includes(expected), expected);
      // Whoever was refused has not used the number up.
      assertEquals(kept.attempt, expected === undefined ? 1 : 0);
    }
  });
});

describe("a comeback", () => {
  it("takes over from a connection that still works, in one step", () => {
    const bench = new Bench();
    const client = bench.client();
    const comeback = bench.come(client, 1, "10.0.0.9", 40);
    assertEquals(client.seen, []);
    client.onSuspended = () => {
      // What was read before the old connection is left counts.
      client.resumption.received = 77;
    };
    assertEquals(comeback.takeOver(bench.slot()), { resume: { received: 77 } });
    assertEquals([client.seen, bench.sessions.suspended.size], [["suspended replaced"], 0]);
    assert(comeback.resume());
    assertEquals(client.seen, ["suspended replaced", "resumed 40"]);
    assertEquals(client.info.address, at("10.0.0.9"));
    assertEquals(bench.sessions.size, 1);
  });

  it("of a suspended session ends its wait, and a failed handshake goes on with it", async () => {
    const bench = new Bench();
    const client = bench.client();
    client.cut();
    await bench.clock.advance(20_000);
    const comeback = bench.come(client, 1);
    assertEquals(comeback.takeOver(bench.slot()), { resume: { received: 24 } });
    assertEquals(bench.sessions.suspended.size, 0);
    comeback.fail();
    comeback.fail();
    assertEquals(bench.sessions.suspended.size, 1);
    // The time counts from the cut.
    await bench.clock.advance(9_900);
    assertEquals(client.lost, []);
    await bench.clock.advance(200);
    assertEquals(client.lost.map(({ message }) => message), ["The client did not come back within 30000 ms"]);
    assertEquals(client.seen, ["suspended network-error", "lost network-error"]);
  });

  it("does not expire between its answer and the moment when it goes on", async () => {
    const bench = new Bench({ maxSuspended: 1 });
    const client = bench.client();
    client.cut();
    await bench.clock.advance(29_000);
    const comeback = bench.come(client, 1);
    comeback.takeOver(bench.slot());
    await bench.clock.advance(5_000);
    bench.client().cut();
    bench.client().cut();
    assert(comeback.resume());
    assertEquals(client.lost, []);
  });

  it("gives way to the next one, at whatever step it is", () => {
    const bench = new Bench();
    const client = bench.client();
    // It waits for the decision of the program.
    const first = bench.come(client, 1);
    const given: Error[] = [];
    first.waits((error) => given.push(error));
    const second = bench.come(client, 2);
    assertEquals(given.map((error) => [error instanceof ConnectionError, error.message]), [
      [true, "Cannot agree with the peer: it has come back once more meanwhile"],
    ]);
    assertThrows(() => first.takeOver(bench.slot()), ConnectionError, "once more");
    assertEquals(client.seen, []);
    // Its answer is on its way.
    second.takeOver(bench.slot());
    const third = bench.come(client, 3);
    third.takeOver(bench.slot());
    assert(!second.resume());
    second.fail();
    assertEquals(bench.sessions.suspended.size, 0);
    assert(third.resume());
    assertEquals(client.seen, ["suspended replaced", "resumed 0"]);
  });

  it("that gave way leaves the session waiting, whatever becomes of the next one", () => {
    const bench = new Bench();
    const client = bench.client();
    const first = bench.come(client, 1);
    first.takeOver(bench.slot());
    bench.come(client, 2).waits(() => {});
    assert(!first.resume());
    assertEquals([client.seen, bench.sessions.suspended.size], [["suspended replaced"], 1]);
    assert(bench.come(client, 3).takeOver(bench.slot()) !== undefined);
  });

  it("with what the client cannot have received ends the session", () => {
    for (const suspended of [false, true]) {
      const bench = new Bench();
      const client = bench.client();
      if (suspended) client.cut();
      assertEquals(bench.come(client, 1, "10.0.0.1", 101).takeOver(bench.slot()), undefined);
      assertEquals(client.seen.slice(suspended ? 1 : 0), [
        "error The client cannot have received the 101 bytes that it names",
        "closed protocol-error 0 {}",
      ]);
      assertEquals([bench.sessions.size, bench.sessions.suspended.size], [0, 0]);
    }
  });

  it("is lost if the session ends meanwhile", () => {
    const bench = new Bench();
    const [waiting, replaced, answered] = [bench.client(), bench.client(), bench.client()];
    const one = bench.come(waiting, 1);
    void waiting.peer.close("manual", 0);
    assertEquals(one.takeOver(bench.slot()), undefined);
    const two = bench.come(replaced, 1);
    replaced.onSuspended = () => void replaced.peer.close("manual", 0);
    assertEquals(two.takeOver(bench.slot()), undefined);
    const three = bench.come(answered, 1);
    three.takeOver(bench.slot());
    void answered.peer.close("manual", 0);
    assert(!three.resume());
    assertEquals([bench.sessions.size, bench.sessions.suspended.size], [0, 0]);
  });

  it("that the program refuses ends the session, with the words for the client", () => {
    const bench = new Bench();
    const refusal = { code: "banned", message: "no", retryAfter: undefined };
    const error = new HandshakeError("unauthorized", "no", { refusal });
    const client = bench.client();
    const comeback = bench.come(client, 1);
    assertEquals(comeback.principal, "user 1");
    comeback.refused(new HandshakeError("handshake-timeout", "late", { refusal }));
    comeback.refused(new ConnectionError("closed", "gone"));
    assertEquals(client.seen, []);
    comeback.refused(error);
    assertEquals(client.seen, ['closed unauthorized 0 {"code":"banned","message":"no","final":true}']);
    const later = bench.client();
    bench.come(later, 1).refused(
      new HandshakeError("unauthorized", "later", { refusal: { ...refusal, retryAfter: 5 } }),
    );
    assertEquals(later.seen, ['closed unauthorized 0 {"code":"banned","message":"no","retryAfter":5,"final":false}']);
    // The decision about an attempt that was overtaken counts no more.
    const overtaken = bench.client();
    const first = bench.come(overtaken, 1);
    bench.come(overtaken, 2);
    first.refused(error);
    assertEquals(overtaken.seen, []);
  });
});

describe("suspended sessions", () => {
  it("wait for as long as they are kept", async () => {
    const bench = new Bench();
    const client = bench.client();
    await bench.clock.advance(10_000);
    client.cut("heartbeat");
    await bench.clock.advance(29_900);
    assertEquals([bench.sessions.suspended.size, client.lost], [1, []]);
    await bench.clock.advance(200);
    assertEquals([bench.sessions.suspended.size, bench.sessions.size], [0, 0]);
    assertEquals(client.seen, ["suspended heartbeat", "lost heartbeat"]);
    assertEquals((client.lost[0] as ConnectionError).code, "timed-out");
  });

  it("give way if there are too many: first of the network with most, there the oldest", () => {
    const bench = new Bench();
    const honest = [bench.client({ from: "10.0.0.1" }), bench.client({ from: "10.0.0.2" })];
    for (const client of honest) client.cut();
    const many = Array.from({ length: 100 }, (_, i) => bench.client({ from: `2001:db8::${i.toString(16)}` }));
    for (const client of many) client.cut();
    assertEquals([ids(honest), ids(many)], [[1, 2], [101, 102]]);
    assertEquals(many[0].lost.map((error) => [(error as ConnectionError).code, error.message]), [
      ["closed", "The session had to give way to others: more than the 4 that maxSuspended allows were suspended"],
    ]);
  });

  it("give way if they hold too much, also if that grows while they wait", async () => {
    const bench = new Bench();
    const clients = [1, 2, 3].map((i) => bench.client({ from: `10.0.0.${i}`, heldBytes: 400 }));
    for (const client of clients) client.cut();
    assertEquals([ids(clients), bench.sessions.suspended.bytes], [[2, 3], 800]);
    clients[2].resumption.heldBytes = 700;
    assertEquals(ids(clients), [2, 3]);
    await bench.clock.advance(1_100);
    assertEquals([ids(clients), bench.sessions.suspended.bytes], [[3], 700]);
    clients[2].resumption.heldBytes = 1_001;
    await bench.clock.advance(1_100);
    assertEquals([ids(clients), bench.sessions.suspended.bytes], [[], 0]);
    assert(clients[2].lost[0].message.includes("1000 bytes that maxSuspendedBytes allows"));
    assertEquals(bench.wheel.size, 0);
  });

  it("count again after a time without any", async () => {
    const bench = new Bench();
    for (let round = 0; round < 3; round++) {
      const client = bench.client();
      client.cut();
      const comeback = bench.come(client, 1);
      comeback.takeOver(bench.slot());
      comeback.resume();
      assertEquals([bench.sessions.suspended.bytes, bench.wheel.size], [0, 0]);
      client.cut();
      client.resumption.heldBytes = 2_000;
      await bench.clock.advance(1_100);
      assertEquals(client.lost.length, 1);
    }
  });

  it("may be closed by whoever hears that one is suspended", () => {
    const bench = new Bench({ maxSuspended: 1 });
    const [first, second] = [bench.client(), bench.client()];
    first.cut();
    second.onSuspended = () => void second.peer.close("manual", 0);
    second.cut();
    assertEquals([ids([first]), bench.sessions.suspended.size, second.lost], [[1], 1, []]);
  });
});

describe("an unproven session", () => {
  it("waits for as long as a handshake may take, and gives its place back meanwhile", async () => {
    const bench = new Bench({}, new ConnectionLimits(1, 1));
    const client = bench.client({ received: 0 });
    assert(bench.gate.full);
    client.cut();
    assert(!bench.gate.full);
    assertEquals([bench.sessions.suspended.size, bench.sessions.suspended.unproven], [0, 1]);
    await bench.clock.advance(4_900);
    assertEquals(client.lost, []);
    await bench.clock.advance(200);
    assertEquals(client.lost.map(({ message }) => message), ["The client did not come back within 5000 ms"]);
    const short = new Bench({ keep: 1_000 });
    const soon = short.client({ received: 0 });
    soon.cut();
    await short.clock.advance(1_100);
    assertEquals(soon.lost.length, 1);
  });

  it("pushes nobody out, whatever it comes with", () => {
    const bench = new Bench({ maxSuspended: 1_000, maxSuspendedBytes: 20_000, maxPendingHandshakes: 50 });
    const kept = Array.from({ length: 1_000 }, (_, i) => bench.client({ from: `10.0.${i >> 8}.${i & 255}` }));
    for (const client of kept) client.cut();
    const leaving = Array.from(
      { length: 10_000 },
      () => bench.client({ from: "10.9.9.9", received: 0, heldBytes: 150 }),
    );
    for (const client of leaving) client.cut();
    assertEquals(ids(kept).length, 1_000);
    assertEquals(ids(leaving).length, 50);
    assertEquals(bench.sessions.suspended.bytes, 17_500);
    // Their bytes count, and are the first to go.
    bench.client({ received: 0, heldBytes: 9_950 }).cut();
    assertEquals([ids(kept).length, bench.sessions.suspended.unproven < 50], [1_000, true]);
    assert(bench.sessions.suspended.bytes <= 20_000);
    assert(leaving[0].lost[0].message.includes("the 50 that maxPendingHandshakes allows"));
  });

  it("takes a place again when its client is back, and is lost if there is none", () => {
    const bench = new Bench({}, new ConnectionLimits(2, 1));
    const client = bench.client({ received: 0 });
    client.cut();
    const slot = bench.slot();
    slot.enter();
    const comeback = bench.come(client, 1);
    assert(comeback.takeOver(slot) !== undefined);
    assert(client.slot.taken);
    assertThrows(() => bench.gate.enter(at("10.0.0.1")), HandshakeError);
    comeback.fail();
    assert(!client.slot.taken);
    const others = [bench.client({ from: "10.0.0.2" }), bench.client({ from: "10.0.0.3" })];
    assertEquals(bench.come(client, 2).takeOver(bench.slot()), undefined);
    assertEquals([client.lost, client.seen], [[], ["suspended network-error"]]);
    void others[0].peer.close("manual", 0);
    const third = bench.come(client, 3);
    assert(third.takeOver(bench.slot()) !== undefined && third.resume());
  });
});

describe("the place of a client that comes back", () => {
  it("is its own, and counts for the address that it comes from", () => {
    const bench = new Bench({}, new ConnectionLimits(2, 1));
    const client = bench.client({ from: "10.0.0.1" });
    const other = bench.client({ from: "10.0.0.2" });
    client.cut();
    assert(bench.gate.full, "a suspended session keeps its place");
    const comeback = bench.come(client, 1, "10.0.0.2");
    assert(comeback.takeOver(bench.slot("10.0.0.2")) !== undefined && comeback.resume());
    void other.peer.close("manual", 0);
    // Nobody is at the first address any more, and the client is at the second.
    bench.gate.enter(at("10.0.0.1"));
    assertThrows(() => bench.gate.enter(at("10.0.0.2")), HandshakeError);
  });

  it("counts for the new address, too, if it had none while it waited", () => {
    const bench = new Bench({}, new ConnectionLimits(2, 1));
    const client = bench.client({ from: "10.0.0.1", received: 0 });
    client.cut();
    assert(bench.come(client, 1, "10.0.0.2").takeOver(bench.slot("10.0.0.2")) !== undefined);
    bench.gate.enter(at("10.0.0.1"));
    assertThrows(() => bench.gate.enter(at("10.0.0.2")), HandshakeError);
  });
});
