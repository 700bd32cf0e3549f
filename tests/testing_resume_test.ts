/**
 * The library under `simulate`: clients with resumption and servers that crash, on a network that cuts, holds, delays and
 * splits. Nothing comes twice, all comes in order, and what the sender counts is true.
 *
 * VELTIX_SEED is the first seed, or the only one; VELTIX_SEEDS is how many are run.
 *
 * @module
 */

import { describe, it } from "@std/testing/bdd";
import process from "node:process";
import { type Client, type ConnectedClient, json, messageType, RemoteError, streamType, VeltixError } from "../mod.ts";
import { simulate, type SimulatedServer, type SimulatedWorld } from "../src/testing/mod.ts";
import { rounds, RUNTIME_INDEX } from "./wire_support.ts";

interface Item {
  readonly who: number;
  readonly n: number;
  readonly pad: string;
}

const UP = messageType(200, "up", json<Item>());
const DOWN = messageType(201, "down", json<Item>());
const ASK = messageType(202, "ask", json<Item>(), json<number>());

const UPLOAD = streamType(300, "upload", { head: json<null>(), result: json<{ size: number; sum: number }>() });
const ITEMS = streamType(301, "items", { head: json<number>(), down: json<number>() });

const KEEP = 12_000;
const CLIENTS = 2;

/** What a server saw of one session of a client. */
interface Session {
  readonly who: number | undefined;
  last: number | undefined;
  /** The messages that were sent to it. */
  sent: number;
}

/** One client, and what it knows of its messages. */
class Participant {
  readonly who: number;
  readonly world: SimulatedWorld;
  client: Client | undefined;
  /** The messages that `send` took, and those whose fate a `disconnect` event told. */
  taken = 0;
  readonly fates: ("delivered" | "uncertain" | "lost")[] = [];
  /** The messages of the current session of the server that came. */
  came = 0;
  asked = 0;
  settled = 0;
  readonly answered: number[] = [];

  constructor(who: number, world: SimulatedWorld) {
    this.who = who;
    this.world = world;
  }

  async connect(server: SimulatedServer): Promise<void> {
    const { random } = this.world;
    const config = { resume: true, queueWhileDown: true, maxQueuedBytes: random.pick([20_000, 4_000_000]) };
    this.client = await this.world.connect(server, config, (client) => {
      client.on("connect", () => void (this.came = 0));
      client.on("disconnect", ({ messages }) => {
        const { delivered, expired, lost, queued, replaced, uncertain } = messages!;
        this.world.check("nothing expires", expired + replaced === 0, messages);
        for (const [fate, count] of [["delivered", delivered], ["uncertain", uncertain], ["lost", lost]] as const) {
          for (let i = 0; i < count; i++) this.fates.push(fate);
        }
        this.world.check("each message is counted", this.fates.length + queued === this.taken, { ...messages });
      });
      client.route(DOWN, ({ data }) => {
        this.world.check("messages of a server come once and in order", data.n === this.came, [data.n, this.came]);
        this.came++;
      });
    });
  }

  send(count: number, size: number): void {
    for (let i = 0; i < count; i++) {
      try {
        const pad = "x".repeat(this.world.random.below(size + 1));
        this.client!.send(UP, { who: this.who, n: this.taken, pad });
      } catch {
        return;
      }
      this.taken++;
    }
  }

  ask(): void {
    const n = this.asked++;
    const request = this.client!.request(ASK, { who: this.who, n, pad: "" }, { timeout: 60_000 });
    request.then((answer) => {
      this.settled++;
      this.answered.push(n);
      this.world.check("an answer is that of its request", answer === n, [answer, n]);
    }, (error) => {
      this.settled++;
      this.world.check("no handler fails", !(error instanceof RemoteError), error);
    });
  }
}

async function program(world: SimulatedWorld): Promise<void> {
  const { check: holds, random } = world;
  const participants = Array.from({ length: CLIENTS }, (_, who) => new Participant(who, world));
  const came = participants.map(() => new Set<number>());
  const asked = participants.map(() => new Set<number>());
  const sessions = new Map<ConnectedClient, Session>();
  let unhandled = 0;
  const server = await world.serve({ resume: { keep: KEEP } }, (server) => {
    server.on("connect", (client) => void sessions.set(client, { who: undefined, last: undefined, sent: 0 }));
    server.on("disconnect", (_client, info) => void (unhandled += info.unhandled));
    server.route(UP, ({ data: { n, who } }, client) => {
      const session = sessions.get(client)!;
      holds("no message comes twice", !came[who].has(n), [who, n]);
      holds("a session has no gap", session.last === undefined || n === session.last + 1, [session.last, n]);
      came[who].add(n);
      session.last = n;
    });
    server.route(ASK, ({ data: { n, who } }) => {
      holds("no request comes twice", !asked[who].has(n), [who, n]);
      asked[who].add(n);
      return n;
    });
  });
  await Promise.all(participants.map((participant) => participant.connect(server)));
  for (let step = 0; step < 30; step++) {
    const participant = random.pick(participants);
    const size = random.pick([0, 50, 500]);
    switch (random.below(4)) {
      case 0:
        participant.send(1 + random.below(8), size);
        break;
      case 1:
        participant.ask();
        break;
      case 2:
        participant.send(40, 1_200);
        break;
      case 3:
        for (const client of server.server.clients) {
          const session = sessions.get(client)!;
          try {
            client.send(DOWN, { who: -1, n: session.sent, pad: "x".repeat(random.below(size + 1)) });
            session.sent++;
          } catch {
            // It is being closed, or too much waits already.
          }
        }
    }
    await world.clock.sleep(random.pick([0, 1, 10, 100, 1_000, 3_000]));
  }
  await world.calm();
  await world.clock.sleep(2 * KEEP + 90_000);
  for (const { answered, asked: all, client, fates, settled, taken, who } of participants) {
    holds("a client is connected in the end", client!.state === "connected", client!.state);
    holds("every request is settled", settled === all, [settled, all]);
    holds("what was answered was handled", answered.every((n) => asked[who].has(n)), answered);
    const missing = Array.from({ length: taken }, (_, n) => n).filter((n) => !came[who].has(n));
    const told = missing.filter((n) => n < fates.length);
    holds("what no event told of has come", told.length === missing.length, missing.filter((n) => n >= fates.length));
    const broken = missing.filter((n) => fates[n] === "delivered");
    holds("what is delivered was received", broken.length <= unhandled, [broken, unhandled]);
    const alive = fates.flatMap((fate, n) => fate === "lost" && came[who].has(n) ? [n] : []);
    holds("what is lost was not received", alive.length === 0, alive);
  }
}

/** A sum that depends on the order of the bytes. */
function sumOf(bytes: Uint8Array, before: number): number {
  let sum = before;
  for (const byte of bytes) sum = (sum * 31 + byte) >>> 0;
  return sum;
}

/** Streams both ways. None ends wrong: it is complete, or it fails because its session is lost. */
async function streaming(world: SimulatedWorld): Promise<void> {
  const { check, random } = world;
  const server = await world.serve({ resume: { keep: 60_000 } }, (server) => {
    server.stream(UPLOAD, async ({ readable }) => {
      let [size, sum] = [0, 0];
      for await (const part of readable) [size, sum] = [size + part.length, sumOf(part, sum)];
      return { size, sum };
    });
    server.stream(ITEMS, async function* ({ head }): AsyncGenerator<number> {
      for (let n = 0; n < head; n++) yield n;
    });
  });
  const client = await world.connect(server, { resume: true });
  const upload = async (size: number): Promise<void> => {
    const stream = client.open(UPLOAD, null);
    stream.result.catch(() => {});
    const writer = stream.writable.getWriter();
    let sum = 0;
    for (let at = 0; at < size;) {
      const part = new Uint8Array(Math.min(size - at, 1 + random.below(30_000))).fill(random.below(256));
      sum = sumOf(part, sum);
      at += part.length;
      await writer.write(part);
    }
    await writer.close();
    const result = await stream.result;
    check("all bytes came once and in order", result.size === size && result.sum === sum, { result, size, sum });
  };
  const download = async (count: number): Promise<void> => {
    let next = 0;
    for await (const n of client.open(ITEMS, count).readable) check("items come in order", n === next++, [n, next - 1]);
    check("all items came", next === count, [next, count]);
  };
  let [failures, lost] = [0, 0];
  client.on("disconnect", () => void lost++);
  const failed = (error: unknown): void => {
    check("a stream fails with an error of the library", error instanceof VeltixError, error);
    failures++;
  };
  const all: Promise<void>[] = [];
  for (let i = 0; i < 5; i++) {
    all.push(upload(random.below(100_000)).catch(failed), download(random.below(200)).catch(failed));
    await world.clock.sleep(random.below(3_000));
  }
  await world.clock.sleep(random.below(10_000));
  await world.calm();
  await Promise.all(all);
  check("streams fail only with their session", failures === 0 || lost > 0, failures);
}

describe("servers and clients with resumption, under simulate()", () => {
  const { VELTIX_SEED: given, VELTIX_SEEDS: many } = process.env;
  const runs = many !== undefined ? Number(many) : given !== undefined ? 1 : rounds(1_000);
  const from = given !== undefined ? Number(given) : 1 + RUNTIME_INDEX * 334;
  for (let first = from; first < from + runs; first += 50) {
    const some = Math.min(50, from + runs - first);
    it(`keep their promises, seeds ${first} to ${first + some - 1}`, async () => {
      await simulate({ from: first, runs: some }, program);
    });

    it(`keep those of their streams, from seed ${first} on`, async () => {
      await simulate({ from: first, runs: Math.ceil(some / 5) }, streaming);
    });
  }
});
