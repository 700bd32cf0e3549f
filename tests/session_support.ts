/**
 * What the tests of sessions, servers and clients share: a world of memory or of real sockets with time that only the test
 * moves, peers that speak bytes by hand, and events that can be waited for.
 *
 * @module
 */

import { FeatureSet } from "../src/session/feature.ts";
import { assertEquals } from "@std/assert";
import { Client, type ClientConfig, Server, type ServerConfig } from "../mod.ts";
import { FakeClock, memoryTransport } from "../src/adapters/memory.ts";
import type { MemoryOptions } from "../src/adapters/memory_network.ts";
import { COMMON_OPTIONS, limitsOf } from "../src/app/config.ts";
import { readOptions } from "../src/base/checks.ts";
import { runtimeLoop } from "../src/adapters/runtime_loop.ts";
import { readTuning } from "../src/app/tuning.ts";
import { Routes } from "../src/app/routes.ts";
import { makeShared, type PeerShared } from "../src/app/shared.ts";
import type { Address, TcpEndpoint } from "../src/base/address.ts";
import { anyLoop } from "../src/base/event_loop.ts";
import type { Clock, Connection, EventLoop, Listener, Transport } from "../src/transport.ts";
import { DecodedFrame } from "../src/wire/decoded_frame.ts";
import { FrameDecoder } from "../src/wire/decoder.ts";
import { encodeFrame, sealFrame } from "../src/wire/encoder.ts";
import { SystemCode } from "../src/wire/frame.ts";
import { helloFrame, helloVersion } from "../src/wire/python/hello_frames.ts";
import { type Protocol, protocol } from "../src/wire/protocols.ts";
import { join, utf8 } from "./wire_support.ts";

export const HOST = "127.0.0.1";

/** An id of a release whose ids are UUIDs. */
export const UUID = "00112233-4455-4677-8899-aabbccddeeff";

/** Where a test happens. */
export interface World {
  readonly clock: FakeClock;
  readonly transport: Transport;
}

/** A kind of world. */
export interface WorldKind {
  readonly name: string;
  make(options?: Omit<MemoryOptions, "clock">): Promise<World>;
}

/** Clocks of networks inside the program, which know when all that can happen has happened. */
const INSIDE = new WeakSet<FakeClock>();

/** Clocks beside real sockets, which nobody can ask whether all has happened that can. */
const OUTSIDE = new WeakSet<FakeClock>();

/** A network inside the program. */
export function memoryWorld(options: Omit<MemoryOptions, "clock"> = {}): World {
  const clock = new FakeClock();
  INSIDE.add(clock);
  return { clock, transport: withTime(memoryTransport({ ...options, clock }), clock) };
}

/** The sockets of this runtime, with time that only the test moves. */
export async function realWorld(): Promise<World> {
  const clock = new FakeClock();
  OUTSIDE.add(clock);
  return { clock, transport: withTime(await realTransport(), clock) };
}

/** A transport whose time is that of a clock. */
export function withTime(transport: Transport, clock: Clock): Transport {
  return { ...transport, eventLoop: { ...transport.eventLoop ?? runtimeLoop(), clock } };
}

/** What `transport: "auto"` stands for here. */
export async function realTransport(): Promise<Transport> {
  if ("Bun" in globalThis) return (await import("../src/adapters/bun.ts")).bunTransport();
  if ("Deno" in globalThis) return (await import("../src/adapters/deno.ts")).denoTransport();
  return (await import("../src/adapters/node.ts")).nodeTransport();
}

/** Both kinds. */
export const WORLDS: readonly WorldKind[] = [
  { name: "over memory", make: (options) => Promise.resolve(memoryWorld(options)) },
  { name: "over a real socket", make: realWorld },
];

/** What is spoken in a test, and what a server must be told for it. */
export const SPOKEN = [
  { release: "native", server: "2.0" },
  { release: "2.0.0", server: "2.0" },
  { release: "1.6.3", server: "1.6.3" },
] as const;

/** What a peer by hand can speak. */
export type Release = typeof SPOKEN[number]["release"];

/** Log lines, kept. */
export class Lines {
  readonly lines: unknown[][] = [];
  warn(...line: unknown[]): void {
    this.lines.push(["warn", ...line]);
  }
  error(...line: unknown[]): void {
    this.lines.push(["error", ...line]);
  }
}

/** Starts a server; its log lines are kept. */
export async function serve<P = undefined>(
  { transport }: World,
  config: ServerConfig<P> = {},
  set?: (server: Server<P>) => void,
): Promise<{ server: Server<P>; events: Recorder; log: Lines; address: TcpEndpoint } & AsyncDisposable> {
  const log = new Lines();
  const server = new Server({ hostname: HOST, port: 0, transport, logger: log, ...config });
  const events = new Recorder(server, ["connect", "disconnect", "error", "rejected", "unhandled", "close"]);
  set?.(server);
  await server.start();
  const address = server.addresses[0] as TcpEndpoint;
  return { server, events, log, address, [Symbol.asyncDispose]: () => server.close({ drain: 0 }) };
}

type Emitter = Pick<Client | Server, "on">;

/** Keeps events, and lets a test wait for them one by one. */
export class Recorder {
  readonly all: [name: string, ...args: unknown[]][] = [];
  readonly #waiting = new Map<string, unknown[][]>();
  readonly #waiters = new Map<string, ((args: unknown[]) => void)[]>();

  constructor(target: Emitter, names: readonly string[]) {
    for (const name of names) {
      (target.on as (name: string, listener: (...args: unknown[]) => void) => void).call(target, name, (...args) => {
        this.all.push([name, ...args]);
        const waiter = this.#waiters.get(name)?.shift();
        if (waiter !== undefined) waiter(args);
        else this.#waiting.set(name, [...this.#waiting.get(name) ?? [], args]);
      });
    }
  }

  /** The arguments of the next event of that name, in the order they came. */
  // deno-lint-ignore no-explicit-any
  next(name: string): Promise<any[]> {
    const there = this.#waiting.get(name)?.shift();
    if (there !== undefined) return Promise.resolve(there);
    return new Promise((resolve) => this.#waiters.set(name, [...this.#waiters.get(name) ?? [], resolve]));
  }

  /** What came under that name, without waiting. */
  // deno-lint-ignore no-explicit-any
  of(name: string): any[] {
    return this.all.filter(([other]) => other === name).map(([, ...args]) => args);
  }
}

/** A frame to send by hand; the id is one that asks for nothing. */
export interface RawFrame {
  readonly code: number;
  readonly content?: Uint8Array | string;
  readonly requestId?: number;
  readonly flags?: number;
}

/** What a peer by hand announces. */
export interface Announced {
  /** A native one: what it offers, by name. */
  readonly features?: Readonly<Record<string, unknown>>;
  /** A native one. @default 10_485_760 */
  readonly maxMessageSize?: number;
  /** A server of 2.0. @default 30_000 */
  readonly idWindow?: number;
}

/** A client and its peer by hand. */
export interface Faced extends AsyncDisposable {
  readonly client: Client;
  readonly raw: Raw;
  readonly events: Recorder;
  readonly log: Lines;
}

/** Connects a client to a server by hand. */
export async function face(
  world: World,
  release: string,
  announced: Announced = {},
  config: ClientConfig = {},
): Promise<Faced> {
  const server = await RawServer.listen(world);
  const log = new Lines();
  // Without a handshake a client must be told.
  const spoken = protocol(release).handshake === "none" ? { protocol: release } : {};
  const client = new Client({ ...server.address, transport: world.transport, logger: log, ...spoken, ...config });
  const events = new Recorder(client, ["disconnect", "error", "unhandled"]);
  const [raw] = await Promise.all([server.welcome(release, announced), client.connect()]);
  return {
    client,
    raw,
    events,
    log,
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close({ drain: 0 });
      await raw[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A peer that speaks bytes by hand. */
export class Raw implements AsyncDisposable {
  readonly connection: Connection;
  readonly release: string;
  readonly protocol: Protocol;
  readonly #decoder: FrameDecoder;
  #held: Uint8Array = new Uint8Array(0);
  #frames: DecodedFrame[] = [];

  constructor(connection: Connection, release: string) {
    this.connection = connection;
    this.release = release;
    this.protocol = protocol(release);
    const features = release === "native" ? 0xff : 0;
    this.#decoder = new FrameDecoder(this.protocol, { maxMessageSize: 2 ** 30, features });
  }

  /** Connects and agrees with a server. */
  static async connect(world: World, to: Address, release: string, announced: Announced = {}): Promise<Raw> {
    const raw = new Raw(await world.transport.connect(to), release);
    await raw.agreeAsClient(announced);
    return raw;
  }

  async agreeAsClient({ features = {}, maxMessageSize = 10_485_760 }: Announced = {}): Promise<void> {
    const { connection, protocol, release } = this;
    if (protocol.handshake === "hello") {
      const { requestId } = (await this.frame())!;
      await connection.write(helloFrame(protocol, SystemCode.HELLO_ACK, requestId, 0, release));
    } else if (protocol.name === "native") {
      await this.message();
      const native = { versions: [1], features, maxMessageSize };
      await connection.write(message({ v: "2.0.0", meta: { native } }));
      await this.message();
    } else if (protocol.handshake === "json") {
      await this.message();
      await connection.write(message({ v: release, meta: {} }));
      assertEquals(await this.message(), { result: "ok" });
    }
  }

  async agreeAsServer(
    { features = {}, maxMessageSize = 10_485_760, idWindow = 30_000 }: Announced = {},
  ): Promise<void> {
    const { connection, protocol, release } = this;
    if (protocol.handshake === "hello") {
      const id = protocol.ids === "uuid" ? UUID : 77;
      await connection.write(helloFrame(protocol, SystemCode.HELLO, id, 0, release));
      const { code, requestId, content } = (await this.frame())!;
      assertEquals([code, requestId, helloVersion(content)], [SystemCode.HELLO_ACK, id, release]);
    } else if (protocol.name === "native") {
      const native = { versions: [1], features, maxMessageSize, nonce: "n" };
      await connection.write(message({ v: "2.0.0", meta: { id_window: idWindow, native } }));
      await this.message();
      await connection.write(message({ result: "ok", native: { version: 1, features } }));
    } else if (protocol.handshake === "json") {
      const meta = protocol.ids === "u16" ? { id_window: idWindow } : {};
      await connection.write(message({ v: release, meta }));
      assertEquals(await this.message(), { v: release, meta: {} });
      await connection.write(message({ result: "ok" }));
    }
  }

  /** A JSON message of the handshake. */
  async message(): Promise<unknown> {
    const size = await this.bytes(2);
    return JSON.parse(new TextDecoder().decode(await this.bytes(size[0] * 256 + size[1])));
  }

  /** Exactly so many bytes. */
  async bytes(size: number): Promise<Uint8Array> {
    while (this.#held.length < size) {
      const chunk = await this.connection.read();
      if (chunk === null) throw new Error(`FIN, ${size - this.#held.length} bytes early`);
      this.#held = join(this.#held, chunk);
    }
    const bytes = this.#held.slice(0, size);
    this.#held = this.#held.slice(size);
    return bytes;
  }

  /** The next frame; null after FIN. */
  async frame(): Promise<DecodedFrame | null> {
    if (this.protocol.name === "native") return await this.#nativeFrame();
    for (;;) {
      if (this.#held.length > 0) this.#frames.push(...this.#decoder.push(this.#held.slice()));
      this.#held = new Uint8Array(0);
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      const chunk = await this.connection.read();
      if (chunk === null) return null;
      this.#held = chunk;
    }
  }

  /** The next native frame. The test judges its flags and its id, and the decoder would not take those of features. */
  async #nativeFrame(): Promise<DecodedFrame | null> {
    while (this.#held.length < 16 || this.#held.length < 16 + new DataView(this.#held.buffer).getUint32(4)) {
      const chunk = await this.connection.read();
      if (chunk === null) return null;
      this.#held = join(this.#held, chunk);
    }
    const view = new DataView(this.#held.buffer);
    const [flags, code, size, requestId] = [view.getUint8(1), view.getUint16(2), view.getUint32(4), view.getUint32(8)];
    const bytes = await this.bytes(16 + size);
    const frame = new DecodedFrame(code, flags, requestId, undefined, bytes, 16, 16 + size);
    assertEquals(
      bytes.subarray(0, 16),
      this.encode({ code, flags, requestId, content: frame.content }).subarray(0, 16),
      "a header is sealed",
    );
    return frame;
  }

  /** Frames as bytes. Native ones may be wrong: their flags and ids are not checked. */
  encode(...frames: readonly RawFrame[]): Uint8Array {
    const { protocol } = this;
    return join(...frames.map((frame) => {
      const { code, flags = 0, requestId = protocol.ids === "u16" ? 7 : 0 } = frame;
      const content = typeof frame.content === "string" ? utf8(frame.content) : frame.content ?? new Uint8Array(0);
      if (protocol.name !== "native") return encodeFrame(protocol, { code, flags, requestId, content });
      const bytes = join(new Uint8Array(protocol.headerSize), content);
      sealFrame(protocol, new DataView(bytes.buffer), 0, code, flags, requestId, content.length, 0);
      return bytes;
    }));
  }

  /** Sends frames in one write. */
  send(...frames: readonly RawFrame[]): Promise<void> {
    return this.connection.write(this.encode(...frames));
  }

  /** Reads to the end: `"fin"`, or the code of the error. Then finishes its own side. */
  async end(): Promise<string> {
    try {
      while (await this.connection.read() !== null);
      await this.connection.closeWrite();
      return "fin";
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.abort();
    await this.connection.closed;
  }
}

/** A write that the test lets through. */
export interface ScriptedWrite {
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A connection whose writes the test lets through one by one, and what a session's parts share there. */
export function scripted(
  tuning: Partial<PeerShared["tuning"]> = {},
  loop?: EventLoop,
): { connection: Connection; writes: ScriptedWrite[]; shared: PeerShared; clock: FakeClock } {
  const clock = new FakeClock();
  const writes: ScriptedWrite[] = [];
  const connection = {
    write(bytes: Uint8Array): Promise<void> {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      writes.push({ bytes: bytes.slice(), resolve, reject });
      return promise;
    },
  } as unknown as Connection;
  const most = 2 ** 28;
  const options = { highWaterMark: most, maxBufferedBytes: most, maxTotalBufferedBytes: most, handshakeTimeout: 1_000 };
  const checked = readOptions("options", options, COMMON_OPTIONS);
  const limits = limitsOf(checked);
  const shared = makeShared(loop ?? { ...anyLoop, clock }, {
    routes: new Routes(),
    observers: {},
    tuning: { ...readTuning(checked), ...tuning },
    limits,
  }, new FeatureSet([], { limits, contract: undefined }));
  return { connection, writes, shared, clock };
}

/** A transport, the connections to others that it opened, and how many bytes were read there. */
export interface Watched {
  readonly transport: Transport;
  readonly opened: Connection[];
  bytesRead: number;
}

/** Watches the connections to others of a transport. */
export function watched(transport: Transport): Watched {
  const seen: Watched = {
    transport: {
      ...transport,
      async connect(to, options): Promise<Connection> {
        const connection = await transport.connect(to, options);
        const read = connection.read.bind(connection);
        seen.opened.push(connection);
        return Object.assign(connection, {
          async read(): Promise<Uint8Array | null> {
            const chunk = await read();
            seen.bytesRead += chunk?.length ?? 0;
            return chunk;
          },
        } as Partial<Connection>);
      },
    },
    opened: [],
    bytesRead: 0,
  };
  return seen;
}

/** A transport that keeps the size of each write on connections to others. */
export function counting(transport: Transport, writes: number[]): Transport {
  return {
    ...transport,
    async connect(to, options): Promise<Connection> {
      const connection = await transport.connect(to, options);
      const write = connection.write.bind(connection);
      return Object.assign(connection, {
        write: (bytes: Uint8Array) => (writes.push(bytes.length), write(bytes)),
      } as Partial<Connection>);
    },
  };
}

/** A server by hand. */
export class RawServer implements AsyncDisposable {
  readonly address: TcpEndpoint;
  readonly #listener: Listener;
  readonly #connections: AsyncIterator<Connection>;

  constructor(listener: Listener) {
    this.#listener = listener;
    this.address = listener.address as TcpEndpoint;
    this.#connections = listener[Symbol.asyncIterator]();
  }

  static async listen({ transport }: World, at: TcpEndpoint = { hostname: HOST, port: 0 }): Promise<RawServer> {
    return new RawServer(await transport.listen(at));
  }

  /** The next connection, nothing said yet. */
  async accept(release: string): Promise<Raw> {
    return new Raw((await this.#connections.next()).value, release);
  }

  /** The next connection, agreed with. */
  async welcome(release: string, announced?: Announced): Promise<Raw> {
    const raw = await this.accept(release);
    await raw.agreeAsServer(announced);
    return raw;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#listener.close();
  }
}

/** A JSON message of the handshake. */
export function message(value: unknown): Uint8Array {
  const json = utf8(JSON.stringify(value));
  return join(new Uint8Array([json.length >> 8, json.length & 255]), json);
}

/** A promise and its ends. */
export function deferred<Value = void>(): PromiseWithResolvers<Value> {
  return Promise.withResolvers<Value>();
}

/** Waits until something holds, a turn of the event loop at a time. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

/** Whether something becomes true within some turns: on a busy machine one may not do for what takes several steps. */
export async function soon(holds: () => boolean): Promise<boolean> {
  for (let i = 0; i < 50 && !holds(); i++) await turn();
  return holds();
}

/** Lets a turn of the event loop pass, and a millisecond: where no socket is, `settle()` of the clock takes none. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Lets microtasks pass. */
export async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await undefined;
}

/**
 * Moves the time on by exactly so much, and then waits, while it stands still, for what comes of that: how long a socket
 * takes for its part is up to the machine, and no test looks at it.
 */
export async function pass<Value>(clock: FakeClock, ms: number, happens: Promise<Value>): Promise<Value> {
  happens.catch(() => {});
  await clock.advance(ms);
  return await happens;
}

/**
 * Moves the time on until something has happened.
 *
 * @throws {TypeError} There are real sockets: on a busy machine the time would run ahead of them. Take {@linkcode pass}.
 */
export async function advanceUntil<Value>(clock: FakeClock, happens: Promise<Value>, step = 100): Promise<Value> {
  if (OUTSIDE.has(clock)) throw new TypeError("Cannot move the time until a socket has done its part: use pass()");
  let over = false;
  const watched = happens.finally(() => over = true);
  watched.catch(() => {});
  while (!over) {
    await clock.advance(step);
    await (INSIDE.has(clock) ? clock.settle() : turn());
  }
  return await watched;
}
