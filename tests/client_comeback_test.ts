/**
 * The attempts by which a session comes back: when they are made, what they say, and what becomes of the session. The
 * session and the network are made up.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, ConfigError, ConnectionError, HandshakeError } from "../mod.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import { TimerWheel } from "../src/base/timer_wheel.ts";
import {
  type AttemptRow,
  type AttemptTerms,
  Comeback,
  comebackDelay,
  type ReturningSession,
} from "../src/client/comeback.ts";
import type { Dialed } from "../src/client/dial.ts";
import { reconnectOf } from "../src/client/reconnect.ts";
import { Channel } from "../src/link/channel.ts";
import type { CloseReason } from "../src/link/close_reason.ts";
import type { Resumption } from "../src/session/resumption.ts";
import type { Connection } from "../src/transport.ts";
import type { HandshakeOutcome } from "../src/wire/handshake/terms.ts";
import { microtasks } from "./session_support.ts";

const KEEP = 30_000;
const SURE = reconnectOf("reconnect", { delay: 1_000, jitter: false })!;
const RESET = new ConnectionError("reset", "The connection was reset");
const REFUSED = new ConnectionError("refused", "Nobody listens");

/** An attempt that the test brings to its end. */
interface Attempt {
  readonly at: number;
  readonly terms: AttemptTerms;
  readonly signal: AbortSignal;
  readonly reject: (error: unknown) => void;
  /** Ends it with what the server answers. Returns the connection. */
  readonly answer: (resume: Record<string, unknown> | undefined) => { aborted: boolean };
}

type Moving = "suspended" | "suspect" | "received";

/** A session whose connection the test cuts. */
class Made implements ReturningSession {
  readonly clock = new FakeClock(1_000);
  readonly wheel = new TimerWheel(this.clock);
  readonly attempts: Attempt[] = [];
  readonly told: unknown[][] = [];
  readonly lost: [CloseReason, Error][] = [];
  readonly resumption: Omit<Resumption, Moving> & { -readonly [Name in Moving]: Resumption[Name] };
  readonly link: { lastReceived: number } = { lastReceived: 0 };
  readonly comeback: Comeback;
  random = 0.5;
  /** Thrown by `resume`. */
  fault: Error | undefined;

  constructor({ keep = KEEP, timeout = 10_000, row }: { keep?: number; timeout?: number; row?: AttemptRow } = {}) {
    this.resumption = {
      ticket: { id: "the id", key: "the key" },
      keep,
      buffer: 65_536,
      received: 10,
      written: 20,
      acknowledged: 5,
      suspended: false,
      suspect: false,
      heldBytes: 0,
    };
    const { clock, wheel } = this;
    this.comeback = new Comeback(this, {
      clock,
      wheel,
      policy: SURE,
      timeout,
      random: () => this.random,
      dial: (terms, signal) => this.#dial(terms, signal),
      suspended: (reason, getError) => this.told.push(["suspended", reason, (getError() as Error).message]),
      resumed: (ms, bytes) => this.told.push(["resumed", ms, bytes]),
    }, row);
  }

  get last(): Attempt {
    return this.attempts.at(-1)!;
  }

  /** The timeouts and timers that are left; nothing can run after that. */
  get left(): number {
    const { size } = this.wheel;
    this.wheel.close();
    return size + this.clock.pending;
  }

  /** Reading begins when the program knows that the session goes on. */
  run(): void {
    assertEquals(this.told.at(-1)?.[0], "resumed");
  }

  #dial(terms: AttemptTerms, signal: AbortSignal): Promise<Dialed> {
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      const answer = (resume: Record<string, unknown> | undefined): { aborted: boolean } => {
        const state = { aborted: false };
        const channel = new Channel({ abort: () => state.aborted = true } as unknown as Connection);
        const features = new Map(resume === undefined ? [] : [["resume", resume]]);
        resolve({ channel, outcome: { features, own: { resume: { key: "the key" } } } as unknown as HandshakeOutcome });
        return state;
      };
      this.attempts.push({ at: this.clock.now(), terms, signal, reject, answer });
    });
  }

  /** Cuts the connection. */
  cut(reason: CloseReason = "network-error"): void {
    this.resumption.suspended = true;
    this.comeback.suspended(reason, () => RESET);
  }

  suspend(reason: CloseReason, error?: Error): void {
    if (this.resumption.suspended) return;
    this.resumption.suspended = true;
    this.resumption.received = 12;
    this.comeback.suspended(reason, () => error);
  }

  resume(_channel: Channel, received: number): number {
    if (this.fault !== undefined) {
      this.comeback.end();
      throw this.fault;
    }
    this.resumption.suspended = this.resumption.suspect = false;
    return this.resumption.written - received;
  }

  lose(reason: CloseReason, error: Error): void {
    this.lost.push([reason, error]);
    this.comeback.end();
  }

  /** Fails the attempt that is under way. */
  async fail(error: unknown): Promise<void> {
    this.last.reject(error);
    await microtasks(10);
  }

  /** Answers the attempt that is under way, as a server does that goes on. */
  async goOn(received: unknown = 15): Promise<void> {
    this.last.terms.answered!();
    this.last.answer({ received });
    await microtasks(10);
  }
}

describe("the delay before an attempt to come back", () => {
  it("is drawn from 0 to 200 ms, then that of the policy, and never more than an eighth of what the server keeps", () => {
    const jitter = reconnectOf("reconnect", { delay: 1_000 })!;
    const delay = (failed: number, keep: number, random: number): number =>
      comebackDelay(jitter, failed, keep, undefined, random);
    assertEquals([0, 0.5, 0.999].map((random) => delay(0, KEEP, random)), [0, 100, 200]);
    assertEquals([1, 2, 3, 4].map((failed) => delay(failed, KEEP, 0.999)), [999, 1_998, 3_750, 3_750]);
    assertEquals([0, 1].map((failed) => delay(failed, 800, 0.999)), [100, 100]);
    const refusal = { code: "too-many-connections", message: "full", retryAfter: 60_000 };
    const full = new HandshakeError("too-many-connections", "full", { refusal });
    assertEquals(comebackDelay(jitter, 1, KEEP, full, 0), 3_750);
  });
});

describe("a session that was cut", () => {
  it("comes back soon, and says where it stands and which attempt it is", async () => {
    const made = new Made();
    made.cut();
    assertEquals([made.told, made.comeback.away], [[["suspended", "network-error", RESET.message]], true]);
    await made.clock.advance(99);
    assertEquals(made.attempts.length, 0);
    await made.clock.advance(1);
    const { terms } = made.last;
    assertEquals([terms.attempt, terms.heard, terms.timeout], [1, undefined, 7_500]);
    const said = { buffer: 65_536, id: "the id", key: "the key", received: 10 };
    assertEquals(terms.answered!(), { resume: { ...said, attempt: 1 } });
    await made.fail(REFUSED);
    await made.clock.advance(1_000);
    assertEquals(made.last.terms.answered!(), { resume: { ...said, attempt: 2 } });
    await made.clock.advance(7);
    made.last.answer({ received: 15 });
    await made.comeback.done();
    assertEquals([made.told.at(-1), made.comeback.away, made.lost], [["resumed", 1_107, 5], false, []]);

    // The number of the attempt grows over all comebacks of the session.
    await made.clock.advance(1_000);
    made.cut("peer-closed");
    await made.clock.advance(100);
    assertEquals(made.last.terms.answered!().resume.attempt, 3);
    made.last.answer({ received: 20 });
    await made.comeback.done();
    assertEquals([made.told.at(-1), made.left], [["resumed", 100, 0], 0]);
  });

  it("waits longer from attempt to attempt, but tries eight times at least", async () => {
    const made = new Made();
    const since = made.clock.now();
    made.cut();
    await made.clock.advance(100);
    for (const wait of [1_000, 2_000, 3_750, 3_750, 3_750, 3_750, 3_750, 3_750]) {
      await made.fail(REFUSED);
      await made.clock.advance(wait - 1);
      const { length } = made.attempts;
      await made.clock.advance(1);
      assertEquals(made.attempts.length, length + 1, `${wait}`);
    }
    assertEquals(made.attempts.map(({ at }) => at - since).slice(0, 4), [100, 1_100, 3_100, 6_850]);
    made.comeback.end();
    await made.comeback.done();
  });

  it("is lost when the server keeps it no more, by the client's own clock, within an attempt and between two", async () => {
    for (const within of [true, false]) {
      const made = new Made({ keep: 400 });
      made.cut("heartbeat");
      await made.clock.advance(50);
      await made.clock.advance(340);
      if (!within) await made.fail(REFUSED);
      assertEquals(made.lost, []);
      // The next attempt would begin after 440 ms, and the timeout has a resolution of 10 ms.
      await made.clock.advance(49);
      const [[reason, error]] = made.lost;
      assertEquals([reason, error.message, error.cause], [
        "heartbeat",
        "The session is lost: no connection within 400 ms",
        RESET,
      ]);
      assertEquals([made.comeback.lost, made.last.signal.aborted], [true, within]);
      await made.comeback.done();
      assertEquals(made.left, 0);
    }
  });

  it("is lost at once where the server does not let the client in, but not because it is full or gone", async () => {
    const refusal = { code: "x", message: "x", retryAfter: undefined, final: true };
    const cases = [
      [new HandshakeError("unauthorized", "no"), "unauthorized"],
      [new HandshakeError("refused-by-peer", "no", { refusal }), "handshake-failed"],
      [new ConfigError("unsupported", "no"), "network-error"],
      [new HandshakeError("too-many-connections", "full"), undefined],
      [new HandshakeError("native-required", "restarting"), undefined],
      [REFUSED, undefined],
      ["thrown by credentials()", undefined],
    ] as const;
    for (const [error, reason] of cases) {
      const made = new Made();
      made.cut();
      await made.clock.advance(100);
      await made.fail(error);
      assertEquals(made.lost, reason === undefined ? [] : [[reason, error as Error]]);
      made.comeback.end();
      await made.comeback.done();
    }
  });

  it("hands the connection on where the server has begun a new session, without the key of the old one", async () => {
    for (const answer of [{ id: "new", key: "new", lost: true }, undefined]) {
      const made = new Made();
      made.cut();
      await made.clock.advance(100);
      made.last.terms.answered!();
      const connection = made.last.answer(answer);
      await made.comeback.done();
      const [[reason, error]] = made.lost;
      assertEquals([reason, made.comeback.lost, connection.aborted], ["network-error", true, false]);
      assertMatch(error.message, /the server does not have it any more/);
      const { outcome } = made.comeback.fresh!;
      assertEquals(outcome.own, { resume: { buffer: 65_536 } });
      assertEquals(made.comeback.row, { failed: 0, connectedAt: 1_100 });
    }
  });

  it("is over where the server has received what is impossible, or says nothing that makes sense", async () => {
    for (const received of [15, "15", -1, 1.5, null]) {
      const made = new Made();
      made.fault = new ConnectionError("closed", "The session is over");
      made.cut();
      await made.clock.advance(100);
      made.last.terms.answered!();
      const connection = made.last.answer({ received });
      await made.comeback.done();
      assertEquals([connection.aborted, made.comeback.lost, made.comeback.away], [true, true, false], `${received}`);
      assertEquals(made.lost.map(([reason]) => reason), received === 15 ? [] : ["protocol-error"]);
      assertEquals([made.told.length, made.left], [1, 0]);
    }
  });

  it("does not come back ever faster where its connections do not last", async () => {
    const made = new Made();
    const waits: number[] = [];
    for (const lasts of [0, 999, 0, 1_000, 0]) {
      await made.clock.advance(lasts);
      made.cut();
      const { length } = made.attempts;
      const since = made.clock.now();
      while (made.attempts.length === length) await made.clock.advance(10);
      waits.push(made.last.at - since);
      await made.goOn();
    }
    assertEquals(waits, [100, 1_000, 2_000, 100, 1_000]);
    // The connection of a new session continues the row.
    const next = new Made({ row: { failed: 3, connectedAt: 500 } });
    next.cut();
    await next.clock.advance(3_749);
    assertEquals(next.attempts.length, 0);
    await next.clock.advance(1);
    assertEquals(next.attempts.length, 1);
  });

  it("begins the next attempt at once when it is hurried, and a new row", async () => {
    const made = new Made();
    made.cut();
    made.comeback.hurry();
    await microtasks(10);
    assertEquals(made.attempts.length, 1);
    await made.fail(REFUSED);
    await made.clock.advance(1_000);
    await made.fail(REFUSED);
    made.comeback.hurry();
    await microtasks(10);
    // An attempt that is under way stays, and the wait after it, too.
    made.comeback.hurry();
    assertEquals(made.attempts.length, 3);
    await made.fail(REFUSED);
    assertEquals(made.attempts.length, 3);
    await made.clock.advance(1_000);
    assertEquals(made.attempts.length, 4);
    await made.goOn();
    assertEquals(made.told.map(([event]) => event), ["suspended", "resumed"]);
  });

  it("is lost at once when it is told to stop, or is cut after that", async () => {
    for (const before of [true, false]) {
      const made = new Made();
      if (before) made.comeback.stop("stopRetry() was called");
      made.cut();
      if (!before) {
        await made.clock.advance(100);
        made.comeback.stop("stopRetry() was called");
        assert(made.last.signal.aborted);
      }
      const [[reason, { message }]] = made.lost;
      assertEquals([reason, message], ["network-error", "The session is lost: stopRetry() was called"]);
      await made.comeback.done();
      assertEquals([made.told.length, made.attempts.length, made.left], before ? [0, 0, 0] : [1, 1, 0]);
    }
    const allowed = new Made();
    allowed.comeback.stop("x");
    allowed.comeback.allow();
    allowed.cut();
    await allowed.clock.advance(100);
    assertEquals([allowed.attempts.length, allowed.lost], [1, []]);
  });

  it("tries at once to come back for its end, for as long as it is given", async () => {
    const made = new Made();
    made.cut();
    made.comeback.close();
    const back = made.comeback.back(500);
    await microtasks(10);
    await made.clock.advance(30);
    await made.goOn();
    assertEquals([await back, made.comeback.away], [30, false]);

    const late = new Made();
    late.cut();
    late.comeback.close();
    const never = late.comeback.back(500);
    await microtasks(10);
    await late.clock.advance(520);
    assertEquals([await never, late.comeback.away, late.lost], [510, true, []]);
    await late.fail(new HandshakeError("unauthorized", "no"));
    assertEquals(late.lost[0][0], "manual");
  });
});

describe("a connection that is only suspected", () => {
  it("is left only when the server has spoken on another one and a quarter of the silence later nothing came on it", async () => {
    const made = new Made();
    made.resumption.suspect = true;
    made.comeback.suspected();
    made.comeback.suspected();
    await made.clock.advance(999);
    assertEquals(made.attempts.length, 0);
    await made.clock.advance(1);
    const { terms } = made.last;
    let heard = false;
    const settled = terms.heard!().then(() => heard = true);
    await made.clock.advance(490);
    assertEquals([heard, made.comeback.away], [false, false]);
    await made.clock.advance(30);
    await settled;
    assertEquals([made.comeback.away, made.told], [false, []]);
    const said = terms.answered!().resume;
    assertEquals([said.received, said.attempt, made.comeback.away], [12, 1, true]);
    assertEquals(made.told, [["suspended", "heartbeat", "The peer sent nothing for 2520 ms"]]);
    made.last.answer({ received: 20 });
    await made.comeback.done();
    assertEquals(made.told.at(-1), ["resumed", 0, 0]);
    assertEquals(made.left, 0);
  });

  it("stays where something comes meanwhile: in the wait, before the server speaks, and after that", async () => {
    for (const when of ["wait", "silence", "grace", "answer"] as const) {
      const made = new Made();
      made.resumption.suspect = true;
      made.comeback.suspected();
      if (when === "wait") made.resumption.suspect = false;
      await made.clock.advance(1_000);
      if (when === "wait") {
        assertEquals(made.attempts.length, 0);
        continue;
      }
      const { terms } = made.last;
      if (when === "silence") made.resumption.suspect = false;
      const settled = terms.heard!();
      settled.catch(() => {});
      if (when === "grace") made.resumption.suspect = false;
      await made.clock.advance(520);
      if (when === "answer") {
        await settled;
        made.resumption.suspect = false;
        assertThrows(() => terms.answered!(), ConnectionError);
      } else {
        await assertRejects(() => settled, ConnectionError);
        assertThrows(() => terms.answered!(), ConnectionError);
      }
      await made.fail(await settled.catch((error) => error) ?? REFUSED);
      assertEquals([made.comeback.away, made.told, made.lost], [false, [], []], when);
      // The number of an attempt that said nothing is used by the next one.
      made.cut();
      await made.clock.advance(100);
      assertEquals(made.last.terms.answered!().resume.attempt, 1);
    }
  });

  it("is not given up because of an attempt that fails", async () => {
    const made = new Made();
    made.resumption.suspect = true;
    for (const error of [REFUSED, new HandshakeError("unauthorized", "no")]) {
      made.comeback.suspected();
      await made.clock.advance(1_000);
      await made.fail(error);
      assertEquals([made.comeback.away, made.told, made.lost, made.left], [false, [], [], 0]);
    }
    assertEquals(made.attempts.length, 2);
  });

  it("that is cut in the wait or in an attempt goes on as any other, with the attempt that is under way", async () => {
    for (const when of ["wait", "hurried wait", "silence", "grace"] as const) {
      const made = new Made();
      made.random = 1;
      made.resumption.suspect = true;
      made.comeback.suspected();
      if (when === "silence" || when === "grace") await made.clock.advance(2_000);
      const settled = when === "grace" ? made.last.terms.heard!() : undefined;
      made.cut();
      if (when === "hurried wait") made.comeback.hurry();
      await settled;
      if (when === "silence") await made.last.terms.heard!();
      await made.clock.advance(199);
      assertEquals(made.attempts.length, when === "wait" ? 0 : 1, when);
      await made.clock.advance(1);
      assertEquals(made.attempts.length, 1, when);
      await made.goOn();
      assertEquals(made.told.map(([event]) => event), ["suspended", "resumed"], when);
      assertEquals(made.left, 0);
    }
  });

  it("is left to itself when the client is being closed, or must not come back", async () => {
    for (const act of ["close", "stop"] as const) {
      for (const when of ["wait", "attempt"]) {
        const made = new Made();
        made.resumption.suspect = true;
        made.comeback.suspected();
        if (when === "attempt") await made.clock.advance(1_000);
        made.comeback[act]("stopRetry() was called");
        await made.clock.advance(1_000);
        await made.comeback.done();
        assertEquals([made.attempts.length, made.attempts.every(({ signal }) => signal.aborted)], [
          when === "attempt" ? 1 : 0,
          true,
        ]);
        assertEquals([made.told, made.lost, made.left], [[], [], 0]);
      }
    }
  });
});

describe("the option resume of a client", () => {
  it("needs reconnect", () => {
    for (const reconnect of [undefined, false]) {
      const error = assertThrows(() => new Client({ resume: true, reconnect }), ConfigError, "resume needs reconnect");
      assertEquals(error.code, "invalid-config");
    }
    assertEquals(new Client({ resume: true, reconnect: true }).state, "disconnected");
    assertEquals(new Client({ resume: false }).state, "disconnected");
  });
});
