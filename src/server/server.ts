/**
 * The server: it listens, does the handshake with each connection, and passes messages to routes.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import { serverTls } from "../app/tls_config.ts";
import type { TlsServerOptions } from "../tls_seam.ts";
import type { EventMap, EventOptions, Listener as EventListener } from "../app/events.ts";
import { checkPayload } from "../base/codec_results.ts";
import type { AnyMessageType, MessageType, WithoutPayload } from "../message/message_type.ts";
import { readOptions, wholeNumber } from "../base/checks.ts";
import { closingOf } from "../app/closing.ts";
import { EndpointCore, extraFeatures } from "../app/endpoint_core.ts";
import type { AnyType, IncomingOf, Middleware } from "../app/middleware.ts";
import type { OutgoingMiddleware } from "../app/outgoing_middleware.ts";
import { termsOf } from "../app/send_options.ts";
import { platformOf } from "../app/platform.ts";
import type { RouteTarget } from "../app/implement.ts";
import type {
  BatchRouteOptions,
  NewRoute,
  RouteHandler,
  RouteOptions,
  StreamHandler,
  StreamRoute,
} from "../app/routes.ts";
import type { AnyStreamType, StreamType } from "../message/stream_type.ts";
import type { Address } from "../base/address.ts";
import type { Connection } from "../transport.ts";
import type { WorkerPeer } from "../workers/worker_messages.ts";
import type { WorkerRouteOptions } from "../workers/worker_routes.ts";
import {
  type BroadcastOptions,
  broadcastOptions,
  type BroadcastResult,
  broadcastTo,
  chosen,
  readableAgain,
} from "./broadcast.ts";
import type { Permission } from "../plugins/permissions.ts";
import type { Plugin } from "../plugins/plugin.ts";
import type { AttachMode } from "../plugins/plugin_host.ts";
import type { PluginInfo, RegisterOptions } from "../plugins/plugin_info.ts";
import type { AttachTypes } from "../plugins/registry.ts";
import { PluginSlot } from "../plugins/slot.ts";
import { type CloseOptions, ConnectedClient, tagName } from "./connected_client.ts";
import { type AcceptOptions, checkConnection, HandedOverPlaces } from "./accept_options.ts";
import { ServerLifecycle } from "./lifecycle.ts";
import type { ServerState } from "./acceptor.ts";
import {
  ownTransportOf,
  placesOf,
  resumeTermsOf,
  SERVER_OPTIONS,
  type ServerConfig,
  serverLimitsOf,
} from "./server_config.ts";
import { SERVER_EVENTS, type ServerEvents } from "./server_events.ts";

/**
 * Options of {@linkcode Server.renewTls}.
 *
 * @category Security
 */
export interface RenewTlsOptions {
  /** The index of the listener in the option `listen`. @default all listeners with TLS */
  readonly listener?: number;
}

/**
 * A server's counters.
 *
 * @category Server
 */
export interface ServerStats {
  /** Clients, as many as {@linkcode Server.clients}, including those whose sessions are suspended. */
  readonly connections: number;
  /**
   * Clients whose sessions wait for another connection; see the option `resume`. A client from which nothing has come yet
   * is not among them: it waits for `handshakeTimeout` at most, and does not count for `maxConnections` meanwhile.
   */
  readonly suspended: number;
  /**
   * Connections that are being closed, or whose peer has finished sending, and that still count for `maxConnections`.
   */
  readonly closing: number;
  /** Connections in the middle of their handshake. */
  readonly pendingHandshakes: number;
  /**
   * Connections that failed the handshake or were not let in, and those that asked for the session of a client that they
   * are not, since the server was created.
   */
  readonly rejected: number;
  /** Clients that were let in, since the server was created. */
  readonly accepted: number;
  /** Clients closed as `slow-consumer`, since the server was created. */
  readonly slowConsumers: number;
  /** Copies of broadcasts that were skipped, see {@linkcode BroadcastResult.dropped}, since the server was created. */
  readonly broadcastsDropped: number;
  /** Bytes waiting to be sent, over all clients. */
  readonly bufferedBytes: number;
}

/**
 * A TCP or unix socket server for typed messages. It does the handshake with each connection and passes messages to the
 * handlers set with {@linkcode Server.route}, in order per connection. It can send messages and requests to its
 * clients, and broadcast to them. `P` is what `authenticate` returns, which becomes `client.principal`.
 *
 * @example Answering requests
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, messageType, Server, text } from "@veltix/core";
 *
 * const UPPER = messageType(200, "upper", text, text);
 *
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(UPPER, (message) => message.data.toUpperCase());
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals(await client.request(UPPER, "hello"), "HELLO");
 * assertEquals(server.clients.map(({ id }) => id), [1]);
 * ```
 *
 * @category Server
 */
export class Server<P = undefined> implements AsyncDisposable, RouteTarget<ConnectedClient<P>> {
  readonly #owner: ServerState<P>;
  readonly #lifecycle: ServerLifecycle<P>;
  readonly #plugins: PluginSlot;

  /**
   * Creates a server; {@linkcode start} makes it listen.
   *
   * @param config Options; all optional.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type; the message names it.
   * @throws {ConfigError} `invalid-config`: two options exclude each other. `unsupported`: this runtime cannot compute
   * the checksums of the protocol, or `transport` is a name and the imported entry of the package loads no sockets.
   */
  constructor(config: ServerConfig<P> = {}) {
    const options = readOptions("a server's config", config, SERVER_OPTIONS);
    const places = placesOf<P>(options);
    const core = new EndpointCore<ServerEvents<P>>(
      options,
      SERVER_EVENTS,
      platformOf(new.target),
      ownTransportOf(config, places),
      extraFeatures(config),
    );
    places.forEach(({ encryption, tls, transport, webSocket }, i) => {
      if (encryption !== undefined) core.checkLoader("encryption");
      if (webSocket !== undefined) core.checkLoader("webSocket");
      if (tls !== undefined) core.checkLoader("tls");
      else if (transport !== undefined) core.checkSockets(transport, `listen[${i}].`);
    });
    const handedOver = new HandedOverPlaces<P>(options);
    if (places.length === 0 && handedOver.usual.encryption !== undefined) core.checkLoader("encryption");
    this.#owner = {
      places,
      handedOver,
      core,
      limits: serverLimitsOf(options),
      resume: resumeTermsOf(options),
      lastId: 0,
      rejected: 0,
      slowConsumers: 0,
      broadcastsDropped: 0,
      unref: false,
      quiet: options.quiet,
    };
    this.#lifecycle = new ServerLifecycle(this.#owner);
    this.#plugins = new PluginSlot(() => ({
      side: "server",
      core: core as unknown as EndpointCore<EventMap>,
      events: SERVER_EVENTS,
      peerOf: (value) => value instanceof ConnectedClient ? value : undefined,
      peers: () => this.clients,
      broadcast: (type, payload, options) => this.broadcast(type, payload, options),
      stats: () => this.stats(),
      failed: (error, client, message) => core.error(error, client, message),
    }));
  }

  /** The addresses that the server listens at, with the actual ports; empty while it is not listening. */
  get addresses(): readonly Address[] {
    return this.#lifecycle.run?.addresses ?? [];
  }

  /**
   * The clients, oldest first. They include those that are {@linkcode ConnectedClient.leaving}, and those whose sessions
   * are suspended.
   */
  get clients(): readonly ConnectedClient<P>[] {
    return [...this.#lifecycle.run?.groups.clients.keys() ?? []];
  }

  /**
   * True while as many connections are open, being closed or suspended as `maxConnections` allows, so that the next one
   * is refused. Always false without that option.
   */
  get isFull(): boolean {
    return this.#lifecycle.run?.full ?? false;
  }

  /** Resolves when the server is closed and no {@linkcode restart} starts it again; never rejects. */
  get closed(): Promise<void> {
    return this.#lifecycle.closed;
  }

  /** Returns the counters. */
  stats(): ServerStats {
    return {
      connections: this.#lifecycle.run?.groups.clients.size ?? 0,
      suspended: this.#lifecycle.run?.suspended ?? 0,
      closing: this.#lifecycle.run?.closing ?? 0,
      pendingHandshakes: this.#lifecycle.run?.pendingHandshakes ?? 0,
      rejected: this.#owner.rejected,
      accepted: this.#owner.lastId,
      slowConsumers: this.#owner.slowConsumers,
      broadcastsDropped: this.#owner.broadcastsDropped,
      bufferedBytes: this.#lifecycle.run?.buffered ?? 0,
    };
  }

  /**
   * Starts listening. A second call returns the same promise.
   *
   * @returns Resolves when all listeners accept connections.
   * @throws {ConnectionError} `address-in-use`, `permission-denied` and the like, or `closed` while the server is
   * closing; nothing listens then.
   * @throws {ConfigError} `unsupported`: this runtime lacks the sockets that `transport` names, or is too old for `tls`.
   */
  start(): Promise<void> {
    return this.#lifecycle.start();
  }

  /**
   * Lets in a connection that the server has not accepted itself, such as one of `fromStreams`, `fromMessagePort` or
   * `fromStdio`. It is treated like one of a listener: limits, events, `authenticate`, encryption, `resume` and `unref()`
   * apply to it. The server may listen nowhere (`listen: []`).
   *
   * The connection belongs to the server from then on, and nothing else may use it. Its peer is known by its `remote`. A
   * server that is being closed aborts it. The option `proxyProtocol` does not apply.
   *
   * A client with `resume` comes back over another connection that was accepted on the same terms: `protocol`, `recovery`,
   * the same function `authenticate`, the same identities and keys of `encryption`. A new options object may have them, and
   * a function that is made for each connection is another one.
   *
   * @param connection The connection, from which nothing has been read.
   * @param options What differs from the options of the server.
   * @throws {ConnectionError} `closed`: the server does not run. The connection is left as it is.
   * @throws {RangeError | TypeError} `connection` lacks a member, or an option is unknown or of the wrong type. The message
   * names it.
   * @throws {ConfigError} `invalid-config`: two options do not go together. `unsupported`: the imported entry of the package
   * has no encryption.
   *
   * @example A client without a network
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, fromStreams, messageType, Server, text } from "@veltix/core";
   *
   * const UPPER = messageType(200, "upper", text, text);
   * await using server = new Server({ listen: [] });
   * server.route(UPPER, ({ data }) => data.toUpperCase());
   * await server.start();
   *
   * await using client = new Client({
   *   transport: {
   *     name: "inside",
   *     connect: async () => {
   *       const [up, down] = [new TransformStream(), new TransformStream()];
   *       server.accept(fromStreams({ readable: up.readable, writable: down.writable }));
   *       return fromStreams({ readable: down.readable, writable: up.writable });
   *     },
   *     listen: () => Promise.reject(new Error("It only connects")),
   *   },
   * });
   * await client.connect();
   * assertEquals(await client.request(UPPER, "hello"), "HELLO");
   * ```
   */
  accept(connection: Connection, options: AcceptOptions<P> = {}): void {
    const { core, handedOver } = this.#owner;
    checkConnection(connection);
    const place = handedOver.placeOf(options);
    if (place.encryption !== undefined) core.checkLoader("encryption");
    this.#lifecycle.accept(connection, place);
  }

  /**
   * Closes the server and starts it again at the same addresses. A listener on port 0 keeps the port that it got.
   * Routes, event listeners and options stay. Clients have to connect again. A server that is not running is started.
   *
   * Calls made meanwhile share one promise. The last call counts: `close()` during a restart leaves the server closed
   * and rejects the restart, and a restart during `close()` starts the server when it is closed.
   *
   * A handler must not await it: the restart waits for that handler until `drain` is over.
   *
   * @param options How long work under way may take, and when clients may come back.
   * @returns Resolves when all listeners accept connections again.
   * @throws {ConnectionError} As {@linkcode start}; `closed` if `close()` was called meanwhile. The server is closed
   * then.
   * @throws {RangeError | TypeError} An option is unknown, or not a number from 0 to 2147483647.
   *
   * @example The same port, the same routes
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const UPPER = messageType(200, "upper", text, text);
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(UPPER, ({ data }) => data.toUpperCase());
   * await server.start();
   * const [address] = server.addresses;
   *
   * await server.restart();
   * assertEquals(server.addresses, [address]);
   * await using client = new Client({ ...address });
   * await client.connect();
   * assertEquals(await client.request(UPPER, "again"), "AGAIN");
   * ```
   */
  restart(options: CloseOptions = {}): Promise<void> {
    return this.#lifecycle.restart(closingOf(options));
  }

  /** The plugins that are registered, in the order in which they were. */
  get plugins(): readonly PluginInfo[] {
    return this.#plugins.list;
  }

  /**
   * Registers a plugin, made by `definePlugin`, and waits for its `setup`. Plugins whose registration has begun before are
   * waited for if it depends on them. What the plugin adds in `setup` works from the moment on when it is added. If `setup`
   * fails, all of that is removed again. Its hooks are called once {@linkcode attach} has connected them.
   *
   * Plugins stay when the server is closed, as routes and listeners do.
   *
   * @param plugin The plugin.
   * @param options The options of the plugin. Left out if it has none.
   * @param how What it may do at most, its time limits, and when it is switched off.
   * @returns Resolves when the plugin is set up. It never throws; the promise rejects.
   * @throws {PermissionError} The plugin wants more than `how.permissions`, or something that a server does not have.
   * @throws {PluginError} `plugin-exists`: one of that name is registered. `dependency-missing` or `dependency-circular`: a
   * plugin that it depends on is not. `plugin-failed` or `plugin-timeout`: its `setup` threw, as `cause`, or took too long.
   * @throws {TypeError | RangeError} It is no plugin, or an option is wrong.
   * @throws {unknown} What the plugin's own check of its options throws.
   *
   * @example A plugin that greets
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, definePlugin, messageType, Server, text } from "@veltix/core";
   *
   * const HELLO = messageType(200, "hello", text);
   * const greeter = definePlugin({
   *   name: "greeter",
   *   version: "1.0.0",
   *   permissions: ["events:connect", "messages:send"],
   *   setup(host, options: { words: string }) {
   *     host.on("connect", ({ client }) => client?.send(HELLO, options.words));
   *   },
   * });
   *
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * await server.register(greeter, { words: "Welcome" });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * const heard = new Promise((resolve) => client.route(HELLO, ({ data }) => resolve(data)));
   * await client.connect();
   * assertEquals(await heard, "Welcome");
   * assertEquals(server.plugins.map(({ name, state }) => `${name}: ${state}`), ["greeter: on"]);
   * ```
   */
  register<Granted extends Permission, Options>(
    plugin: Plugin<Granted, Options>,
    ...[options, how]: [Options] extends [void] ? [options?: undefined, how?: RegisterOptions]
      : [options: NoInfer<Options>, how?: RegisterOptions]
  ): Promise<void> {
    return this.#plugins.register(plugin, options, how);
  }

  /**
   * Removes a plugin. Its hooks, routes, listeners and timers are gone when this returns. Hooks that are running may end,
   * within their time limits, and then its `onClose` functions are called.
   *
   * @param name The name of the plugin.
   * @returns Resolves when nothing of the plugin runs any more: true, or false if there is no such plugin.
   * @throws {PluginError} `plugin-needed`: another plugin depends on it.
   */
  unregister(name: string): Promise<boolean> {
    return this.#plugins.unregister(name);
  }

  /**
   * Connects a hook of a plugin to types of messages and streams. Hooks and other middleware are called in the order in
   * which they were attached or added; a hook `after` of the one that came first is called last.
   *
   * @param types A type, a list of types, or `"all"` for everything, also for what has no route.
   * @param plugin The plugin or its name.
   * @param mode The hook: `"before"` or `"after"` the handler, `"instead"` of it, or `"outgoing"` for what is sent.
   * @returns A function that disconnects it. It goes with the plugin, too.
   * @throws {PluginError} `plugin-missing`: it is not registered, or its registration is not awaited. `no-hook`: its `setup`
   * has returned no such hook.
   * @throws {PermissionError} The hook needs a permission that the plugin lacks.
   * @throws {TypeError | RangeError} An argument is of the wrong type, or the mode `"instead"` is not for one of the types.
   */
  attach(types: AttachTypes, plugin: Pick<Plugin, "name" | "version"> | string, mode: AttachMode): () => void {
    return this.#plugins.attach(types, plugin, mode);
  }

  /**
   * Adds a middleware: a function around the handlers of all clients, of messages and of streams, and around the listeners to
   * `message`. It is around the routes that are there and those that are added later. The first one that was added is the
   * outermost. Without any, messages cost what they cost before.
   *
   * @param middleware Called with each message or stream, the client that it is from, and `next`.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function.
   *
   * @example How long handlers take
   * ```ts
   * import { assert, assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const UPPER = messageType(200, "upper", text, text);
   * const lines: string[] = [];
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(UPPER, ({ data }) => data.toUpperCase());
   * server.use(async (message, client, next) => {
   *   const started = performance.now();
   *   const result = await next();
   *   lines.push(`${message.type.name} of client ${client.id}`);
   *   assert(performance.now() >= started);
   *   return result;
   * });
   * server.use([UPPER], ({ data }, _client, next) => next({ data: data.trim() }));
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * assertEquals(await client.request(UPPER, " hello "), "HELLO");
   * assertEquals(lines, ["upper of client 1"]);
   * ```
   */
  use(middleware: Middleware<ConnectedClient<P>>): () => void;
  /**
   * Adds a middleware around the handlers of these types only. It is not around messages without a route, and around a
   * worker route it gets the payload as bytes.
   *
   * @param types The types of messages and streams.
   * @param middleware Called with each message or stream of these types, the client that it is from, and `next`.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function, or `types` is not a list of types.
   */
  use<const Types extends readonly AnyType[]>(
    types: Types,
    middleware: Middleware<ConnectedClient<P>, IncomingOf<Types[number]>>,
  ): () => void;
  use(
    first: readonly AnyType[] | Middleware<ConnectedClient<P>>,
    second?: Middleware<ConnectedClient<P>, never>,
  ): () => void {
    return this.#owner.core.use(first, second);
  }

  /**
   * Adds a middleware around what is sent to clients: `send`, `request` and `exchange`, `open`, and once for each `broadcast`. Answers
   * of handlers do not pass through it. The first one that was added is the outermost.
   *
   * @param middleware Called with each call and `next`. Only for requests it may be asynchronous.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function.
   *
   * @example Metadata on everything
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const NEWS = messageType(200, "news", text);
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.useOutgoing(({ takesMetadata }, next) => next(takesMetadata ? { meta: { host: "a1" } } : {}));
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * const host = new Promise((resolve) => client.route(NEWS, ({ meta }) => resolve(meta.host)));
   * await client.connect();
   * server.broadcast(NEWS, "It rains");
   * assertEquals(await host, "a1");
   * ```
   */
  useOutgoing(middleware: OutgoingMiddleware<ConnectedClient<P>>): () => void;
  /**
   * Adds a middleware around what is sent of these types only.
   *
   * @param types The types of messages and streams.
   * @param middleware Called with each call of these types and `next`.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function, or `types` is not a list of types.
   */
  useOutgoing(types: readonly AnyType[], middleware: OutgoingMiddleware<ConnectedClient<P>>): () => void;
  useOutgoing(
    first: readonly AnyType[] | OutgoingMiddleware<ConnectedClient<P>>,
    second?: OutgoingMiddleware<ConnectedClient<P>>,
  ): () => void {
    return this.#owner.core.useOutgoing(first, second);
  }

  /**
   * Handles messages of one type. If the type has a reply, the handler's result is sent as the reply; a promise is
   * awaited. If the handler throws, the request of a native peer rejects with a `RemoteError`.
   *
   * @param type The type.
   * @param handler Called with each message and the client that sent it.
   * @param options `ordered` handles this route's messages one at a time per connection, `timeout` limits each. With
   * `batch: true` the handler gets an array of messages; see {@linkcode BatchRouteOptions}.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   * @throws {TypeError} `handler` is not a function, an option is unknown or of the wrong type, or `batch` is on and the
   * type has a reply.
   * @throws {RangeError} `timeout` is not a whole number from 1 to 2147483647.
   *
   * @example One message after the other
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, json, messageType, Server } from "@veltix/core";
   *
   * const SLEEP = messageType(200, "sleep", json<number>(), json<number>());
   * const done: number[] = [];
   *
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(SLEEP, async ({ data }) => {
   *   await new Promise((resolve) => setTimeout(resolve, data));
   *   return done.push(data);
   * }, { ordered: true });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * await Promise.all([client.request(SLEEP, 20), client.request(SLEEP, 1)]);
   * assertEquals(done, [20, 1]);
   * ```
   *
   * @example Readings that are written together
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, json, messageType, Server } from "@veltix/core";
   *
   * const READING = messageType(200, "reading", json<number>());
   * const DONE = messageType(201, "done");
   * const rows: number[] = [];
   *
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(READING, (messages) => void rows.push(...messages.map(({ data }) => data)), { batch: true });
   * const done = new Promise((resolve) => server.route(DONE, resolve));
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * for (let i = 0; i < 1_000; i++) client.send(READING, i);
   * client.send(DONE, new Uint8Array());
   * await done;
   * assertEquals(rows.length, 1_000);
   * ```
   */
  route<In, Out, ReplyIn, ReplyOut, Options extends RouteOptions | BatchRouteOptions = RouteOptions>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: NoInfer<RouteHandler<Out, ReplyIn, ConnectedClient<P>, Options>>,
    options?: Options,
  ): void {
    this.#owner.core.route(type, handler as RouteHandler<Out, ReplyIn, ConnectedClient<P>, Options>, options);
  }

  /**
   * Handles the streams of one type that a client opens. Each has its own flow control: one whose handler does not read
   * holds up neither other streams nor messages. Handlers of streams do not count towards `maxConcurrentHandlers`, but
   * at most `maxStreams` run for a connection.
   *
   * The handler may be an asynchronous function, whose value is the result, or an asynchronous generator, each of whose
   * values goes to the opener. It may also return a `ReadableStream`. If it throws, the opener gets the error.
   *
   * @param type The type of the streams.
   * @param handler Called with each stream and the client.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   * @throws {TypeError} `handler` is not a function, or `type` is no stream type.
   */
  stream<HI, HO, UI, UO, DI, DO, RI, RO>(
    type: StreamType<HI, HO, UI, UO, DI, DO, RI, RO>,
    handler: NoInfer<StreamHandler<HO, UO, DI, RI, ConnectedClient<P>>>,
  ): void {
    this.#owner.core.stream(type as unknown as AnyStreamType, handler as StreamRoute["handler"]);
  }

  /**
   * Handles messages of one type in worker threads, so that heavy work delays no other message. Each thread handles one
   * message at a time; the others wait in order. The payload is decoded and the reply encoded in the thread, and their
   * bytes are transferred. A thread that crashes answers its request with the code `worker-crashed` and is replaced.
   *
   * @param type The type.
   * @param module The URL of a module whose default export is made by {@linkcode workerHandler}, with a type of the
   * same code. Deno needs permission to read it.
   * @param options How many threads, how long a message may take, and how many may wait.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type, or `module` is not an
   * absolute URL.
   *
   * @example Computing beside the server
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, json, messageType, Server } from "@veltix/core";
   *
   * const SQUARE = messageType(200, "square", json<number>(), json<number>());
   *
   * // A file of its own in a program, named by new URL("./square.ts", import.meta.url).
   * const module = "data:text/javascript," + encodeURIComponent(`
   *   import { json, messageType, workerHandler } from "${import.meta.resolve("@veltix/core")}";
   *   const SQUARE = messageType(200, "square", json(), json());
   *   export default workerHandler(SQUARE, ({ data }) => data * data);
   * `);
   *
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.workerRoute(SQUARE, module, { threads: 2, timeout: 10_000 });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * assertEquals(await client.request(SQUARE, 12, { timeout: 60_000 }), 144);
   * ```
   */
  workerRoute<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    module: string | URL,
    options?: WorkerRouteOptions,
  ): void {
    const describe = ({ id, address }: ConnectedClient): WorkerPeer => ({ id, address });
    this.#owner.core.workerRoute(type as AnyMessageType, module, options, describe);
  }

  /**
   * Replaces the certificate for new connections. Connections that are open, or in their handshake, keep the old one.
   *
   * @param tls The new options, as for the option `tls`.
   * @param options The listener to change.
   * @returns Resolves when the new certificate is in use.
   * @throws {ConfigError} `invalid-config`: a certificate or key cannot be used, or no such listener has TLS. Nothing
   * is changed then.
   * @throws {RangeError | TypeError} An option is unknown or of the wrong type.
   *
   * @example A certificate that is renewed
   * ```ts
   * import { Server } from "@veltix/core";
   *
   * async function renew(server: Server, cert: string, key: string): Promise<void> {
   *   await server.renewTls({ cert, key });
   * }
   * ```
   */
  async renewTls(tls: TlsServerOptions, { listener }: RenewTlsOptions = {}): Promise<void> {
    const { core, places } = this.#owner;
    const options = serverTls("tls", tls);
    if (listener !== undefined) wholeNumber("listener", listener, 0, places.length - 1);
    const chosen = places.filter((place, i) => place.tls !== undefined && (listener ?? i) === i);
    if (chosen.length === 0) {
      throw new ConfigError("invalid-config", "Cannot renew TLS: no such listener has the option tls");
    }
    const { context } = await core.tls();
    const contexts = chosen.map(() => context(options));
    chosen.forEach((place, i) => Object.assign(place.tls!, { options, context: contexts[i] }));
  }

  /**
   * Adds routes of messages and streams together: all of them, or none if one cannot be added. `implement` does that for
   * a contract, with handlers whose types are checked.
   *
   * @param routes The types with their handlers and options.
   * @returns A function that removes those of these routes that are still there.
   * @throws {MessageTypeError | TypeError | RangeError} As {@linkcode route} and {@linkcode stream}.
   */
  addRoutes(routes: readonly NewRoute<ConnectedClient<P>>[]): () => void {
    return this.#owner.core.routeAll(routes);
  }

  /**
   * Removes a route.
   *
   * @param type The type.
   * @returns True if there was one.
   */
  unroute(type: { readonly code: number }): boolean {
    return this.#owner.core.unroute(type);
  }

  /**
   * Listens to an event. To stop listening, abort the `signal` of the options: there is no `off`.
   *
   * @param event The event's name.
   * @param listener Called with the event's arguments. If it throws or rejects, the `error` event fires.
   * @param options `once` for the first event only; `signal` to stop listening.
   * @throws {TypeError} There is no such event, or `listener` is not a function.
   *
   * @example Clients that come and go
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, Server } from "@veltix/core";
   *
   * const log: string[] = [];
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.on("connect", (client) => log.push(`${client.id} came`));
   * server.on("disconnect", (client, { reason }) => log.push(`${client.id} left: ${reason}`));
   * await server.start();
   *
   * const client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * await client.close();
   * await server.close();
   * assertEquals(log, ["1 came", "1 left: going-away"]);
   * ```
   */
  on<Name extends keyof ServerEvents>(
    event: Name,
    listener: EventListener<ServerEvents<P>[Name]>,
    options?: EventOptions,
  ): void {
    this.#owner.core.events.on(event, listener, options);
  }

  /**
   * Sends one message whose type has no payload, see `empty`, to all clients.
   *
   * @param type The type.
   * @returns How many clients it was sent to, skipped and closed.
   */
  broadcast<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): BroadcastResult;
  /**
   * Sends one message to many clients. The payload is encoded once, and a client that cannot take it never makes this
   * throw: the result counts such clients.
   *
   * @param type The type.
   * @param payload The payload.
   * @param options Which clients, what to do about full ones, metadata, and what replaces the message while it waits.
   * @returns How many clients it was sent to, skipped and closed.
   * @throws {TypeError | PayloadError} The codec refuses the payload; nobody gets it.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type. `meta` is not a plain object
   * of names to strings, or too large.
   *
   * @example To everybody but the sender
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const CHAT = messageType(200, "chat", text);
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(CHAT, ({ data }, sender) => void server.broadcast(CHAT, data, { except: [sender] }));
   * await server.start();
   *
   * await using alice = new Client({ ...server.addresses[0] });
   * await using bob = new Client({ ...server.addresses[0] });
   * const heard = new Promise((resolve) => bob.route(CHAT, ({ data }) => resolve(data)));
   * await Promise.all([alice.connect(), bob.connect()]);
   * while (server.clients.length < 2) await new Promise((resolve) => server.on("connect", resolve, { once: true }));
   * alice.send(CHAT, "hello");
   * assertEquals(await heard, "hello");
   * ```
   */
  broadcast<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: BroadcastOptions,
  ): BroadcastResult;
  broadcast<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload?: In,
    options?: BroadcastOptions,
  ): BroadcastResult {
    const { outgoing } = this.#owner.core;
    if (outgoing === undefined) return this.#broadcast(type, payload as In, options);
    const { run } = this.#lifecycle;
    const again = readableAgain(options);
    return outgoing.call({
      kind: "broadcast",
      type: type as AnyMessageType,
      payload,
      options: again,
      peer: undefined,
      takesMetadata: () => {
        const peers = run === undefined ? [] : chosen(run.groups, broadcastOptions(again));
        return [...peers].every((peer) => peer.takesMetadata);
      },
      go: (payload, options) => this.#broadcast(type, payload as In, options),
    }) as BroadcastResult;
  }

  /**
   * Returns the connected clients that carry a tag. The cost depends only on how many there are, not on the number of
   * all clients.
   *
   * @param name The name of the tag.
   * @param value The value of the tag, compared like the keys of a `Map`. If it is left out or `undefined`: any value,
   * or none.
   * @returns The clients, in the order in which they got the tag.
   * @throws {TypeError} `name` is not a non-empty string.
   *
   * @example Who is in a room
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, Server } from "@veltix/core";
   *
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.on("connect", (client) => client.addTag("room", client.id % 2 === 0 ? "even" : "odd"));
   * await server.start();
   *
   * const clients = [1, 2, 3].map(() => new Client({ ...server.addresses[0] }));
   * for (const client of clients) await client.connect();
   * const ids = (value?: string) => server.clientsByTag("room", value).map(({ id }) => id);
   * assertEquals([ids(), ids("odd"), ids("none")], [[1, 2, 3], [1, 3], []]);
   * for (const client of clients) await client.close();
   * ```
   */
  clientsByTag(name: string, value?: unknown): readonly ConnectedClient<P>[] {
    tagName(name);
    return [...this.#lifecycle.run?.groups.byTag(name, value) ?? []];
  }

  /** Lets the process exit even while the server listens or clients are connected. */
  unref(): void {
    this.#owner.unref = true;
    this.#lifecycle.run?.unref();
  }

  /**
   * Closes the server: stops accepting, lets running handlers and pending requests finish, flushes what was sent, then
   * cuts what is left. Routes and event listeners stay, and the server can be started again. A second call returns the
   * same promise.
   *
   * A handler may await it. It then resolves when nothing else is under way, so that the handler can go on and answer.
   * The handler must call it before it awaits anything else. Otherwise the server cannot tell that the handler is the
   * caller, and waits for the handler until `drain` is over.
   *
   * @param options How long work under way may take, and when clients may come back.
   * @returns Resolves when no socket, listener or timer is left; never rejects.
   * @throws {RangeError | TypeError} An option is unknown, or not a number from 0 to 2147483647.
   */
  close(options: CloseOptions = {}): Promise<void> {
    return this.#lifecycle.close(closingOf(options));
  }

  /** Does what {@linkcode close} does, and removes all plugins, the last one first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.#plugins.close();
  }

  #broadcast<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: In,
    options: BroadcastOptions | undefined,
  ): BroadcastResult {
    const selection = broadcastOptions(options);
    const run = this.#lifecycle.run;
    const peers = run === undefined ? [] : chosen(run.groups, selection);
    const result = broadcastTo(
      peers,
      type,
      checkPayload(type.name, type.payload.encode(payload)),
      selection,
      termsOf(type.name, selection),
    );
    this.#owner.broadcastsDropped += result.dropped;
    return result;
  }
}
