/**
 * A client and a server that come back to each other over a bad network, beside a simple model of what may happen: all
 * that was taken arrives once and in order, or both sides say that the session is lost, and the counts are true.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import process from "node:process";
import {
  BackpressureError,
  Client,
  type ConnectedClient,
  ConnectionError,
  type DisconnectState,
  json,
  messageType,
  Server,
  TimeoutError,
} from "../mod.ts";
import type { Faults } from "../src/adapters/memory.ts";
import type { Connection, Transport } from "../src/transport.ts";
import { Line } from "./resume_line.ts";
import { HOST, Lines, memoryWorld, type World } from "./session_support.ts";
import { Random, rounds } from "./wire_support.ts";

/** A message: the session of the server that it belongs to (0 where a client sends it), its number, and some weight. */
interface Item {
  readonly session: number;
  readonly n: number;
  readonly pad: string;
}

/** Short, so that thousands come in one chunk. */
const ITEM = messageType<Item, Item>(200, "item", {
  encode: ({ session, n, pad }) => `${session} ${n} ${pad}`,
  decode: (bytes) => {
    const [session, n, pad] = new TextDecoder().decode(bytes).split(" ");
    return { session: Number(session), n: Number(n), pad };
  },
});
const ASK = messageType(201, "ask", json<Item>(), json<number>());
/** The steps by their numbers, those more than once that have to meet a moment. */
const ACTS = [...Array(28).keys(), 20, 20, 26, 26, 26];
const PORT = 49_152;
const KEEP = 12_000;
const BUFFER = 65_536;
/** Longer than all that happens. */
const PATIENT = 600_000;

/** One request, as the side that made it sees it. */
interface Asked {
  readonly n: number;
  /** The session that it was made on, as this side counts them. */
  readonly session: number;
  readonly patient: boolean;
  outcome: "waits" | "answered" | "timeout" | "lost" | "refused" | string;
}

/** What one side of one session saw. */
interface Session {
  /** The numbers of the messages that came, in the order that they came. */
  readonly came: number[];
  /** The numbers of the messages that were taken for it; on a server. */
  taken: number;
  /** The events: connect, suspended, resumed, disconnect. */
  readonly events: string[];
  /** The number of messages that came and were not handled. */
  unhandled: number;
}

function session(): Session {
  return { came: [], taken: 0, events: ["connect"], unhandled: 0 };
}

/** One run of the model. */
class Run {
  readonly random: Random;
  readonly world: World;
  readonly lines: Line[] = [];
  /** All connections of the servers. */
  readonly accepted: Connection[] = [];
  readonly errors: unknown[] = [];
  readonly wrong: string[] = [];
  /** What the model has done, for who looks for a fault. */
  readonly log: string[] = [];
  readonly queueing: boolean;
  readonly client: Client;
  server: Server;
  /** The clients that the servers know, the last one last. */
  infos: ConnectedClient[] = [];
  /** The sessions of the servers by a number of their own, and those of the client. */
  readonly served: Session[] = [];
  readonly known: Session[] = [];
  /** The number of a session of a server for each of its clients. */
  readonly numbers = new Map<ConnectedClient, number>();
  readonly requests: Asked[] = [];
  readonly asking: Asked[] = [];
  /** The numbers of requests that handlers saw. */
  readonly seen = { client: new Set<number>(), server: new Set<number>() };
  /** The numbers of the client's messages that were taken, and what is known of those before `told`. */
  taken = 0;
  told = 0;
  readonly fates: ("delivered" | "uncertain" | "lost")[] = [];
  readonly disconnects: DisconnectState[] = [];
  refuses = false;
  /** True while new connections have no faults. */
  calm = false;
  /** The number of next connections over which nothing comes before they are left. */
  crossing = 0;
  /** True while it is another client that connects. */
  rivalling = false;
  readonly #transport: Transport;

  constructor(seed: number) {
    const random = this.random = new Random(seed);
    this.queueing = random.below(2) === 0;
    const world = this.world = memoryWorld({
      faults: () => this.#faults(),
      pipeSize: random.pick([2_000, 262_144]),
    });
    this.#transport = {
      ...world.transport,
      connect: async (to, options) => {
        if (this.refuses) throw new ConnectionError("refused", "Nobody listens");
        const line = new Line(await world.transport.connect(to, options));
        line.sticky = !this.calm && random.below(3) === 0;
        // The first bytes of an attempt may come after those of the next one.
        if (this.crossing > 0) {
          this.crossing--;
          line.sticky = true;
          line.mute();
        }
        // So may the last bytes of a connection that was left.
        const before = this.lines.at(-1);
        if (random.below(2) === 0) world.clock.setTimeout(() => before?.wake(), random.pick([20, 100, 2_000]));
        this.lines.push(line);
        return line.connection;
      },
      listen: async (at, options) => {
        const listener = await world.transport.listen(at, options);
        const { accepted } = this;
        return Object.assign(Object.create(listener), {
          address: listener.address,
          close: () => listener.close(),
          unref: () => listener.unref(),
          async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
            for await (const connection of listener) {
              accepted.push(connection);
              yield connection;
            }
          },
        });
      },
    };
    this.server = this.#serve();
    const client = this.client = new Client({
      hostname: HOST,
      port: PORT,
      transport: this.#transport,
      logger: new Lines(),
      resume: { buffer: BUFFER },
      reconnect: { delay: 200, maxDelay: 2_000 },
      queueWhileDown: this.queueing,
      maxQueuedBytes: random.pick([20_000, 4_000_000]),
    });
    client.on("error", (error) => void this.errors.push(error));
    client.on("connect", () => void this.known.push(session()));
    client.on("suspended", () => void this.known.at(-1)!.events.push("suspended"));
    client.on("resumed", () => void this.known.at(-1)!.events.push("resumed"));
    client.on("disconnect", (state) => this.#disconnected(state));
    client.route(ITEM, ({ data }) => {
      const known = this.known.at(-1)!;
      // The first message of a session says which one of the server it is.
      known.taken ||= data.session;
      if (known.taken !== data.session) this.wrong.push(`a message of session ${data.session} in ${known.taken}`);
      known.came.push(data.n);
    });
    client.route(ASK, ({ data }) => this.#answer("client", data));
  }

  async begin(): Promise<void> {
    await this.server.start();
    const connected = this.client.connect();
    connected.catch(() => {});
    await this.world.clock.advance(1_000);
  }

  /** Makes one random step. */
  async step(): Promise<void> {
    const { client, random, server, world: { clock } } = this;
    const line = this.lines.at(-1);
    const info = this.infos.at(-1);
    const act = random.pick(ACTS);
    this.log.push(`${clock.now()} ${act} ${client.state}`);
    if (act < 6) this.send(1 + random.below(8), random.pick([0, 100, 3_000]));
    else if (act < 10) this.sendDown(1 + random.below(8), random.pick([0, 100, 3_000]));
    else if (act < 12) this.ask();
    else if (act < 14) this.askDown();
    else if (act === 14) line?.end();
    else if (act === 15) void line?.connection.closeWrite().catch(() => {});
    else if (act === 16) void this.accepted.at(-1)?.closeWrite().catch(() => {});
    else if (act === 17) this.accepted.at(-1)?.abort();
    else if (act === 18) {
      // The client suspects it, and leaves it; the server learns of that late.
      if (line !== undefined) {
        line.sticky = true;
        line.silence();
        this.send(1, 0);
      }
    } else if (act === 19) {
      for (const line of this.lines) if (random.below(3) === 0) line.wake();
    } else if (act === 20) {
      this.crossing = 1 + random.below(2);
      line?.end();
    } else if (act === 21) {
      // More than may be kept, in one go.
      this.send(40, 4_000);
      this.sendDown(40, 4_000);
    } else if (act === 26) {
      // So many that they are not handed out in one turn, in which the connection may end.
      this.send(3_000, 0);
      this.sendDown(3_000, 0);
      for (let turns = random.below(8); turns > 0; turns--) await new Promise<void>((resolve) => clock.turn(resolve));
      // Who writes then notices the end before it reads on.
      if (random.below(2) === 0) {
        line?.end();
        this.send(1, 0);
      } else {
        this.accepted.at(-1)?.abort();
        this.sendDown(1, 0);
      }
    } else if (act === 27 && random.below(3) === 0) await this.#pushOut();
    else if (act === 22) this.refuses = !this.refuses;
    else if (act === 23 && random.below(3) === 0) await this.#away();
    else if (act === 24 && random.below(4) === 0) await this.#crash();
    else if (act === 25 && random.below(4) === 0) {
      const how = random.below(3);
      const drain = random.pick([0, 3_000]);
      if (how === 0) {
        void client.close({ drain });
        await clock.advance(random.below(drain + 1));
        client.connect().catch(() => {});
      } else if (how === 1) void info?.close("manual", { drain });
      else {
        void server.close({ drain });
        await clock.advance(20_000);
        await this.#again();
      }
    }
    if (client.state === "disconnected") client.connect().catch(() => {});
    await clock.advance(random.pick([0, 0, 1, 10, 50, 300, 1_000, 3_000]));
    // What the client has left ends on the server, too, some time.
    for (const line of this.lines) if (line.aborted && random.below(10) === 0) line.end();
    if (this.refuses && random.below(3) === 0) this.refuses = false;
  }

  /** Lets everything come to its end, and judges. */
  async end(): Promise<void> {
    const { client, random, world: { clock } } = this;
    this.calm = true;
    this.refuses = false;
    this.crossing = 0;
    if (client.state === "disconnected") client.connect().catch(() => {});
    // The last connection may still be bad.
    for (let i = 0; i < 3; i++) {
      for (const line of this.lines) line.end();
      await clock.advance(3_000);
    }
    await clock.advance(2 * KEEP);
    await clock.advance(60_000);
    if (client.state === "disconnected") client.connect().catch(() => {});
    await clock.advance(5_000);
    assertEquals(client.state, "connected");
    // An attempt that came too late has begun another session, of which nobody knows.
    const last = this.served[this.known.at(-1)!.taken - 1];
    // Both ends are here, so nothing is missing.
    assertEquals(client.stats().queuedWhileDown, 0);
    assertEquals(last.came.length === 0 || last.came.at(-1) === this.taken - 1, true, "the last message of the client");
    assertEquals(this.known.at(-1)!.came.length, last.taken, "the messages of the server");
    for (const asked of [...this.requests, ...this.asking]) assert(asked.outcome !== "waits", `request ${asked.n}`);
    // The requests of a session that is not over were not lost.
    const now = [
      ...this.requests.filter(({ session }) => session === this.known.length),
      ...this.asking.filter(({ session }) => session === this.known.at(-1)!.taken),
    ];
    assertEquals(now.filter(({ outcome }) => outcome === "lost"), []);
    assertEquals(this.server.stats().suspended, 0);
    assertEquals([client.stats().pendingRequests, client.stats().bufferedBytes], [0, 0]);
    if (random.below(2) === 0) void client.close({ drain: 1_000 });
    else {
      client.stopRetry();
      void this.server.close({ drain: 1_000 });
    }
    await clock.advance(5_000);
    void client.close({ drain: 0 });
    void this.server.close({ drain: 0 });
    await clock.advance(5_000);
    await clock.settle();
    this.#judge();
    assertEquals(client.state, "disconnected");
    const { bufferedBytes, closing, connections, pendingHandshakes, suspended } = this.server.stats();
    assertEquals([bufferedBytes, closing, connections, pendingHandshakes, suspended], [0, 0, 0, 0, 0]);
    for (const line of this.lines) line.end();
    await clock.settle();
    let open = this.lines.length + this.accepted.length;
    for (const { closed } of [...this.accepted, ...this.lines.map((line) => line.connection)]) {
      void closed.then(() => open--);
    }
    await clock.settle();
    assertEquals([clock.pending, open], [0, 0], "timers and connections");
  }

  send(count: number, size: number): void {
    for (let i = 0; i < count; i++) {
      try {
        this.client.send(ITEM, { session: 0, n: this.taken, pad: "x".repeat(this.random.below(size + 1)) });
        this.taken++;
      } catch (error) {
        this.#refusal(error);
        return;
      }
    }
  }

  sendDown(count: number, size: number): void {
    const info = this.infos.at(-1);
    if (info === undefined) return;
    const number = this.numbers.get(info)!;
    const served = this.served[number];
    for (let i = 0; i < count; i++) {
      try {
        info.send(ITEM, { session: number + 1, n: served.taken, pad: "x".repeat(this.random.below(size + 1)) });
        served.taken++;
      } catch (error) {
        this.#refusal(error);
        return;
      }
    }
  }

  ask(): void {
    this.#request(this.client, this.requests, this.known.length);
  }

  askDown(): void {
    const info = this.infos.at(-1);
    if (info !== undefined) this.#request(info, this.asking, this.numbers.get(info)! + 1);
  }

  #request(by: Client | ConnectedClient, all: Asked[], session: number): void {
    const patient = this.random.below(4) > 0;
    const asked: Asked = { n: all.length, session, patient, outcome: "waits" };
    all.push(asked);
    const timeout = patient ? PATIENT : 1 + this.random.below(5_000);
    const settle = (outcome: string): void => {
      if (asked.outcome !== "waits") this.wrong.push(`request ${asked.n} settled twice`);
      asked.outcome = outcome;
    };
    by.request(ASK, { session, n: asked.n, pad: "" }, { timeout }).then(
      (answer) => settle(answer === 3 * asked.n + 1 ? "answered" : `answered ${answer}`),
      (error) =>
        settle(
          error instanceof TimeoutError
            ? "timeout"
            : error instanceof BackpressureError
            ? "refused"
            : error instanceof ConnectionError
            ? "lost"
            : `${error.name} ${error.code}`,
        ),
    );
  }

  /** Answers at once, or late. */
  #answer(side: "client" | "server", { n }: Item): number | Promise<number> {
    if (this.seen[side].has(n)) this.wrong.push(`the ${side} saw request ${n} twice`);
    this.seen[side].add(n);
    const late = this.random.pick([0, 0, 20, 400, 4_000]);
    if (late === 0) return 3 * n + 1;
    return new Promise((resolve) => this.world.clock.setTimeout(() => resolve(3 * n + 1), late));
  }

  #refusal(error: unknown): void {
    if (!(error instanceof BackpressureError) && !(error instanceof ConnectionError)) this.errors.push(error);
  }

  #serve(): Server {
    const { random, world: { clock } } = this;
    const server = new Server({
      hostname: HOST,
      port: PORT,
      transport: this.#transport,
      logger: new Lines(),
      resume: { keep: KEEP, buffer: BUFFER, maxSuspended: 1 },
      handshakeTimeout: 10_000,
      maxQueuedBytes: random.pick([20_000, 4_000_000]),
    });
    const of = (client: ConnectedClient): Session | undefined => this.served[this.numbers.get(client) ?? -1];
    server.on("error", (error) => void this.errors.push(error));
    server.on("rejected", () => {});
    server.on("connect", (client) => {
      if (this.rivalling) return;
      this.infos.push(client);
      this.numbers.set(client, this.served.length);
      this.served.push(session());
      // Its session is told from others by the first message.
      this.sendDown(1, 0);
    });
    server.on("suspended", (client) => void of(client)?.events.push("suspended"));
    server.on("resumed", (client) => void of(client)?.events.push("resumed"));
    server.on("disconnect", (client, { unhandled }) => {
      const served = of(client);
      if (served === undefined) return;
      served.events.push("disconnect");
      served.unhandled = unhandled;
      this.infos = this.infos.filter((other) => other !== client);
    });
    server.route(ITEM, ({ data }, client) => {
      if (data.session !== 0) this.wrong.push("a message of a stranger");
      of(client)!.came.push(data.n);
      // Some handlers take their time; the others wait for them.
      if (data.n % 50 !== 7) return;
      return new Promise<void>((resolve) => clock.setTimeout(resolve, 30));
    });
    server.route(ASK, ({ data }) => this.#answer("server", data));
    return server;
  }

  #faults(): Faults {
    const { random } = this;
    const faults: Faults = {
      ...random.below(3) === 0 ? {} : { split: { seed: random.below(2 ** 31), max: random.pick([20, 500, 20_000]) } },
      delay: random.pick([0, 0, 0, 3, 40]),
    };
    if (this.calm) return faults;
    const at = random.below(random.pick([100, 700, 5_000, 100_000]));
    const how = random.below(7);
    if (how === 0) return { ...faults, resetAfter: at };
    if (how === 1) return { ...faults, closeAfter: at };
    if (how === 2) return { ...faults, dropAfter: at };
    return faults;
  }

  #disconnected(state: DisconnectState): void {
    this.disconnects.push(state);
    const known = this.known.at(-1);
    // An attempt that brought no connection has no session.
    if (known !== undefined && known.events.at(-1) !== "disconnect") {
      const suspended = known.events.at(-1) === "suspended";
      known.events.push("disconnect");
      known.unhandled = state.unhandled;
      if ((state.resume === "lost") !== suspended) this.wrong.push(`${state.resume}, but suspended is ${suspended}`);
    }
    const { messages } = state;
    if ((messages !== undefined) !== this.queueing) this.wrong.push("the counts of messages");
    if (messages === undefined) return;
    const { delivered, expired, lost, queued, replaced, uncertain } = messages;
    if (expired + replaced > 0) this.wrong.push(`${expired} expired, ${replaced} replaced`);
    for (const [fate, count] of [["delivered", delivered], ["uncertain", uncertain], ["lost", lost]] as const) {
      for (let i = 0; i < count; i++) this.fates[this.told++] = fate;
    }
    if (this.told + queued !== this.taken) {
      this.wrong.push(`${JSON.stringify(messages)}: ${this.told} of ${this.taken} are told`);
    }
  }

  /** The client is away for longer than its session is kept. */
  async #away(): Promise<void> {
    this.refuses = true;
    for (const line of this.lines) line.end();
    await this.world.clock.advance(KEEP + this.random.below(5_000));
    this.refuses = false;
  }

  /** Another client is suspended after this one, and there is no place for both. */
  async #pushOut(): Promise<void> {
    const { clock, transport } = this.world;
    this.refuses = this.calm = this.rivalling = true;
    for (const line of this.lines) line.end();
    await clock.settle();
    let cable: Connection | undefined;
    const rival = new Client({
      hostname: HOST,
      port: PORT,
      transport: { ...transport, connect: async (...to) => cable = await transport.connect(...to) },
      logger: new Lines(),
      resume: true,
      reconnect: true,
    });
    rival.connect().catch(() => {});
    await clock.advance(1_000);
    rival.stopRetry();
    cable?.abort();
    await clock.settle();
    void rival.close({ drain: 0 });
    this.refuses = this.calm = this.rivalling = false;
  }

  /** The server goes without a word, and another one comes in its place. */
  async #crash(): Promise<void> {
    this.refuses = true;
    for (const line of this.lines) line.end();
    await this.world.clock.settle();
    void this.server.close({ drain: 0 });
    await this.world.clock.advance(1_000);
    await this.#again();
    this.refuses = false;
  }

  async #again(): Promise<void> {
    this.server = this.#serve();
    await this.server.start();
  }

  #judge(): void {
    assertEquals(this.wrong, []);
    assertEquals(this.errors, []);
    const came = new Set<number>();
    let last = -1;
    const unhandled = this.served.reduce((sum, session) => sum + session.unhandled, 0);
    for (const [number, served] of this.served.entries()) {
      const events = served.events.join(" ");
      assert(/^connect( suspended resumed)*( suspended)? disconnect$/.test(events), `session ${number}: ${events}`);
      for (const [i, n] of served.came.entries()) {
        assert(!came.has(n), `message ${n} came twice`);
        assert(
          i === 0 ? n > last : n === served.came[i - 1] + 1,
          `message ${n} after ${i === 0 ? last : served.came[i - 1]}`,
        );
        came.add(last = n);
      }
    }
    let left = unhandled;
    for (const [n, fate] of this.fates.entries()) {
      if (fate === "delivered" && !came.has(n)) {
        assert(left-- > 0, `message ${n} is said to be delivered, but it is not`);
      }
      if (fate === "lost" && came.has(n)) throw new Error(`message ${n} is said to be lost, but it has come`);
    }
    for (const known of this.known) {
      const events = known.events.join(" ");
      assert(/^connect( suspended resumed)*( suspended)? disconnect$/.test(events), events);
      assertEquals(known.came, known.came.map((_, i) => i), "the messages of a session of the server");
    }
    // Each session of the client is one of the server's; the server may have others, whose clients never knew of them.
    const sessions = this.known.map(({ taken }) => taken).filter((number) => number > 0);
    assertEquals(new Set(sessions).size, sessions.length, "a session of the server is that of one of the client");
    for (const [all, what] of [[this.requests, "client"], [this.asking, "server"]] as const) {
      for (const { n, outcome, patient } of all) {
        const may = ["answered", "refused", "lost", ...patient ? [] : ["timeout"]];
        assert(may.includes(outcome), `request ${n} of the ${what}: ${outcome}`);
        if (outcome === "answered") assert(this.seen[what === "client" ? "server" : "client"].has(n));
      }
    }
  }
}

/** Runs the model with one seed. */
async function simulate(seed: number): Promise<void> {
  const { random } = Math;
  const run = new Run(seed);
  // The waits between attempts are random, too.
  const waits = new Random(seed + 1);
  Math.random = () => waits.below(1_000_000) / 1_000_000;
  try {
    await run.begin();
    for (let i = 0; i < 60; i++) await run.step();
    await run.end();
  } catch (error) {
    const { log, known, served } = run;
    if (process.env.VELTIX_SEED !== undefined) console.error(log.join("\n"), { known, served });
    throw error;
  } finally {
    Math.random = random;
  }
}

describe("a session that is cut, left, taken over and lost at random", () => {
  // VELTIX_SEED is the first seed, or the only one; VELTIX_SEEDS is how many are run.
  const { VELTIX_SEED: given, VELTIX_SEEDS: many } = process.env;
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 30) : Number(given);
  const count = many !== undefined ? Number(many) : given !== undefined ? 1 : rounds(240);
  for (let from = first; from < first + count; from += 20) {
    const to = Math.min(from + 20, first + count);
    it(`does what the model says, ${to - first} of ${count}`, async () => {
      for (let seed = from; seed < to; seed++) {
        try {
          await simulate(seed);
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    });
  }
});
