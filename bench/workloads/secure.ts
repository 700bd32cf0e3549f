/**
 * What protection costs: large and small messages one way, round trips and handshakes, in plain, encrypted, over TLS and
 * through bare `node:tls`. Both ends run in one process.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { connect as connectTls, createServer, type TLSSocket } from "node:tls";
import {
  bytes,
  Client,
  type ClientConfig,
  messageType,
  Server,
  type ServerConfig,
  type TcpEndpoint,
} from "../../mod.ts";
import { Identity } from "../../src/encryption/identity.ts";
import { median } from "../statistics.ts";
import type { Context, Figures, Workload } from "../workload.ts";

const DATA = messageType(200, "data", bytes);
const ECHO = messageType(201, "echo", bytes, bytes);
const HOST = "127.0.0.1";
const LARGE = 64 * 1024;
const SMALL = 64;
/** How many small messages are sent before the receiver is waited for. */
const BATCH = 1_000;

const pem = (name: string): string =>
  readFileSync(new URL(`../../tests/certificates/${name}`, import.meta.url), "utf8");

/** See the module. */
export const secure: Workload = async (context): Promise<Figures> => {
  if (context.config.subject !== "veltix") return {};
  const identity = await Identity.generate();
  const figures: Record<string, number> = {};
  const kinds: readonly [name: string, server: ServerConfig, client: ClientConfig][] = [
    ["plain", {}, {}],
    ["noise", { encryption: { identity } }, { encryption: { trust: identity.publicKey } }],
    ["tls", { tls: { cert: pem("server.crt"), key: pem("server.key") } }, { tls: { ca: pem("ca.crt") } }],
  ];
  for (const [name, server, client] of kinds) {
    context.say(`secure: ${name}`);
    Object.assign(figures, named(name, await measure(context, server, client)));
  }
  Object.assign(figures, named("node:tls", await bare(context)));
  return figures;
};

function named(name: string, { large, small, trip, handshakes }: Figures): Figures {
  const figures = { "64 KiB": large, "64 B": small, "round trip p50": trip, "handshakes": handshakes };
  return Object.fromEntries(
    Object.entries(figures).filter(([, value]) => value !== undefined).map((
      [figure, value],
    ) => [`secure ${figure}: ${name}`, value]),
  );
}

async function measure(context: Context, protect: ServerConfig, trust: ClientConfig): Promise<Figures> {
  const { pace } = context;
  await using server = new Server({ port: 0, hostname: HOST, ...protect });
  let received = 0;
  let wanted = Infinity;
  let arrived = (): void => {};
  server.route(DATA, ({ data }) => {
    received += data.length;
    if (received >= wanted) arrived();
  });
  server.route(ECHO, ({ data }) => data);
  await server.start();
  const { port } = server.addresses[0] as TcpEndpoint;
  const connect = async (): Promise<Client> => {
    const client = new Client({ port, hostname: HOST, ...trust });
    await client.connect();
    return client;
  };
  await using client = await connect();

  /** Sends batches of messages for so long. Returns how many a second. */
  const rate = async (size: number, batch: number, ms: number): Promise<number> => {
    const payload = new Uint8Array(size).fill(7);
    let count = 0;
    const start = performance.now();
    do {
      received = 0;
      wanted = batch * size;
      const all = new Promise<void>((resolve) => arrived = resolve);
      for (let i = 0; i < batch; i++) if (!client.send(DATA, payload)) await client.ready();
      await all;
      count += batch;
    } while (performance.now() - start < ms);
    return count / ((performance.now() - start) / 1_000);
  };
  await rate(LARGE, 64, pace.warmUp);
  const large = await rate(LARGE, 64, pace.measure) * LARGE;
  await rate(SMALL, BATCH, pace.warmUp);
  const small = await rate(SMALL, BATCH, pace.measure);

  const trips: number[] = [];
  const payload = new Uint8Array(SMALL);
  for (const end = performance.now() + pace.measure; performance.now() < end;) {
    const from = performance.now();
    await client.request(ECHO, payload);
    trips.push((performance.now() - from) * 1_000);
  }
  const handshakes = await rateOf(pace.measure, async () => {
    const one = await connect();
    await one.close({ drain: 0 });
  });
  return { large, small, trip: median(trips), handshakes };
}

/** Bare `node:tls`: pieces of 64 KiB, and handshakes. */
async function bare({ pace }: Context): Promise<Figures> {
  let received = 0;
  let wanted = Infinity;
  let arrived = (): void => {};
  const server = createServer({ cert: pem("server.crt"), key: pem("server.key"), minVersion: "TLSv1.3" }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      received += chunk.length;
      if (received >= wanted) arrived();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  const connect = (): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ port, host: HOST, ca: pem("ca.crt") }, () => resolve(socket));
      socket.on("error", reject);
    });
  const socket = await connect();
  const piece = new Uint8Array(LARGE);
  const once = async (): Promise<void> => {
    received = 0;
    wanted = 64 * LARGE;
    const all = new Promise<void>((resolve) => arrived = resolve);
    for (let i = 0; i < 64; i++) await new Promise((resolve) => socket.write(piece, resolve));
    await all;
  };
  await rateOf(pace.warmUp, once);
  const large = await rateOf(pace.measure, once) * 64 * LARGE;
  const handshakes = await rateOf(pace.measure, async () => {
    const one = await connect();
    await new Promise((resolve) => one.once("close", resolve).destroy());
  });
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  return { large, handshakes };
}

/** Returns how often a second something can be done, one after the other. */
async function rateOf(ms: number, run: () => Promise<void>): Promise<number> {
  let count = 0;
  const start = performance.now();
  do {
    await run();
    count++;
  } while (performance.now() - start < ms);
  return count / ((performance.now() - start) / 1_000);
}
