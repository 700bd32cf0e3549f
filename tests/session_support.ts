/**
 * What the tests of sessions, servers and clients share: a world of memory or of real sockets with time that only the test
 * moves, peers that speak bytes by hand, and events that can be waited for.
 *
 * @module
 */

import type { Client, ClientConfig, Server, ServerConfig } from "../mod.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import type { MemoryOptions } from "../src/adapters/memory_network.ts";
import { COMMON_OPTIONS, limitsOf } from "../src/app/config.ts";
import { readTuning } from "../src/app/tuning.ts";
import { Routes } from "../src/app/routes.ts";
import { makeShared, type PeerShared } from "../src/app/shared.ts";
import { readOptions } from "../src/base/checks.ts";
import { anyLoop } from "../src/base/event_loop.ts";
import { FeatureSet } from "../src/session/feature.ts";
import * as kit from "../src/testing/mod.ts";
import type { Connection, EventLoop, Listener, Transport } from "../src/transport.ts";
import { protocol } from "../src/wire/protocols.ts";

export {
  type Announced,
  FakePeer as Raw,
  FakeServer as RawServer,
  handshakeMessage as message,
  LogLines as Lines,
  type RawFrame,
  withClock as withTime,
} from "../src/testing/mod.ts";

export const HOST = "127.0.0.1";

/** An id of a release whose ids are UUIDs. */
export const UUID = "00112233-4455-4677-8899-aabbccddeeff";

/** Recorded events. Tests look into their arguments without telling their types. */
// deno-lint-ignore no-explicit-any
export class Recorder extends kit.EventRecorder<Record<string, any>> {}

/** Where a test happens. */
export type World = kit.TimedWorld;

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
  const world = kit.memoryWorld(options);
  INSIDE.add(world.clock);
  return world;
}

/** The sockets of this runtime, with time that only the test moves. */
export async function realWorld(): Promise<World> {
  const clock = new FakeClock();
  OUTSIDE.add(clock);
  return await kit.socketWorld(clock);
}

/** What `transport: "auto"` stands for here. */
export async function realTransport(): Promise<Transport> {
  return (await kit.socketWorld()).transport;
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

/** A server that listens. */
export interface Served<P> extends Omit<kit.Served<P, World>, "events"> {
  readonly events: Recorder;
}

/** Starts a server; its log lines are kept. */
export function serve<P = undefined>(
  world: World,
  config: ServerConfig<P> = {},
  set?: (server: Server<P>) => void,
): Promise<Served<P>> {
  return kit.serve<World, P>({ ...config, world }, set) as unknown as Promise<Served<P>>;
}

/** A client and its peer by hand. */
export interface Faced extends AsyncDisposable {
  readonly client: Client;
  readonly raw: kit.FakePeer;
  readonly events: Recorder;
  readonly log: kit.LogLines;
}

/** Connects a client to a server by hand. */
export async function face(
  world: World,
  release: string,
  announced: kit.Announced = {},
  config: ClientConfig = {},
): Promise<Faced> {
  const server = await kit.FakeServer.listen(world);
  // Without a handshake a client must be told.
  const spoken = protocol(release).handshake === "none" ? { protocol: release } : {};
  let events: Recorder;
  const [raw, connected] = await Promise.all([
    server.welcome(release, announced),
    kit.connect(server, { world, ...spoken, ...config }, (client) => {
      events = new Recorder(client, ["disconnect", "error", "unhandled"]);
    }),
  ]);
  const { client, log } = connected;
  return {
    client,
    raw,
    events: events!,
    log,
    async [Symbol.asyncDispose](): Promise<void> {
      await connected[Symbol.asyncDispose]();
      await raw[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
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
        writeTo: undefined,
        write: (bytes: Uint8Array) => (writes.push(bytes.length), write(bytes)),
      } as Partial<Connection>);
    },
  };
}

/** A transport that shows what is written on accepted connections. */
export function watching(transport: Transport, onWrite: (bytes: Uint8Array) => void): Transport {
  return {
    ...transport,
    async listen(at, options): Promise<Listener> {
      const listener = await transport.listen(at, options);
      const connections = listener[Symbol.asyncIterator]();
      const next = async (): Promise<IteratorResult<Connection>> => {
        const result = await connections.next();
        if (result.done) return result;
        const write = result.value.write.bind(result.value);
        const watched = { writeTo: undefined, write: (bytes: Uint8Array) => (onWrite(bytes), write(bytes)) };
        return { value: Object.assign(result.value, watched) };
      };
      return Object.assign(listener, { [Symbol.asyncIterator]: () => ({ next }) });
    },
  };
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
