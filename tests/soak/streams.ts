/**
 * Much goes through streams, one and sixteen at once, between the runtime under test as the server and each runtime as the
 * client: it arrives as it was sent, takes no memory, and holds up neither its own connection nor others.
 *
 * @module
 */

import { bytes, Client, json, messageType, Server, streamType, type TcpEndpoint, text } from "@veltix/core";
import { createHash, type Hash } from "node:crypto";
import { type AddressInfo, connect as connectBare, createServer, type Socket } from "node:net";
import process from "node:process";
import { RUNTIME_NAMES, type RuntimeName } from "../../scripts/runtimes.ts";
import { type Commands, play } from "../processes/role.ts";
import { mib, ms, quantile } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

/** What goes through one stream: so many bytes, told apart by a number. */
interface Load {
  readonly bytes: number;
  readonly seed: number;
}

const UP = streamType(200, "up", { head: json<Load>(), down: false, result: text });
const DOWN = streamType(201, "down", { head: json<Load>(), up: false, result: text });
const MESSAGE = messageType(202, "message", bytes);
/** Asks for the digest of the messages since the last time, once so many bytes have come. */
const DIGEST = messageType(203, "digest", json<number>(), text);

const PIECE = 65_536;
const GIB = 2 ** 30;
/** What goes through of each kind before it is measured. */
const WARM_UP = 2 ** 28;
/** The most that a process may grow by beyond the most that it took while it warmed up, in bytes. */
const GROWTH = 32 * 2 ** 20;
/** A ping every so many milliseconds. */
const PACE = 10;
/** The most that 99 of 100 pings may take, in milliseconds: of the same connection, and of another one. */
const OWN = 50;
const OTHER = 10;

/**
 * What goes one after the other: through one stream or several, to the server or from it, as messages, or through a bare
 * socket. What pings take beside that one is the machine's doing: three processes share its processors.
 */
const KINDS = ["bare", "one up", "one down", "sixteen up", "sixteen down", "messages"] as const;
type Kind = typeof KINDS[number];

/** Where a server listens: with the library, and with a bare socket. */
interface Ports {
  readonly port: number;
  readonly bare: number;
}

/** The first byte on a bare connection: what follows is to be sent back, or its digest is to be told at its end. */
const ECHO = 1;
const DIGESTED = 2;

interface Run {
  readonly kind: Kind;
  readonly bytes: number;
}

/** What came of a run. */
interface Ran {
  /** How many streams did not arrive as they were sent. */
  readonly different: number;
  readonly seconds: number;
  readonly pings: readonly number[];
}

/** See the module. */
export const streams: Scenario = {
  name: "streams",
  limit: { short: 120_000, full: 900_000 },
  async run({ short, runtimes, start, verdict }: Context): Promise<string> {
    const figures: string[] = [];
    for (const runtime of RUNTIME_NAMES.filter((name) => runtimes.includes(name))) {
      figures.push(await pair(runtime));
    }
    return figures.join("; ");

    async function pair(runtime: RuntimeName): Promise<string> {
      const total = short ? 2 ** 26 : GIB;
      const server = await start(import.meta.url, "server");
      const client = await start(import.meta.url, "client", server.told, runtime);
      const other = await start(import.meta.url, "other", server.told);
      /** Moves so many bytes. Returns what came of it, and the most memory of the server and of the client. */
      const run = async (kind: Kind, bytes: number): Promise<[Ran, number, number]> => {
        for (const child of [server, client]) await child.call("watch");
        const ran = await client.call<Ran>("run", { kind, bytes } satisfies Run);
        return [ran, await server.call<number>("most"), await client.call<number>("most")];
      };
      const told: string[] = [];
      const others = new Map<Kind, number>();
      for (const kind of KINDS) {
        const [, hereBefore, thereBefore] = await run(kind, short ? 2 ** 24 : WARM_UP);
        const way = kind === "bare" ? "bare pings" : "pings";
        await other.call(way);
        const [{ different, pings, seconds }, hereAfter, thereAfter] = await run(kind, total);
        const beside = quantile(await other.call<number[]>(way), 0.99);
        const here = Math.max(0, hereAfter - hereBefore);
        const there = Math.max(0, thereAfter - thereBefore);
        others.set(kind, beside);
        const what = `${runtime} client, ${kind}`;
        verdict.check(different === 0, `${what}: everything arrives as it was sent: ${different} did not`);
        const own = kind === "bare" ? undefined : quantile(pings, 0.99);
        if (!short && kind !== "messages" && own !== undefined) {
          const most = Math.max(OTHER, 2 * others.get("bare")!);
          verdict.check(here < GROWTH, `${what}: the server grows by less than 32 MiB: ${mib(here)}`);
          verdict.check(there < GROWTH, `${what}: the client grows by less than 32 MiB: ${mib(there)}`);
          verdict.check(own < OWN, `${what}: p99 of pings of the same connection below ${OWN} ms: ${ms(own)}`);
          verdict.check(
            beside <= most,
            `${what}: p99 of pings of another client at most ${OTHER} ms, or twice that beside a bare socket, ` +
              `${ms(others.get("bare")!)}: ${ms(beside)}`,
          );
        }
        told.push(
          `${kind} ${mib(total / seconds)}/s, +${mib(here)} and +${mib(there)}, ` +
            `pings p99 ${own === undefined ? "" : `${ms(own)}, `}another client's ${ms(beside)}`,
        );
      }
      const messages = others.get("messages")!;
      for (const [kind, p99] of others) {
        verdict.check(
          short || kind === "bare" || p99 <= 2 * messages,
          `${runtime} client, ${kind}: another client's p99 is at most twice that beside messages: ` +
            `${ms(p99)}, ${ms(messages)}`,
        );
      }
      for (const child of [other, client, server]) await child.end();
      return `${runtime} client: ${told.join(" | ")}`;
    }
  },
};

/** Watches the memory of this process. */
class Memory {
  #most = 0;
  #timer: ReturnType<typeof setInterval> | undefined = undefined;

  /**
   * Begins anew; returns what is resident. Garbage counts: what a busy process holds of it until it is collected belongs to
   * what it holds anyway, and does not grow with the bytes that go through.
   */
  watch(): number {
    const now = this.#most = process.memoryUsage.rss();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#most = Math.max(this.#most, process.memoryUsage.rss()), 50);
    return now;
  }

  /** Ends; returns the most that was resident. */
  most(): number {
    clearInterval(this.#timer);
    return this.#most;
  }
}

/** The bytes of a load, the same at every place; `digest` is theirs at the end. The array is used again for the next. */
function* piecesOf({ bytes, seed }: Load, digest: Hash): Generator<Uint8Array> {
  const piece = new Uint8Array(PIECE);
  const numbers = new DataView(piece.buffer);
  for (let i = 0, state = seed >>> 0; i < PIECE / 4; i++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    numbers.setUint32(4 * i, state);
  }
  for (let left = bytes, count = 0; left > 0; left -= PIECE, count++) {
    numbers.setUint32(0, count);
    numbers.setUint32(PIECE / 2, ~count);
    const part = piece.subarray(0, Math.min(left, PIECE));
    digest.update(part);
    yield part;
  }
}

async function digestOf(readable: ReadableStream<Uint8Array>): Promise<string> {
  const digest = createHash("sha256");
  for await (const chunk of readable) digest.update(chunk);
  return digest.digest("hex");
}

async function serve(): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  const memory = new Memory();
  server.stream(UP, ({ readable }) => digestOf(readable));
  server.stream(DOWN, async function* ({ head }): AsyncGenerator<Uint8Array, string> {
    const digest = createHash("sha256");
    yield* piecesOf(head, digest);
    return digest.digest("hex");
  });
  let digest = createHash("sha256");
  let received = 0;
  let wanted = Infinity;
  let arrived = (): void => {};
  server.route(MESSAGE, ({ content }) => {
    digest.update(content);
    received += content.length;
    if (received >= wanted) arrived();
  });
  server.route(DIGEST, async ({ data }) => {
    wanted = data;
    if (received < wanted) await new Promise<void>((resolve) => arrived = resolve);
    const hex = digest.digest("hex");
    [digest, received, wanted] = [createHash("sha256"), 0, Infinity];
    return hex;
  });
  await server.start();
  const sockets = new Set<Socket>();
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serveBare(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = server.addresses[0] as TcpEndpoint;
  return {
    ready: { port, bare: (listener.address() as AddressInfo).port } satisfies Ports,
    watch: () => memory.watch(),
    most: () => memory.most(),
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
      await server.close();
    },
  };
}

/** Does what the first byte of a connection says. */
function serveBare(socket: Socket): void {
  socket.setNoDelay(true);
  socket.once("data", (first) => {
    if (first[0] === ECHO) {
      if (first.length > 1) socket.write(first.subarray(1));
      socket.on("data", (chunk) => socket.write(chunk));
      socket.on("end", () => socket.end());
      return;
    }
    const digest = createHash("sha256").update(first.subarray(1));
    socket.on("data", (chunk) => void digest.update(chunk));
    socket.on("end", () => socket.end(digest.digest("hex")));
  });
}

/** Connects a bare socket and says what follows. */
async function openBare(port: number, first: number): Promise<Socket> {
  const socket = connectBare(port, "127.0.0.1");
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.setNoDelay(true);
  socket.write(new Uint8Array([first]));
  return socket;
}

/** Pings while something goes on. */
class Pings {
  readonly #ping: () => Promise<unknown>;
  #taken: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined = undefined;

  /** @param ping Resolves when the answer has come. */
  constructor(ping: () => Promise<unknown>) {
    this.#ping = ping;
  }

  start(): void {
    this.#timer = setInterval(() => {
      const start = performance.now();
      void this.#ping().then(() => this.#taken.push(performance.now() - start));
    }, PACE);
  }

  /** Returns what they took since the last time. */
  take(): number[] {
    const taken = this.#taken;
    this.#taken = [];
    return taken;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function send({ port, bare }: Ports): Promise<Commands> {
  const client = new Client({ port });
  const memory = new Memory();
  await client.connect();
  /** Sends or receives one load; returns whether it arrived as it was sent. */
  const up = async (load: Load): Promise<boolean> => {
    const digest = createHash("sha256");
    const { result, writable } = client.open(UP, load);
    const writer = writable.getWriter();
    for (const piece of piecesOf(load, digest)) await writer.write(piece);
    await writer.close();
    return await result === digest.digest("hex");
  };
  const down = async (load: Load): Promise<boolean> => {
    const { readable, result } = client.open(DOWN, load);
    return await digestOf(readable) === await result;
  };
  const messages = async (load: Load): Promise<boolean> => {
    const digest = createHash("sha256");
    // Content that is sent must not change.
    for (const piece of piecesOf(load, digest)) if (!client.send(MESSAGE, piece.slice())) await client.ready();
    return await client.request(DIGEST, load.bytes, { timeout: 60_000 }) === digest.digest("hex");
  };
  const throughSocket = async (load: Load): Promise<boolean> => {
    const digest = createHash("sha256");
    const socket = await openBare(bare, DIGESTED);
    let told = "";
    socket.setEncoding("latin1").on("data", (text) => told += text);
    const closed = new Promise<void>((resolve, reject) => socket.once("close", resolve).once("error", reject));
    // What a socket has not sent yet must not change.
    for (const piece of piecesOf(load, digest)) {
      if (!socket.write(piece.slice())) await new Promise<void>((resolve) => socket.once("drain", resolve));
    }
    socket.end();
    await closed;
    return told === digest.digest("hex");
  };
  return {
    watch: () => memory.watch(),
    most: () => memory.most(),
    async run({ kind, bytes }: Run): Promise<Ran> {
      const pings = new Pings(() => client.ping());
      pings.start();
      const start = performance.now();
      const move = kind === "bare" ? throughSocket : kind === "messages" ? messages : kind.endsWith("up") ? up : down;
      const count = kind.startsWith("sixteen") ? 16 : 1;
      const loads = Array.from({ length: count }, (_, i): Load => ({ bytes: bytes / count, seed: i }));
      const equal = await Promise.all(loads.map(move));
      const seconds = (performance.now() - start) / 1_000;
      pings.stop();
      return { different: equal.filter((same) => !same).length, seconds, pings: pings.take() };
    },
    close: () => client.close(),
  };
}

async function ping({ port, bare }: Ports): Promise<Commands> {
  const client = new Client({ port });
  await client.connect();
  const pings = new Pings(() => client.ping());
  pings.start();
  const socket = await openBare(bare, ECHO);
  const waiting: (() => void)[] = [];
  socket.on("data", (chunk) => {
    for (let i = 0; i < chunk.length; i++) waiting.shift()?.();
  });
  const barePings = new Pings(() => {
    socket.write(new Uint8Array(1));
    return new Promise<void>((resolve) => waiting.push(resolve));
  });
  barePings.start();
  return {
    pings: () => pings.take(),
    "bare pings": () => barePings.take(),
    close(): Promise<void> {
      pings.stop();
      barePings.stop();
      socket.destroy();
      return client.close();
    },
  };
}

if (import.meta.main) await play({ server: serve, client: send, other: ping });
