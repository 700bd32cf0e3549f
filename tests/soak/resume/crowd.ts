/**
 * A server and many clients that do little, as processes, for the parts in which their number or their memory matters.
 *
 * @module
 */

import {
  bytes,
  Client,
  type LimitOptions,
  messageType,
  type ResumeOptions,
  Server,
  type ServerResumeOptions,
  type TcpEndpoint,
  text,
} from "@veltix/core";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import process from "node:process";
import { loadTransport } from "../../../src/auto/load_transport.ts";
import type { Connection, Transport } from "../../../src/transport.ts";
import { type Commands, play } from "../../processes/role.ts";
import { sleep } from "../../processes/waiting.ts";
import { RawPeer } from "../attacks/raw_peer.ts";

/** A message of any size, which begins with the digest of the rest. */
const BIG = messageType(300, "big", bytes);
const ASK = messageType(301, "ask", text, text);
const DIGEST = 32;
/** How long an answer may take, in milliseconds. */
const PATIENCE = 60_000;
/** What a client that only leaves says. */
const LEAVER = { credit: { window: 4_194_304, least: 0 }, goaway: {}, resume: { buffer: 65_536 } };

/** What happened to sessions, as one side counts it. */
export interface Counts {
  readonly suspended: number;
  readonly resumed: number;
  /** The reasons of ends. */
  readonly ends: readonly string[];
  readonly answered: number;
  readonly failed: readonly string[];
  /** Large messages that came whole, and others. */
  readonly whole: number;
  readonly broken: number;
}

class Counter implements Counts {
  suspended = 0;
  resumed = 0;
  ends: string[] = [];
  answered = 0;
  failed: string[] = [];
  whole = 0;
  broken = 0;

  take(payload: Uint8Array): void {
    const digest = createHash("sha256").update(payload.subarray(DIGEST)).digest();
    if (Buffer.compare(digest, payload.subarray(0, DIGEST)) === 0) this.whole++;
    else this.broken++;
  }

  counts(): Counts {
    const { suspended, resumed, ends, answered, failed, whole, broken } = this;
    return { suspended, resumed, ends, answered, failed, whole, broken };
  }
}

/** A payload of a size. */
function big(size: number): Uint8Array {
  const payload = new Uint8Array(size);
  for (let at = DIGEST; at < size; at += 1_021) payload[at] = Math.floor(Math.random() * 256);
  payload.set(createHash("sha256").update(payload.subarray(DIGEST)).digest());
  return payload;
}

/** What a crowd's server is made with. */
export interface CrowdServerConfig {
  readonly resume: ServerResumeOptions;
  readonly limits?: LimitOptions & { readonly maxConnections?: number };
}

async function serve({ resume, limits }: CrowdServerConfig): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1", resume, ...limits });
  const counter = new Counter();
  /** Those who have said something. */
  const known = new Set<number>();
  const refusals: Record<string, number> = {};
  server.route(ASK, ({ data }, client) => {
    known.add(client.id);
    return data;
  });
  server.route(BIG, ({ data }) => counter.take(data));
  server.on("suspended", ({ id }) => void (known.has(id) && counter.suspended++));
  server.on("resumed", ({ id }) => void (known.has(id) && counter.resumed++));
  server.on("disconnect", ({ id }, { reason }) => void (known.has(id) && counter.ends.push(reason)));
  server.on("rejected", ({ reason }) => void (refusals[reason] = (refusals[reason] ?? 0) + 1));
  server.on("error", (error) => void counter.failed.push(String(error)));
  await server.start();
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    counts: () => counter.counts(),
    stats: () => server.stats(),
    refusals: () => refusals,
    /** Sends messages of a size to each client, to each its own. Returns how many it could. */
    send({ size, times = 1 }: { size: number; times?: number }): number {
      let sent = 0;
      for (const client of server.clients) {
        for (let i = 0; i < times; i++) {
          client.send(BIG, big(size));
          sent++;
        }
      }
      return sent;
    },
    async memory(): Promise<number> {
      const { Bun, gc } = globalThis as { Bun?: { gc(force: boolean): void }; gc?(): void };
      for (let i = 0; i < 3; i++) {
        Bun?.gc(true);
        gc?.();
        await sleep(50);
      }
      return process.memoryUsage.rss();
    },
    close: () => server.close({ drain: 1_000 }),
  };
}

/** What a crowd is made with. */
export interface CrowdConfig {
  readonly port: number;
  readonly clients: number;
  readonly resume?: ResumeOptions;
}

async function come({ port, clients: size, resume = {} }: CrowdConfig): Promise<Commands> {
  const counter = new Counter();
  let closing = false;
  let stopped = false;
  const loops: Promise<void>[] = [];
  const clients = Array.from(
    { length: size },
    () => new Client({ port, reconnect: { delay: 200, maxDelay: 1_000 }, resume }),
  );
  for (const client of clients) {
    client.route(BIG, ({ data }) => counter.take(data));
    client.on("suspended", () => void counter.suspended++);
    client.on("resumed", () => void counter.resumed++);
    client.on("disconnect", ({ reason, error }) => void (closing || counter.ends.push(`${reason}: ${error}`)));
    client.on("error", (error) => void counter.failed.push(String(error)));
  }
  const ask = async (client: Client, question: string): Promise<void> => {
    try {
      const answer = await client.request(ASK, question, { timeout: PATIENCE });
      if (answer === question) counter.answered++;
      else counter.failed.push(`"${question}" got "${answer}"`);
    } catch (error) {
      counter.failed.push(String(error));
    }
  };
  for (let at = 0; at < size; at += 50) await Promise.all(clients.slice(at, at + 50).map((client) => client.connect()));
  let asked = 0;
  return {
    counts: () => counter.counts(),
    states: () =>
      Object.fromEntries(Map.groupBy(clients, ({ state }) => state).entries().map(([k, v]) => [k, v.length])),
    /** Each asks once, and gets its answer. */
    ask: () => Promise.all(clients.map((client) => ask(client, `${asked++}`))).then(() => {}),
    /** Each asks over and over, with a pause. */
    steady(pause: number): void {
      for (const client of clients) {
        loops.push((async () => {
          while (!stopped) {
            await ask(client, `${asked++}`);
            await sleep(pause * Math.random() * 2);
          }
        })());
      }
    },
    async halt(): Promise<number> {
      stopped = true;
      await Promise.all(loops);
      return asked;
    },
    send({ size }: { size: number }): void {
      for (const client of clients) client.send(BIG, big(size));
    },
    close(): Promise<unknown> {
      closing = true;
      return Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** A client that aborts its own connections, and measures how long it takes to come back. */
async function comeBack({ port }: { port: number }): Promise<Commands> {
  const sockets = await loadTransport("auto");
  let newest!: Connection;
  let there = 0;
  const transport: Transport = {
    name: sockets.name,
    eventLoop: sockets.eventLoop,
    listen: (at, options) => sockets.listen(at, options),
    async connect(to, options): Promise<Connection> {
      newest = await sockets.connect(to, options);
      there = performance.now();
      return newest;
    },
  };
  let resumed = (): void => {};
  const client = new Client({ port, transport, reconnect: { delay: 20, maxDelay: 40 }, resume: true });
  client.on("resumed", () => resumed());
  await client.connect();
  return {
    /** Comes back so many times. Returns how long it took each time from the connection on, in milliseconds. */
    async times(count: number): Promise<number[]> {
      const took: number[] = [];
      for (let i = 0; i < count; i++) {
        await client.request(ASK, `${i}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        resumed = resolve;
        newest.abort();
        await promise;
        took.push(performance.now() - there);
      }
      return took;
    },
    close: () => client.close(),
  };
}

interface LeaversConfig {
  readonly port: number;
}

/** Peers without the library that connect and leave once they have been let in. */
function leave({ port }: LeaversConfig): Commands {
  return {
    /** Returns how many were let in, and how many were not. */
    async leave({ count, besides }: { count: number; besides: number }): Promise<[number, number]> {
      let left = count;
      const came: [number, number] = [0, 0];
      await Promise.all(Array.from({ length: besides }, async () => {
        while (left-- > 0) {
          const peer = await RawPeer.open({ port, features: LEAVER });
          came[peer === undefined ? 1 : 0]++;
          peer?.leave();
        }
      }));
      return came;
    },
    close: () => {},
  };
}

if (import.meta.main) await play({ server: serve, crowd: come, comer: comeBack, leavers: leave });
