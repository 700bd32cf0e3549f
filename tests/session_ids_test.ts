/** Request ids with Python peers of 2.0.3 to 3.3.0: models of their counters, and answers that are late, forged or second. */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, messageType, Server, text } from "../mod.ts";
import { FakeClock } from "../src/adapters/fake_clock.ts";
import { BackpressureError, TimeoutError } from "../src/errors.ts";
import { broadcastId, requestIds } from "../src/session/request_ids.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import type { Connection } from "../src/transport.ts";
import { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { SystemCode } from "../src/wire/frame.ts";
import type { Numbering } from "../src/wire/python/id_numbering.ts";
import { protocol } from "../src/wire/protocols.ts";
import {
  advanceUntil,
  HOST,
  Lines,
  memoryWorld,
  message,
  Raw,
  type RawFrame,
  RawServer,
  Recorder,
  until,
  type World,
} from "./session_support.ts";
import { isMine, Random } from "./wire_support.ts";

const NOTE = messageType(200, "note", text);
const UPPER = messageType(201, "upper", text, text);
const LOWER = messageType(202, "lower", text, text);

/** How a Python program of a release numbers its frames: from `first` on, `size` ids, and anew. */
interface Counter {
  readonly first: number;
  readonly size: number;
}

/** The counters of each release, as a server and as a client. */
const COUNTERS: Readonly<Record<string, { readonly server: Counter; readonly client: Counter }>> = {
  "2.0.3": { server: { first: 0, size: 30_000 }, client: { first: 0, size: 30_000 } },
  "3.0.0": { server: { first: 0, size: 30_000 }, client: { first: 0, size: 65_535 } },
  "3.3.0": { server: { first: 32_768, size: 30_000 }, client: { first: 0, size: 32_768 } },
  "3.3.0, its window as large as can be": {
    server: { first: 32_768, size: 32_768 },
    client: { first: 0, size: 32_768 },
  },
};

/** A Python program: one counter and one table of who waits, whatever the connection. */
class PythonModel {
  readonly pending = new Map<number, (content: string) => void>();
  /** Notes that came, with their ids. */
  readonly notes: string[] = [];
  /** Frames that a program would not know what to do with. */
  readonly odd: string[] = [];
  readonly #release: string;
  readonly #counter: Counter;
  readonly #written = new Map<Raw, Promise<void>>();
  #next: number;

  /** @param at Where the counter stands: so many ids were used. */
  constructor(release: string, counter: Counter, at: number) {
    this.#release = release.slice(0, 5);
    this.#counter = counter;
    this.#next = at % counter.size;
  }

  /** Reads what comes, as Python does. */
  async serve(raw: Raw): Promise<void> {
    for (let frame = await raw.frame(); frame !== null; frame = await raw.frame()) {
      const { code, content } = frame;
      const requestId = frame.requestId as number;
      const said = new TextDecoder().decode(content);
      // A PING is answered before anything else, and any other frame may be the answer.
      if (code === SystemCode.PING) this.#say(raw, { code: SystemCode.PONG, requestId });
      else if (this.pending.has(requestId)) {
        this.pending.get(requestId)!(said);
        this.pending.delete(requestId);
      } else if (code === UPPER.code) this.#say(raw, { code, content: said.toUpperCase(), requestId });
      else if (code === NOTE.code) {
        this.notes.push(said);
        // Python's documentation answers everything, also what nobody asked.
        if (said.endsWith("!")) this.#say(raw, { code: NOTE.code, content: "thanks", requestId });
      } else this.odd.push(`${code} ${requestId} ${said}`);
    }
  }

  /** Asks; resolves to the answer. */
  ask(raw: Raw, code: number, content: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const requestId = this.#take();
    this.pending.set(requestId, resolve);
    this.#say(raw, { code, content, requestId });
    return promise;
  }

  /** Sends. */
  send(raw: Raw, content: string): void {
    this.#say(raw, { code: NOTE.code, content, requestId: this.#take() });
  }

  /** Sends to all. */
  broadcast(raws: readonly Raw[], content: string): void {
    const requestId = this.#release <= "3.0.0" ? 0 : this.#take();
    for (const raw of raws) this.#say(raw, { code: NOTE.code, content, requestId });
  }

  /** Writes what waits, one write at a time. */
  #say(raw: Raw, frame: RawFrame): void {
    const before = this.#written.get(raw) ?? Promise.resolve();
    this.#written.set(raw, before.then(() => raw.send(frame)).catch(() => {}));
  }

  #take(): number {
    const { first, size } = this.#counter;
    for (;;) {
      const id = first + this.#next;
      this.#next = (this.#next + 1) % size;
      if (this.#release < "3" || !this.pending.has(id)) return id;
    }
  }
}

/** Our side of one connection. */
interface Ours {
  readonly end: Pick<Client, "send" | "request" | "ping" | "stats">;
  readonly raw: Raw;
  /** Notes that came. */
  readonly notes: string[];
}

/** Greets one of our clients as a Python server, or answers one of our servers as a Python client. */
async function agree(connection: Connection, role: "server" | "client", release: string): Promise<Raw> {
  const raw = new Raw(connection, "2.0.0");
  const hello = { v: release.slice(0, 5), pv: "1.0" };
  if (role === "server") {
    await connection.write(message({ ...hello, meta: release.startsWith("2") ? { id_window: 30_000 } : {} }));
    assertEquals(await raw.message(), { ...hello, meta: {} });
    await connection.write(message({ result: "ok" }));
  } else {
    await raw.message();
    await connection.write(message({ ...hello, meta: {} }));
    assertEquals(await raw.message(), { result: "ok" });
  }
  return raw;
}

/** Some connections between us and one Python program that plays the `role`. */
// deno-lint-ignore explicit-function-return-type
async function meet(world: World, role: "server" | "client", release: string, count: number) {
  const all: Ours[] = [];
  const over: (() => Promise<unknown>)[] = [];
  const options = { transport: world.transport, logger: new Lines(), heartbeat: false } as const;
  const set = (end: Client, notes: string[]): void => {
    end.route(NOTE, ({ data }) => void notes.push(data));
    end.route(LOWER, ({ data }) => data.toLowerCase());
  };
  let server: Server | undefined;
  const lost: unknown[] = [];
  if (role === "server") {
    const listener = await RawServer.listen(world);
    for (let i = 0; i < count; i++) {
      const client = new Client({ ...listener.address, ...options });
      const notes: string[] = [];
      set(client, notes);
      client.on("error", (error) => void lost.push(error));
      const connecting = client.connect();
      const raw = await agree((await listener.accept("2.0.0")).connection, role, release);
      await connecting;
      all.push({ end: client, raw, notes });
      over.push(() => client.close({ drain: 0 }), () => raw[Symbol.asyncDispose]());
    }
    over.push(() => listener[Symbol.asyncDispose]());
  } else {
    server = new Server({ hostname: HOST, port: 0, ...options });
    const notes: string[][] = [];
    server.route(NOTE, ({ data }, client) => void notes[client.id - 1].push(data));
    server.route(LOWER, ({ data }) => data.toLowerCase());
    server.on("error", (error) => void lost.push(error));
    await server.start();
    const events = new Recorder(server, ["connect"]);
    for (let i = 0; i < count; i++) {
      notes.push([]);
      const raw = await agree(await world.transport.connect(server.addresses[0] as TcpEndpoint), role, release);
      const [client] = await events.next("connect");
      all.push({ end: client, raw, notes: notes[i] });
      over.push(() => raw[Symbol.asyncDispose]());
    }
    const made = server;
    over.push(() => made.close({ drain: 0 }));
  }
  return {
    all,
    server,
    lost,
    async [Symbol.asyncDispose](): Promise<void> {
      for (const end of over) await end();
    },
  };
}

/** Both sides at work at once; throws when a frame of either is lost, or taken for something else. */
async function work(role: "server" | "client", release: string, at: number, seed: number): Promise<void> {
  const world = memoryWorld();
  const random = new Random(seed);
  // Each Python client counts for itself; a Python server counts for all.
  const one = new PythonModel(release, COUNTERS[release][role], at);
  const count = role === "server" ? 3 : 1;
  await using met = await meet(world, role, release, count);
  const { all, server } = met;
  const raws = all.map(({ raw }) => raw);
  const reading = raws.map((raw) => one.serve(raw));
  const ours: Promise<unknown>[] = [];
  const theirs: Promise<unknown>[] = [];
  const expected = all.map(() => [] as string[]);
  let notes = 0;
  let answers = 0;
  const check = (asked: Promise<string>, answer: string): Promise<void> =>
    asked.then((got) => assertEquals(got, answer));
  for (let step = 0; step < 2_000; step++) {
    const i = random.below(count);
    const { end, raw } = all[i];
    const thanked = random.below(4) === 0;
    switch (random.below(7)) {
      case 0:
        ours.push(check(end.request(UPPER, `question ${step}`), `QUESTION ${step}`));
        break;
      case 1:
        ours.push(end.ping());
        break;
      case 2:
        end.send(NOTE, thanked ? "note!" : "note");
        notes++;
        if (thanked) expected[i].push("thanks");
        break;
      case 3:
        theirs.push(check(one.ask(raw, LOWER.code, `ANSWER ${step}`), `answer ${step}`));
        answers++;
        break;
      case 4:
        theirs.push(one.ask(raw, SystemCode.PING, ""));
        answers++;
        break;
      case 5:
        one.send(raw, `plain ${step}`);
        expected[i].push(`plain ${step}`);
        break;
      default:
        if (server !== undefined) {
          notes += server.broadcast(NOTE, "note").sent;
          break;
        }
        one.broadcast(raws, `all ${step}`);
        for (const list of expected) list.push(`all ${step}`);
    }
    if (random.below(40) === 0) await world.clock.settle();
  }
  await Promise.all([...ours, ...theirs]);
  await until(() => one.notes.length >= notes && all.every(({ notes }, i) => notes.length >= expected[i].length));
  const wrong = `${role} ${release} at ${at}, seed ${seed}`;
  assert(ours.length > 400 && answers > 400 && notes > 200, wrong);
  assertEquals([one.notes.length, one.odd, one.pending.size], [notes, [], 0], wrong);
  assertEquals(met.lost, [], wrong);
  for (const [i, { end, notes }] of all.entries()) {
    assertEquals(notes.toSorted(), expected[i].toSorted(), wrong);
    const { repliesDropped, framesIgnored, framesDropped, pendingRequests } = end.stats();
    assertEquals([repliesDropped, framesIgnored, framesDropped, pendingRequests], [0, 0, 0, 0], wrong);
  }
  for (const raw of raws) raw.connection.abort();
  await Promise.allSettled(reading);
}

for (const release of Object.keys(COUNTERS)) {
  for (const role of ["server", "client"] as const) {
    const { size } = COUNTERS[release][role];
    describe(`a Python ${role} of ${release}`, () => {
      it("takes nothing for something else, and nor do we, wherever its counter stands and begins anew", async () => {
        // The ends of the counter, and where it meets ids of ours by other rules.
        for (const [i, at] of [0, size - 200, 16_300, 32_700, 65_000].entries()) {
          if (isMine(i)) await work(role, release, at, i + 1);
        }
      });
    });
  }
}

/** The rule for a peer. */
// deno-lint-ignore explicit-function-return-type
function rule(side: "client" | "server", numbering: Numbering, clock = new FakeClock()) {
  const waiting = new Set<number | string>();
  let looked = 0;
  const pending = { has: (id: number | string) => (looked++, waiting.has(id)), waiting: () => waiting };
  const outcome = {
    protocol: protocol("3.3.0"),
    release: "3.3.0",
    numbering,
    maxMessageSize: 1_000,
    features: new Map(),
    transcript: [],
  };
  const ids = requestIds(outcome, side, pending, clock);
  /** Takes an id that waits from now on. */
  const take = (): number => {
    const id = ids.next() as number;
    waiting.add(id);
    return id;
  };
  const answers = (id: number): boolean =>
    ids.answers(new DecodedFrame(200, 0, id, undefined, new Uint8Array(0), 0, 0));
  /** All ids until there is none. */
  const all = (resting = 0): number[] => {
    const taken: number[] = [];
    for (;;) {
      try {
        taken.push(take());
      } catch (error) {
        assert(error instanceof BackpressureError && error.code === "ids-exhausted", String(error));
        const count = waiting.size + resting;
        assertStringIncludes(error.message, count === 0 ? "leaves no ids" : `all ${count} ids that the peer's release`);
        return taken;
      }
    }
  };
  /** An answer came. */
  const free = (id: number): void => {
    waiting.delete(id);
    ids.free(id);
  };
  /** Its time is over. */
  const abandon = (id: number): void => {
    waiting.delete(id);
    ids.abandon(id);
  };
  return { ids, waiting, take, answers, all, free, abandon, looked: () => looked };
}

const HALVES = { kind: "halves" } as const;
const WHOLE = { kind: "whole" } as const;

describe("our ids", () => {
  it("towards servers of 3.0.1 and later are 16384 to 32766, and 32767 for what is no request", () => {
    const { ids, all, answers } = rule("client", HALVES);
    assertEquals(all(), Array.from({ length: 16_383 }, (_, i) => 16_384 + i));
    assertEquals(ids.plain(), 32_767);
    assertEquals([16_383, 16_384, 20_001, 32_766, 32_767, 32_768, 40_001, 65_535].map(answers), [
      false,
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it("towards clients of 3.0.1 and later are even, from 32768 to 65534, and 65535", () => {
    const { ids, all, answers } = rule("server", HALVES);
    assertEquals(all(), Array.from({ length: 16_384 }, (_, i) => 32_768 + 2 * i));
    assertEquals([ids.plain(), [0, 32_766, 32_767].some(answers)], [65_535, false]);
  });

  it("towards a window begin above it, for either side, as far as it leaves any", () => {
    const few = (side: "client" | "server", size: number): number[] => rule(side, { kind: "window", size }).all();
    for (const size of [1, 30_000, 32_768]) {
      assertEquals(few("client", size), Array.from({ length: 16_383 }, (_, i) => 32_769 + 2 * i));
      assertEquals(few("server", size), Array.from({ length: 16_384 }, (_, i) => 32_768 + 2 * i));
    }
    assertEquals([few("client", 65_530), few("server", 65_530)], [[65_531, 65_533], [65_530, 65_532, 65_534]]);
    assertEquals([few("client", 65_534), few("server", 65_534)], [[], [65_534]]);
  });

  it("begin anew behind the last one, and leave out what waits or rests", () => {
    const clock = new FakeClock();
    const { ids, take, all, free, abandon } = rule("client", HALVES, clock);
    all();
    for (const id of [20_000, 20_002]) free(id);
    abandon(20_001);
    assertEquals([take(), take()], [20_000, 20_002]);
    ids.settle(20_001);
    assertEquals(take(), 20_001);
  });

  it("rest for ten minutes", async () => {
    for (const [side, numbering] of [["client", HALVES], ["server", HALVES], ["server", WHOLE]] as const) {
      const clock = new FakeClock();
      const { abandon, all, take } = rule(side, numbering, clock);
      const [first] = all();
      abandon(first);
      assertEquals(all(1), []);
      await clock.advance(600_000 - 1);
      assertEquals(all(1), []);
      await clock.advance(1);
      assertEquals(take(), first);
    }
  });

  it("towards clients of 3.0.0 are half a ring ahead of what these used last, and nobody else's are answers", () => {
    const { ids, take, answers, waiting } = rule("server", WHOLE);
    assertEquals([take(), take(), ids.plain()], [32_768, 32_769, 65_535]);
    for (const id of waiting) assert(answers(id as number));
    assertEquals([0, 32_767, 32_770, 65_534, 65_535].some(answers), false);
    ids.seenFromPeer(0);
    ids.seenFromPeer(16_000);
    assertEquals(take(), 16_000 + 32_768 + 2);
    for (let id = 16_001; id < 65_535; id += 1_000) ids.seenFromPeer(id);
    ids.seenFromPeer(65_534);
    ids.seenFromPeer(3);
    assertEquals(take(), 3 + 32_768 + 3);
  });

  it("towards clients of 3.0.0 do not follow ids of our own, that come back in second answers, nor 65535", () => {
    const { ids, take } = rule("server", WHOLE);
    ids.seenFromPeer(5);
    for (const id of [take(), take(), 65_535, 16_389, 40_000, 4, 65_534]) ids.seenFromPeer(id);
    assertEquals(take(), 5 + 32_768 + 2);
    const later = rule("server", WHOLE);
    later.ids.seenFromPeer(50_000); // It connects again, and counts on.
    later.ids.seenFromPeer(65_535); // It answers what is no request.
    assertEquals(later.take(), (50_000 + 32_768) % 65_535);
  });

  it("towards clients of 3.0.0 are 16,384 at once", () => {
    const { all } = rule("server", WHOLE);
    const taken = all();
    assertEquals([taken.length, new Set(taken).size, taken[0], taken.at(-1)], [16_384, 16_384, 32_768, 49_151]);
    const { ids, all: others } = rule("server", WHOLE);
    ids.seenFromPeer(30_000);
    const wrapped = others();
    assertEquals([wrapped.length, wrapped[0], wrapped.at(-1)], [16_384, 62_768, (62_768 + 16_383) % 65_535]);
    assert(!wrapped.includes(65_535));
  });

  it("are found at once, and so is that there is none, however many are taken", () => {
    for (const [side, numbering] of [["client", HALVES], ["server", HALVES], ["server", WHOLE]] as const) {
      const { all, take, abandon, ids, looked } = rule(side, numbering);
      const taken = all();
      for (const id of taken) abandon(id);
      const before = looked();
      assert(before < taken.length, `${before} were looked at one by one to take ${taken.length}`);
      for (let i = 0; i < 100; i++) {
        assertThrows(take, BackpressureError);
        // One late answer: exactly one is free.
        const id = taken[(i * 7_919) % taken.length];
        ids.settle(id);
        assertEquals(take(), id);
        abandon(id);
      }
      assertEquals(looked(), before);
    }
  });

  it("are never taken twice and never refused while one is free, whatever is answered, given up and late", async () => {
    for (const [i, numbering] of ([HALVES, WHOLE, { kind: "window", size: 65_400 }] as const).entries()) {
      for (let seed = 1; seed <= 2; seed++) {
        if (!isMine(i + seed)) continue;
        const random = new Random(seed);
        const clock = new FakeClock();
        const { ids, waiting, take, free, abandon } = rule("server", numbering, clock);
        const resting = new Map<number, number>();
        const most = numbering.kind === "window" ? 68 : 16_384;
        for (let step = 0; step < 60; step++) {
          const many = random.pick([1, 60, 250, 1_000, 20_000]);
          switch (random.below(5)) {
            case 0:
            case 1:
              for (const [id, until] of resting) if (until <= clock.now()) resting.delete(id);
              for (let i = 0; i < many; i++) {
                const used = waiting.size + resting.size;
                let id;
                try {
                  id = take();
                } catch (error) {
                  assert(error instanceof BackpressureError && used >= most, `seed ${seed}: ${used} of ${most} taken`);
                  break;
                }
                assert(!resting.has(id) && waiting.size + resting.size === used + 1, `seed ${seed}: ${id} was taken`);
              }
              break;
            case 2:
              for (const id of [...waiting].slice(0, many)) free(id as number);
              break;
            case 3:
              for (const id of [...waiting].slice(-many)) {
                abandon(id as number);
                resting.set(id as number, clock.now() + 600_000);
              }
              if (numbering.kind === "whole") ids.seenFromPeer(random.below(65_535));
              await clock.advance(random.pick([0, 1_000, 300_000]));
              break;
            default:
              for (const id of [...resting.keys()].slice(0, many)) {
                ids.settle(id);
                resting.delete(id);
              }
          }
        }
      }
    }
  });

  it("are the same on all broadcasts of a server as on what it sends to one", () => {
    for (
      const numbering of [HALVES, WHOLE, { kind: "window", size: 30_000 }, { kind: "window", size: 65_534 }] as const
    ) {
      assertEquals(broadcastId(protocol("2.0")), rule("server", numbering).ids.plain());
    }
  });
});

for (const release of ["2.0.3", "3.0.0", "3.3.0"]) {
  for (const role of ["server", "client"] as const) {
    describe(`answers of a Python ${role} of ${release}`, () => {
      const whole = release === "3.0.0" && role === "client";

      it("that come late are dropped and counted, and are no messages", async () => {
        const world = memoryWorld();
        await using met = await meet(world, role, release, 1);
        const [{ end, raw, notes }] = met.all;
        const asked = assertRejects(() => end.request(UPPER, "slow", { timeout: 1_000 }), TimeoutError);
        const { requestId } = (await raw.frame())!;
        await advanceUntil(world.clock, asked);
        await raw.send({ code: UPPER.code, content: "LATE", requestId: requestId as number });
        await until(() => end.stats().repliesDropped === 1);
        const again = end.request(UPPER, "again");
        const next = (await raw.frame())!;
        assert(next.requestId !== requestId);
        await raw.send({ code: UPPER.code, content: "AGAIN", requestId: next.requestId as number });
        assertEquals([await again, notes, met.lost], ["AGAIN", [], []]);
      });

      it("that are forged are dropped, or messages where no id is ours alone, and what waits waits on", async () => {
        const world = memoryWorld();
        await using met = await meet(world, role, release, 1);
        const [{ end, raw, notes }] = met.all;
        const asked = end.request(UPPER, "who?");
        const requestId = (await raw.frame())!.requestId as number;
        await raw.send({ code: NOTE.code, content: "forged", requestId: requestId + 2 });
        await raw.send({ code: UPPER.code, content: "RIGHT", requestId });
        assertEquals(await asked, "RIGHT");
        assertEquals([end.stats().repliesDropped, notes], whole ? [0, ["forged"]] : [1, []]);
      });

      it("that come twice settle one request, and the second is dropped, or a message where no id is ours alone", async () => {
        const world = memoryWorld();
        await using met = await meet(world, role, release, 1);
        const [{ end, raw, notes }] = met.all;
        const first = end.request(UPPER, "first");
        const requestId = (await raw.frame())!.requestId as number;
        await raw.send(
          { code: NOTE.code, content: "ONE", requestId },
          { code: NOTE.code, content: "TWO", requestId },
          { code: NOTE.code, content: "plain", requestId: 7 },
        );
        assertEquals(await first, "ONE");
        await until(() => notes.includes("plain"));
        assertEquals([end.stats().repliesDropped, notes], whole ? [0, ["TWO", "plain"]] : [1, ["plain"]]);
        const second = end.request(UPPER, "second");
        const next = (await raw.frame())!.requestId as number;
        assert(next !== requestId);
        await raw.send({ code: UPPER.code, content: "SECOND", requestId: next });
        assertEquals(await second, "SECOND");
      });
    });
  }
}

describe("our requests to a Python client of 3.0.0", () => {
  it("keep away from its counter, which its messages, requests and PINGs tell", async () => {
    const world = memoryWorld();
    await using met = await meet(world, "client", "3.0.0", 1);
    const [{ end, raw, notes }] = met.all;
    const asked = async (): Promise<number> => {
      const answer = end.request(UPPER, "?");
      const requestId = (await raw.frame())!.requestId as number;
      await raw.send({ code: UPPER.code, content: "!", requestId });
      assertEquals(await answer, "!");
      return requestId;
    };
    assertEquals(await asked(), 32_768);
    await raw.send({ code: NOTE.code, content: "at", requestId: 40_000 });
    await until(() => notes.length === 1);
    assertEquals(await asked(), (40_000 + 32_768 + 1) % 65_535);
    await raw.send({ code: LOWER.code, content: "at", requestId: 50_000 });
    assertEquals((await raw.frame())!.requestId, 50_000);
    assertEquals(await asked(), (50_000 + 32_768 + 2) % 65_535);
    await raw.send({ code: SystemCode.PING, requestId: 60_000 });
    assertEquals((await raw.frame())!.requestId, 60_000);
    assertEquals(await asked(), (60_000 + 32_768 + 3) % 65_535);
  });
});

describe("a broadcast", () => {
  it("is one frame for clients of all releases, and nobody's request", async () => {
    const world = memoryWorld();
    await using server = new Server({ hostname: HOST, port: 0, transport: world.transport, logger: new Lines() });
    await server.start();
    const raws: Raw[] = [];
    for (const release of ["2.0.3", "3.0.0", "3.0.1", "3.3.0"]) {
      const to = server.addresses[0] as TcpEndpoint;
      raws.push(await agree(await world.transport.connect(to), "client", release));
    }
    await until(() => server.clients.length === raws.length);
    assertEquals(server.broadcast(messageType(200, "note", bytes), new Uint8Array([7])).sent, raws.length);
    for (const raw of raws) assertEquals((await raw.frame())!.requestId, 65_535);
    for (const raw of raws) await raw[Symbol.asyncDispose]();
  });
});
