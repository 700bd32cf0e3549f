/**
 * WebSockets whose other end does not read: neither end holds more than its marks, other connections notice nothing, and
 * everything arrives when reading goes on. The parts are picked with `--part`:
 *
 * - `deaf`: the other end is no Veltix, and stops reading its socket.
 * - `unread`: the other end is a Veltix of each runtime, whose handler takes its time, or whose stream nobody reads.
 * - `answers`: the other end is a Veltix of each runtime, and answers more at once than an end may hold unread.
 * - `greedy`: the other end is no Veltix, and sends whatever it was granted.
 *
 * In each, the runtime under test is a server, and then a client.
 *
 * @module
 */

import { type Commands, play } from "../processes/role.ts";
import { limited, sleep, until } from "../processes/waiting.ts";
import { RUNTIME_NAMES, type RuntimeName } from "../../scripts/runtimes.ts";
import { count, mib, ms, quantile } from "./figures.ts";
import type { Child } from "./processes.ts";
import type { Context, Scenario } from "./scenario.ts";
import { type End, type Given, ping, serve, talk } from "./web_socket/ends.ts";
import { type Came, expected } from "./web_socket/load.ts";
import { type Flooded, RawPeer } from "./web_socket/raw_peer.ts";
import type { Held } from "./web_socket/watch.ts";

/** What goes one way, in bytes. */
const BYTES = 64 * 2 ** 20;
const WARM_UP = 16 * 2 ** 20;
/** How long nobody reads, in milliseconds: less than the default `writeTimeout`. */
const PAUSE = { short: 1_000, full: 5_000 } as const;
/** How long the rest may take, in milliseconds. */
const PATIENCE = 30_000;

/** What a sender's stats may count as waiting: the default `highWaterMark`, a payload, and a frame's head. */
const MOST_BUFFERED = 2 ** 20 + 2 ** 16;
/** What a WebSocket may have not sent by its own count: 2 MiB where it does not say when it is sent, and a message. */
const MOST_AMOUNT = 2 * 2 ** 20 + 2 ** 17;
/** What may have arrived unread from a peer that keeps to its credit: that credit, and the payload that overdraws it. */
const MOST_UNREAD = 4 * 2 ** 20 + 2 ** 16;
/** By how much a process may grow while nobody reads: half of what is to be sent. */
const MOST_GROWN = 32 * 2 ** 20;
/** The most that 99 of 100 pings of others may take, in milliseconds. */
const PING_LIMIT = 100;

type Part = (run: Run) => Promise<void>;
const PARTS: Readonly<Record<string, Part>> = { deaf, unread, answers, greedy };

/** See the module. */
export const webSocket: Scenario = {
  name: "websocket",
  limit: { short: 240_000, full: 900_000 },
  async run(context: Context): Promise<string> {
    const wanted = Object.entries(PARTS).filter(([name]) => context.parts?.includes(name) ?? true);
    if (wanted.length === 0) throw new Error(`there are ${Object.keys(PARTS).join(", ")}`);
    const run = await Run.start(context);
    for (const [, part] of wanted) await part(run);
    await run.end();
    return `${run.told} figures; at most ${mib(run.unread)} unread from peers that keep to their credit`;
  },
};

/** The processes of a run, and what they have in common. */
class Run {
  readonly context: Context;
  /** The server of the runtime under test. */
  readonly server: Child;
  /** A client of the runtime under test. Its pings go to a server that has nothing else to do. */
  readonly client: Child;
  /** The end without the library. */
  readonly raw: Child;
  /** Clients of the server that only ping. */
  readonly other: Child;
  readonly #aside: Child;
  told = 0;
  /** The most that was unread from a peer that keeps to its credit. */
  unread = 0;

  private constructor(context: Context, server: Child, client: Child, raw: Child, other: Child, aside: Child) {
    this.context = context;
    this.server = server;
    this.client = client;
    this.raw = raw;
    this.other = other;
    this.#aside = aside;
  }

  static async start(context: Context): Promise<Run> {
    const start = (role: string, config?: unknown, runtime?: RuntimeName): Promise<Child> =>
      context.start(import.meta.url, role, config, runtime);
    const aside = await start("server", {}, "node");
    const server = await start("server");
    const client = await start("client", { aside: aside.told });
    const raw = await start("raw", {}, "node");
    const other = await start("ping", { port: server.told }, "node");
    return new Run(context, server, client, raw, other, aside);
  }

  get pause(): number {
    return this.context.short ? PAUSE.short : PAUSE.full;
  }

  /** How long somebody sends without being read, in milliseconds. */
  get patience(): number {
    return 5 * this.pause;
  }

  /** Tells the figures of one part. `failures` are what does not hold. */
  tell(what: string, figures: readonly string[], failures: readonly string[]): void {
    this.told++;
    const lines = [...figures, ...failures.map((failure) => `NOT SO: ${failure}`)];
    this.context.say(failures.length === 0, `${what}: ${lines.join(", ")}`);
    for (const failure of failures) this.context.verdict.check(false, `${what}: ${failure}`);
  }

  async end(): Promise<void> {
    for (const child of [this.other, this.client, this.server, this.#aside, this.raw]) await child.end();
  }
}

/** One flow of payloads to an end that does not take them for a while. */
interface Flow {
  readonly what: string;
  readonly sender: Child;
  readonly by: "send" | "stream";
  /** Those who ping meanwhile. */
  readonly pings: Child;
  /** The receiver, if it has the library. */
  readonly receiver?: Child;
  hold(): Promise<unknown>;
  release(): Promise<unknown>;
  /** How many bytes of payloads have come. @default not known */
  bytes?(): Promise<number>;
  /** What has come, when all of it is there. */
  came(bytes: number): Promise<Came>;
}

/** Has one end send, and the other one not read; then everything has to arrive. */
async function flow(run: Run, { what, sender, by, pings, receiver, hold, release, bytes, came }: Flow): Promise<void> {
  const failures: string[] = [];
  const check = (holds: boolean, failure: string): void => void (holds || failures.push(failure));
  // Code and buffers are there when memory is looked at.
  await sender.call(by, WARM_UP);
  check(same(await limited(`${what}: the warm-up`, PATIENCE, came(WARM_UP)), expected(WARM_UP)), "the warm-up arrives");

  await sender.call("begin");
  await receiver?.call("begin");
  await pings.call("pings");
  await hold();
  await sender.call(by, BYTES);
  await sleep(run.pause);
  const held = await sender.call<Held>("most");
  const holding = await receiver?.call<Held>("most");
  const given = await sender.call<Given>("given");
  const arrived = await bytes?.() ?? 0;
  const delays = await pings.call<number[]>("pings");
  await release();
  const all = await limited(`${what}: the rest`, PATIENCE, came(BYTES));
  const after = await sender.call<Held>("most");
  const there = await receiver?.call<Held>("most");

  check(same(all, expected(BYTES)), `everything arrives: ${count(all.bytes)} of ${count(BYTES)} bytes`);
  check(!given.done && given.bytes < BYTES / 2, `the sender is held up: ${mib(given.bytes)} given`);
  check(given.error === undefined, `nothing fails: ${given.error}`);
  check(
    after.buffered <= MOST_BUFFERED,
    `stats count at most ${mib(MOST_BUFFERED)} as waiting: ${mib(after.buffered)}`,
  );
  check(after.amount <= MOST_AMOUNT, `a WebSocket has at most ${mib(MOST_AMOUNT)} unsent: ${mib(after.amount)}`);
  check(held.grown <= MOST_GROWN, `the sender grows by at most ${mib(MOST_GROWN)}: ${mib(held.grown)}`);
  if (there !== undefined) {
    run.unread = Math.max(run.unread, there.unread);
    check(there.unread <= MOST_UNREAD, `at most ${mib(MOST_UNREAD)} are unread: ${mib(there.unread)}`);
    check(holding!.grown <= MOST_GROWN, `the receiver grows by at most ${mib(MOST_GROWN)}: ${mib(holding!.grown)}`);
  }
  judgePings(run, delays, check);
  run.tell(what, [
    `given ${mib(given.bytes)} of ${mib(BYTES)}${bytes === undefined ? "" : `, ${mib(arrived)} had come`}`,
    `buffered ${mib(after.buffered)}, unsent ${mib(after.amount)}, RSS +${mib(held.grown)} and +${
      mib(after.grown)
    } at the end`,
    ...there === undefined
      ? []
      : [`receiver: unread ${mib(there.unread)}, RSS +${mib(holding!.grown)} and +${mib(there.grown)} at the end`],
    pingText(delays),
  ], failures);
}

async function deaf(run: Run): Promise<void> {
  const { client, context: { runtime }, other, raw, server } = run;
  const rest = {
    by: "send",
    hold: () => raw.call("pause"),
    release: () => raw.call("resume"),
    bytes: () => raw.call<number>("bytes"),
    came: (bytes: number) => raw.call<Came>("came", bytes),
  } as const;
  await raw.call("connect", { port: server.told, features: {} });
  await flow(run, { what: `a ${runtime} server, a client that stops reading`, sender: server, pings: other, ...rest });
  await raw.call("leave");
  await client.call("connect", await raw.call<number>("listen", {}));
  await flow(run, { what: `a ${runtime} client, a server that stops reading`, sender: client, pings: client, ...rest });
  await client.call("leave");
  await raw.call("leave");
}

async function unread(run: Run): Promise<void> {
  const { context: { runtime, runtimes, start }, other, server } = run;
  for (const name of RUNTIME_NAMES.filter((name) => runtimes.includes(name))) {
    const client = await start(import.meta.url, "client", { aside: server.told }, name);
    await client.call("connect", server.told);
    for (const by of ["send", "stream"] as const) {
      for (const [sender, receiver] of [[server, client], [client, server]] as const) {
        const direction = sender === server ? "to" : "from";
        await flow(run, {
          what: `a ${runtime} server, ${by === "send" ? "messages" : "a stream"} ${direction} a ${name} client`,
          sender,
          receiver,
          by,
          pings: other,
          hold: () => receiver.call("hold"),
          release: () => receiver.call("release"),
          came: (bytes) => by === "send" ? receiver.call<Came>("came", bytes) : sender.call<Came>("arrived"),
        });
      }
    }
    await client.end();
    await server.call("ends");
  }
}

/** Answers that need no credit, twice as many bytes as anybody may hold unread. */
const ANSWERS = [{ count: 1_000, size: 2 ** 16 }, { count: 16, size: 2 ** 22 }, {
  count: 65_536,
  size: 1_000,
}] as const;

async function answers(run: Run): Promise<void> {
  const { context: { runtime, runtimes, start }, other, server } = run;
  for (const name of RUNTIME_NAMES.filter((name) => runtimes.includes(name))) {
    const client = await start(import.meta.url, "client", { aside: server.told }, name);
    await client.call("connect", server.told);
    for (const [one, from] of [[server, "from"], [client, "to"]] as const) {
      const failures: string[] = [];
      const check = (holds: boolean, failure: string): void => void (holds || failures.push(failure));
      await one.call("begin");
      await other.call("pings");
      for (const load of ANSWERS) {
        const came = await one.call<number>("ask", load);
        check(came === load.count, `${came} of ${load.count} answers of ${count(load.size)} bytes came`);
      }
      const { unread } = await one.call<Held>("most");
      const delays = await other.call<number[]>("pings");
      const ends = [...await client.call<End[]>("ends"), ...await server.call<End[]>("ends")];
      check(unread < MOST_KEPT / 2, `less than ${mib(MOST_KEPT / 2)} are unread: ${mib(unread)}`);
      check(ends.length === 0, `nobody is ended: ${ends.map(({ error }) => error).join(", ")}`);
      // So many questions at once take their time.
      check(delays.every(Number.isFinite), "the pings of others are answered");
      run.tell(`a ${runtime} server, answers ${from} a ${name} client`, [
        `unread ${mib(unread)}`,
        pingText(delays),
      ], failures);
    }
    await client.end();
    await server.call("ends");
  }
}

/** What the end without the library offers, and into how many bytes it cuts what it sends. */
const GREEDY = [
  { what: "ignores its credit", features: { credit: { window: 4_194_304, least: 0 } }, size: 2 ** 16 },
  { what: "has no credit", features: {}, size: 2 ** 16 },
  { what: "has no credit and sends small pieces", features: {}, size: 8 },
] as const;

/** The most that may wait unread where a WebSocket cannot be paused, and by how much its process may grow. */
const MOST_KEPT = 32 * 2 ** 20;
const MOST_GROWN_GREEDY = 80 * 2 ** 20;

async function greedy(run: Run): Promise<void> {
  const { client, context: { runtime }, other, raw, server } = run;
  for (const { what, features, size } of GREEDY) {
    await raw.call("connect", { port: server.told, features });
    await flood(run, `a ${runtime} server, a client that ${what}`, server, other, size);
  }
  for (const { what, features, size } of GREEDY) {
    await client.call("connect", await raw.call<number>("listen", features));
    await flood(run, `a ${runtime} client, a server that ${what}`, client, client, size);
  }
}

/** Has the end without the library send more than it may to one whose handlers are busy. */
async function flood(run: Run, what: string, victim: Child, pings: Child, size: number): Promise<void> {
  const { raw } = run;
  const failures: string[] = [];
  const check = (holds: boolean, failure: string): void => void (holds || failures.push(failure));
  await victim.call("hold");
  await victim.call("ends");
  await victim.call("begin");
  await pings.call("pings");
  // Small pieces are many.
  const bytes = size < 2 ** 10 ? BYTES / 4 : BYTES;
  const { sent, code } = await raw.call<Flooded>("flood", { bytes, patience: run.patience, size });
  const delays = await pings.call<number[]>("pings");
  const held = await victim.call<Held>("most");
  let ends: readonly End[] = [];
  const ended = code !== undefined;
  const since = performance.now();
  if (ended) {
    await until(`${what}: the victim knows`, PATIENCE, async () => {
      ends = [...ends, ...await victim.call<End[]>("ends")];
      return ends.length > 0;
    }).catch(() => failures.push("the victim does not know that the connection is over"));
  }
  const known = performance.now() - since;
  await victim.call("release");
  await raw.call("leave");
  if (!ended) {
    await until(`${what}: the victim notices the end`, PATIENCE, async () => {
      ends = [...ends, ...await victim.call<End[]>("ends")];
      return ends.length > 0;
    });
  }
  await victim.call("came", 0);

  check(ended || sent < bytes, `it is ended or held up: ${mib(sent)} of ${mib(bytes)} sent`);
  check(held.unread <= MOST_KEPT + 2 ** 20, `at most ${mib(MOST_KEPT)} wait unread: ${mib(held.unread)}`);
  check(held.grown <= MOST_GROWN_GREEDY, `it grows by at most ${mib(MOST_GROWN_GREEDY)}: ${mib(held.grown)}`);
  judgePings(run, delays, check);
  const fate = ended
    ? `closed with ${code}, known after ${ms(known)}: ${
      ends.map(({ error, reason }) => `${reason}, ${error}`).join("; ")
    }`
    : "held up";
  run.tell(what, [
    `sent ${mib(sent)} of ${mib(bytes)}`,
    fate,
    `unread ${mib(held.unread)}, RSS +${mib(held.grown)}`,
    pingText(delays),
  ], failures);
}

function judgePings(run: Run, delays: readonly number[], check: (holds: boolean, failure: string) => void): void {
  check(delays.length > 0 && delays.every(Number.isFinite), "the pings of others are answered");
  // The short form runs where machines may be slow.
  const p99 = quantile(delays, 0.99);
  check(run.context.short || p99 <= PING_LIMIT, `p99 of the pings of others is at most ${ms(PING_LIMIT)}: ${ms(p99)}`);
}

function pingText(delays: readonly number[]): string {
  return `others' pings ${ms(quantile(delays, 0.5))} and p99 ${ms(quantile(delays, 0.99))} of ${delays.length}`;
}

function same(one: Came, other: Came): boolean {
  return one.bytes === other.bytes && one.digest === other.digest;
}

/** Plays the end without the library. */
function beRaw(): Commands {
  let peer: RawPeer | undefined;
  let coming: Promise<RawPeer> | undefined;
  let close = (): void => {};
  const there = async (): Promise<RawPeer> => peer ??= await coming!;
  return {
    async connect({ port, features }: { port: number; features: Record<string, never> }): Promise<void> {
      peer = await RawPeer.connect(port, features);
    },
    async listen(features: Record<string, never>): Promise<number> {
      peer = undefined;
      const listening = await RawPeer.listen(features);
      coming = listening.peer;
      close = listening.close;
      return listening.port;
    },
    pause: async () => (await there()).pause(),
    resume: async () => (await there()).resume(),
    bytes: async () => (await there()).bytes,
    async came(bytes: number): Promise<Came> {
      const one = await there();
      while (one.bytes < bytes) await sleep(5);
      return one.end();
    },
    async flood({ bytes, patience, size }: { bytes: number; patience: number; size: number }): Promise<Flooded> {
      return await (await there()).flood(bytes, patience, size);
    },
    leave(): void {
      peer?.leave();
      peer = undefined;
      close();
      close = () => {};
    },
    close(): void {
      peer?.leave();
      close();
    },
  };
}

if (import.meta.main) await play({ server: serve, client: talk, raw: beRaw, ping });
