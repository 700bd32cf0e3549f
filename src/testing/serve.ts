/**
 * Starts servers and connects clients for a test, and closes them when the test is over.
 *
 * @module
 */

import { Client as RuntimeClient } from "../auto/client.ts";
import { Server as RuntimeServer } from "../auto/server.ts";
import type { Address, TcpEndpoint } from "../base/address.ts";
import type { Client } from "../client/client.ts";
import type { ClientConfig } from "../client/client_config.ts";
import type { ClientEvents } from "../client/client_events.ts";
import type { Server } from "../server/server.ts";
import type { ServerConfig } from "../server/server_config.ts";
import type { ServerEvents } from "../server/server_events.ts";
import { type EventRecorder, recordEvents } from "./event_recorder.ts";
import { LogLines } from "./log_lines.ts";
import { type MemoryWorld, memoryWorld, type World } from "./worlds.ts";

/** The host that servers of a test listen at. */
const HOST = "127.0.0.1";

/**
 * A server of a test. It listens, and `await using` closes it.
 *
 * @category Testing
 */
export interface Served<P = undefined, W extends World = MemoryWorld> extends AsyncDisposable {
  /** The server. */
  readonly server: Server<P>;
  /** Its first address. */
  readonly address: TcpEndpoint;
  /** Its events; see `recordEvents`. */
  readonly events: EventRecorder<ServerEvents<P>>;
  /** Its warnings, and the errors that no listener took. */
  readonly log: LogLines;
  /** The world that it is in: its sockets and its time. */
  readonly world: W;
}

/**
 * A client of a test. It is connected, and `await using` closes it.
 *
 * @category Testing
 */
export interface Connected<W extends World = MemoryWorld> extends AsyncDisposable {
  /** The client. */
  readonly client: Client;
  /** Its events; see `recordEvents`. */
  readonly events: EventRecorder<ClientEvents>;
  /** Its warnings, and the errors that no listener took. */
  readonly log: LogLines;
  /** The world that it is in: its sockets and its time. */
  readonly world: W;
}

/**
 * Starts a server at a free port of 127.0.0.1, by default inside the program and with time that stands still; see
 * `memoryWorld`. Its events are recorded, and its log lines are kept.
 *
 * @param config The options of the server, and `world`: the world with the sockets to use.
 * @param setup Called before the server starts, to add routes and listeners.
 * @returns The server. `await using` closes it at once, without waiting for handlers.
 *
 * @example A request
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json, messageType } from "@veltix/core";
 * import { connect, serve } from "@veltix/core/testing";
 *
 * const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
 *
 * await using served = await serve({}, (server) => server.route(ADD, ({ data }) => data.a + data.b));
 * await using connected = await connect(served);
 * assertEquals(await connected.client.request(ADD, { a: 1, b: 2 }), 3);
 * ```
 *
 * @category Testing
 */
export function serve<P = undefined>(
  config?: ServerConfig<P> & { readonly world?: undefined },
  setup?: (server: Server<P>) => void,
): Promise<Served<P>>;
/**
 * Starts a server in an existing world, such as that of another server.
 *
 * @category Testing
 */
export function serve<W extends World, P = undefined>(
  config: ServerConfig<P> & { readonly world: W },
  setup?: (server: Server<P>) => void,
): Promise<Served<P, W>>;
/**
 * Starts a server.
 *
 * @category Testing
 */
export async function serve<P>(
  { world = memoryWorld(), ...config }: ServerConfig<P> & { readonly world?: World } = {},
  setup?: (server: Server<P>) => void,
): Promise<Served<P, World>> {
  const log = new LogLines();
  const server = new RuntimeServer<P>({ hostname: HOST, port: 0, transport: world.transport, logger: log, ...config });
  const events = recordEvents(server);
  setup?.(server);
  await server.start();
  const address = server.addresses[0] as TcpEndpoint;
  return { server, events, log, address, world, [Symbol.asyncDispose]: () => server.close({ drain: 0 }) };
}

/**
 * Connects a client to a server of the test.
 *
 * @param to The server, or its address if `world` is among the options.
 * @param config The options of the client, and `world`: the world with the sockets to use, by default that of the
 * server.
 * @param setup Called before the client connects, to add routes and listeners.
 * @returns The client, which is connected. `await using` closes it at once.
 * @throws {unknown} What `client.connect()` rejects with.
 *
 * @category Testing
 */
export function connect<W extends World>(
  to: { readonly address: Address; readonly world: W },
  config?: ClientConfig & { readonly world?: undefined },
  setup?: (client: Client) => void,
): Promise<Connected<W>>;
/**
 * Connects a client to an address, in a world.
 *
 * @category Testing
 */
export function connect<W extends World>(
  to: { readonly address: Address } | Address,
  config: ClientConfig & { readonly world: W },
  setup?: (client: Client) => void,
): Promise<Connected<W>>;
/**
 * Connects a client.
 *
 * @category Testing
 */
export async function connect(
  to: { readonly address: Address; readonly world?: World } | Address,
  { world = "address" in to ? to.world : undefined, ...config }: ClientConfig & { readonly world?: World } = {},
  setup?: (client: Client) => void,
): Promise<Connected<World>> {
  if (world === undefined) throw new TypeError("connect() needs the option world beside an address: where is it?");
  const address = "address" in to ? to.address : to;
  const log = new LogLines();
  const client = new RuntimeClient({ ...address, transport: world.transport, logger: log, ...config });
  const events = recordEvents(client);
  setup?.(client);
  await client.connect();
  return { client, events, log, world, [Symbol.asyncDispose]: () => client.close({ drain: 0 }) };
}
