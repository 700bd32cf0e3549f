/**
 * The client: it connects, does the handshake with the server, and exchanges messages with it.
 *
 * @module
 */

import type { EventMap, EventOptions, Listener } from "../app/events.ts";
import type { Message } from "../message/message.ts";
import type { AnyMessageType, MessageType, RequestType, WithoutPayload } from "../message/message_type.ts";
import { type SendOptions, sendTerms } from "../app/send_options.ts";
import { ConfigError } from "../errors.ts";
import { addressText, type Endpoint, isLocal } from "../base/address.ts";
import { readOptions } from "../base/checks.ts";
import type { ConnectionSecurity, PeerCertificate } from "../transport.ts";
import { checkTlsTransport } from "../app/tls_config.ts";
import { drainOf } from "../app/closing.ts";
import { closedError } from "../link/close_reason.ts";
import { EndpointCore, extraFeatures } from "../app/endpoint_core.ts";
import type { AnyType, IncomingOf, Middleware } from "../app/middleware.ts";
import type { OutgoingMiddleware } from "../app/outgoing_middleware.ts";
import { platformOf } from "../app/platform.ts";
import type { Answer, PingOptions, RequestOptions } from "../session/requests.ts";
import type { RouteTarget } from "../app/implement.ts";
import type {
  BatchRouteOptions,
  Handler,
  NewRoute,
  RouteHandler,
  RouteOptions,
  StreamHandler,
  StreamRoute,
} from "../app/routes.ts";
import type { OpenOptions, OpenStream } from "../app/streams/open_stream.ts";
import type { AnyStreamType, StreamType } from "../message/stream_type.ts";
import type { SessionStats } from "../session/counters.ts";
import { checkCredentials } from "../wire/handshake/credentials.ts";
import { noResync } from "../wire/decoder_options.ts";
import { protocol } from "../wire/protocols.ts";
import type { WorkerRouteOptions } from "../workers/worker_routes.ts";
import type { Permission } from "../plugins/permissions.ts";
import type { Plugin } from "../plugins/plugin.ts";
import type { AttachMode } from "../plugins/plugin_host.ts";
import type { PluginInfo, RegisterOptions } from "../plugins/plugin_info.ts";
import type { AttachTypes } from "../plugins/registry.ts";
import { PluginSlot } from "../plugins/slot.ts";
import { CLIENT_OPTIONS, type ClientConfig, type ClientOptions } from "./client_config.ts";
import { CLIENT_EVENTS, type ClientEvents } from "./client_events.ts";
import { type ClientState, Connector } from "./connector.ts";
import { type Destination, destinationsOf } from "./destinations.ts";
import { MessageStream } from "./message_stream.ts";
import { OutgoingQueue } from "./outgoing_queue.ts";
import { attemptsOf } from "./reconnect.ts";
import { serverOf } from "./plugin_peer.ts";

/** Refuses credentials that would travel in plain to another machine. A program's own transport is its own affair. */
function checkWay({ encryption, tls, transport }: ClientOptions, { endpoint, url }: Destination): void {
  if (encryption !== undefined || tls !== undefined || typeof transport === "object" || isLocal(endpoint)) return;
  if (url?.startsWith("wss:")) return;
  const cure = url === undefined ? "set encryption or tls" : "use wss: in the URL, or set encryption";
  throw new ConfigError(
    "invalid-config",
    `credentials would travel unencrypted to ${addressText(endpoint)}: ${cure}, or insecureCredentials to true`,
  );
}

/**
 * Checks that the options of sockets go with the servers.
 *
 * @throws {ConfigError} `invalid-config`: they do not.
 */
function checkSockets({ tls, transport }: ClientOptions, destinations: readonly Destination[]): void {
  const plain = destinations.find(({ url }) => url === undefined);
  if (tls !== undefined && plain !== undefined) checkTlsTransport(transport);
  for (const { url } of destinations) {
    if (url === undefined) continue;
    if (typeof transport === "object") {
      throw new ConfigError("invalid-config", "url goes without transport: WebSockets have sockets of their own");
    }
    if (tls !== undefined && !url.startsWith("wss:")) {
      throw new ConfigError("invalid-config", `tls goes with wss: only, and the URL is ${url}`);
    }
  }
}

/**
 * A client's counters and what it agreed on with its server.
 *
 * @category Client
 */
export interface ClientStats extends Partial<SessionStats> {
  /** The client's state. */
  readonly state: ClientState;
  /**
   * The protocol in use: `"native"`, or the Python release that the server announced. If it announced none, this is the
   * option `protocol` as it was set. `undefined` while not connected.
   */
  readonly protocol: string | undefined;
  /** Messages and requests that wait for a connection, with `queueWhileDown`. */
  readonly queuedWhileDown: number;
}

/**
 * Options of {@linkcode Client.connect}.
 *
 * @category Client
 */
export interface ClientConnectOptions {
  /** Gives up when it is aborted: `connect` rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Options of {@linkcode Client.close}.
 *
 * @category Client
 */
export interface ClientCloseOptions {
  /** How long handlers, pending requests and unsent bytes may take, in milliseconds; 0 cuts at once. @default 5000 */
  readonly drain?: number;
}

/**
 * A client of one server. It connects over TCP or a unix socket, sends typed messages and requests, and passes what the
 * server sends to the handlers set with {@linkcode Client.route}. It finds out which protocol the server speaks.
 *
 * @example Connecting and asking
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, json, messageType, Server } from "@veltix/core";
 *
 * const ADD = messageType(200, "add", json<{ a: number; b: number }>(), json<number>());
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * server.route(ADD, ({ data }) => data.a + data.b);
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * await client.connect();
 * assertEquals([client.state, client.stats().protocol], ["connected", "native"]);
 * assertEquals(await client.request(ADD, { a: 1, b: 2 }), 3);
 * ```
 *
 * @example A request that outlives its connection
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client, messageType, Server, text } from "@veltix/core";
 * import { type Connection, memoryTransport } from "@veltix/core/memory";
 *
 * // A network within the program, so that its cables can be cut.
 * const network = memoryTransport();
 * const cables: Connection[] = [];
 * const transport = {
 *   ...network,
 *   connect: async (...to: Parameters<typeof network.connect>) => {
 *     const cable = await network.connect(...to);
 *     cables.push(cable);
 *     return cable;
 *   },
 * };
 *
 * const HELLO = messageType(200, "hello", text, text);
 * await using server = new Server({ port: 0, hostname: "127.0.0.1", transport, resume: true });
 * server.route(HELLO, ({ data }) => `Hello, ${data}!`);
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0], transport, reconnect: true, resume: true });
 * const events: string[] = [];
 * client.on("suspended", () => events.push(`suspended: ${client.state}`));
 * client.on("resumed", () => events.push(`resumed: ${client.state}`));
 * await client.connect();
 * cables[0].abort();
 * assertEquals(await client.request(HELLO, "Ada"), "Hello, Ada!");
 * assertEquals(events, ["suspended: suspended", "resumed: connected"]);
 * ```
 *
 * @category Client
 */
export class Client implements AsyncDisposable, RouteTarget<Client> {
  readonly #core: EndpointCore<ClientEvents>;
  readonly #link: Connector;
  /** The open loops over messages. */
  readonly #streams = new Set<{ end(): void }>();
  readonly #plugins: PluginSlot;

  /**
   * Creates a client; {@linkcode connect} connects it.
   *
   * @param config Options; all optional.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type; the message names it.
   * @throws {ConfigError} `invalid-config`: two options exclude each other, or `resume` is set without `reconnect`.
   * `unsupported`: this runtime cannot compute the checksums of the protocol, or `transport` is a name and the imported
   * entry of the package loads no sockets.
   */
  constructor(config: ClientConfig = {}) {
    const options = readOptions("a client's config", config, CLIENT_OPTIONS);
    const { protocol: spoken, credentials, encryption, queueWhileDown, reconnect, resume, tls } = options;
    if (resume !== undefined && reconnect === undefined) {
      throw new ConfigError("invalid-config", "resume needs reconnect: set reconnect to true or to its options");
    }
    const core = this.#core = new EndpointCore<ClientEvents>(
      options,
      CLIENT_EVENTS,
      platformOf(new.target),
      undefined,
      extraFeatures(config),
    );
    const destinations = destinationsOf(options);
    checkSockets(options, destinations);
    if (tls !== undefined) core.checkLoader("tls");
    if (destinations.some(({ url }) => url !== undefined)) core.checkLoader("url");
    if (encryption !== undefined) core.checkLoader("encryption");
    const target = {
      tls,
      bufferSize: core.bufferSize,
      protocol: spoken,
      credentials,
      timeout: core.limits.handshakeTimeout,
    };
    checkCredentials(target.protocol, typeof credentials === "function" ? null : credentials);
    if (credentials !== undefined && !options.insecureCredentials) {
      for (const destination of destinations) checkWay(options, destination);
    }
    if (core.recovery === "resync" && target.protocol !== "auto" && protocol(target.protocol).magic === undefined) {
      throw noResync(`protocol "${target.protocol}"`);
    }
    const queue = queueWhileDown === false
      ? undefined
      : new OutgoingQueue(queueWhileDown === true ? {} : queueWhileDown, core.limits.highWaterMark);
    this.#link = new Connector(core, destinations, target, encryption, reconnect, queue, this, () => {
      for (const stream of this.#streams) stream.end();
    });
    this.#plugins = new PluginSlot(() => {
      const server = serverOf(this, this.#link);
      return {
        side: "client",
        core: core as unknown as EndpointCore<EventMap>,
        events: CLIENT_EVENTS,
        peerOf: (value) => value === this ? server : undefined,
        peers: () => server.connected ? [server] : [],
        broadcast: (type, payload, options) => {
          server.send(type, payload, options);
          return { sent: 1, dropped: 0 };
        },
        stats: () => this.stats(),
        failed: (error, _server, message) => core.error(error, message),
      };
    });
  }

  /**
   * The client's state. It is `"connected"` while there is a connection that can be used. With `resume` it is `"suspended"`
   * while there is none and the session waits for another one: messages can be sent then, too.
   */
  get state(): ClientState {
    return this.#link.state;
  }

  /**
   * The server that the client is connected to, as the options name it. While there is no connection, the server that is
   * tried next. With a URL, its host and port.
   */
  get server(): Endpoint {
    return this.#link.server;
  }

  /** What protects the connection; while the session is suspended, its last one. `undefined` while there is neither. */
  get security(): "none" | ConnectionSecurity["kind"] | undefined {
    return this.#link.peer?.security;
  }

  /**
   * The certificate of the server; while the session is suspended, that of its last connection. `undefined` while there is
   * neither, or without TLS.
   */
  get certificate(): PeerCertificate | undefined {
    return this.#link.peer?.certificate;
  }

  /**
   * The public key by which the server was trusted; while the session is suspended, that of its last connection.
   * `undefined` while there is neither, or without encryption.
   */
  get serverKey(): string | undefined {
    return this.#link.peer?.publicKey;
  }

  /** Resolves when the connection is over and no other follows; never rejects. */
  get closed(): Promise<void> {
    return this.#link.closed;
  }

  /** Returns the connection's counters, its state and its protocol. */
  stats(): ClientStats {
    const { peer, state, outgoing: { queued } } = this.#link;
    return { state, protocol: peer?.session.protocolName, queuedWhileDown: queued, ...peer?.stats };
  }

  /**
   * Connects. Calls made while connecting or connected share one attempt. The attempt is given up when the last of its
   * callers gives up, and a call after that begins another as soon as the first is over. With `reconnect` it goes on
   * until the attempts are used up, by default forever: give a signal, or watch `disconnect`. While the session is
   * suspended, it waits until the session goes on, or for the next connection if it is lost. Leaving a server that turns
   * out not to be a Veltix server may take up to a second.
   *
   * @param options A signal to give up by.
   * @returns Resolves when the handshake is done and messages can be sent.
   * @throws {ConnectionError} `refused`, `unresolvable`, `unreachable`, `timed-out` and the like; `closed` while the
   * client is closing, or if the server closes the connection during the handshake.
   * @throws {HandshakeError} The server speaks another release, is too slow, or is not a Veltix server.
   * @throws {ConfigError} `unsupported`: this runtime lacks the sockets that `transport` names, or is too old for `tls`.
   * @throws {TypeError} In a browser: a file of the bundle cannot be loaded. The next call tries again.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
   */
  connect(options: ClientConnectOptions = {}): Promise<void> {
    return this.#link.connect(options.signal);
  }

  /**
   * Stops reconnecting. An attempt to reconnect that is under way is given up, and `disconnect` fires with `permanent`.
   * A session that is suspended is lost. A first attempt goes on and an open connection stays, but no attempt follows
   * them, and the session ends with its connection. The next `connect()` that begins an attempt reconnects as configured
   * again. If it is called in the same turn, what `queueWhileDown` holds waits for it.
   */
  stopRetry(): void {
    this.#link.stopRetry();
  }

  /**
   * Begins a new row of attempts to reconnect, even after {@linkcode stopRetry}. If the client is not connected, the
   * first attempt begins at once, even while it waits for the next one. So does the next attempt of a session that is
   * suspended. An open connection stays. Without `reconnect` in the configuration, the defaults of `reconnect` apply.
   *
   * @param max How many attempts in a row. Default: those of `reconnect`.
   * @returns Resolves when the client is connected. Nobody has to await it.
   * @throws {RangeError | TypeError} `max` is not a whole number from 0.
   * @throws {ConnectionError | HandshakeError} The last attempt failed, or the client is closing.
   */
  retry(max?: number): Promise<void> {
    return this.#link.retry(max === undefined ? undefined : attemptsOf("max", max));
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
   * Plugins stay when the client is closed, as routes and listeners do.
   *
   * @param plugin The plugin.
   * @param options The options of the plugin. Left out if it has none.
   * @param how What it may do at most, its time limits, and when it is switched off.
   * @returns Resolves when the plugin is set up. It never throws; the promise rejects.
   * @throws {PermissionError} The plugin wants more than `how.permissions`, or something that a client does not have.
   * @throws {PluginError} `plugin-exists`: one of that name is registered. `dependency-missing` or `dependency-circular`: a
   * plugin that it depends on is not. `plugin-failed` or `plugin-timeout`: its `setup` threw, as `cause`, or took too long.
   * @throws {TypeError | RangeError} It is no plugin, or an option is wrong.
   * @throws {unknown} What the plugin's own check of its options throws.
   *
   * @example A plugin that counts what is sent
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, definePlugin, messageType, Server, text } from "@veltix/core";
   *
   * const sent: string[] = [];
   * const recorder = definePlugin({
   *   name: "recorder",
   *   version: "1.0.0",
   *   permissions: ["messages:read"],
   *   setup: () => ({ outgoing: ({ kind, type }) => sent.push(`${kind} ${type.name}`) }),
   * });
   *
   * const UPPER = messageType(200, "upper", text, text);
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(UPPER, ({ data }) => data.toUpperCase());
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.register(recorder);
   * client.attach("all", recorder, "outgoing");
   * await client.connect();
   * assertEquals(await client.request(UPPER, "hello"), "HELLO");
   * assertEquals(sent, ["request upper"]);
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
   * Adds a middleware: a function around the handlers of this client, of messages and of streams, and around the listeners to
   * `message`. It is around the routes that are there and those that are added later. The first one that was added is the
   * outermost. Without any, messages cost what they cost before.
   *
   * @param middleware Called with each message or stream, this client, and `next`.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function.
   *
   * @example A check before every handler
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, json, messageType, Server } from "@veltix/core";
   *
   * const ADD = messageType(200, "add", json<number[]>(), json<number>());
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * const answer = new Promise((resolve) => {
   *   server.on("connect", (client) => client.request(ADD, [1, 2, 3]).catch(({ message }) => resolve(message)));
   * });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * client.route(ADD, ({ data: [a, b] }) => a + b);
   * client.use([ADD], ({ data }, _client, next) => {
   *   if (data.length !== 2) throw new Error("add takes two numbers");
   *   return next();
   * });
   * client.on("error", () => {});
   * await client.connect();
   * assertEquals(await answer, "add takes two numbers");
   * ```
   */
  use(middleware: Middleware<Client>): () => void;
  /**
   * Adds a middleware around the handlers of these types only. It is not around messages without a route, and around a
   * worker route it gets the payload as bytes.
   *
   * @param types The types of messages and streams.
   * @param middleware Called with each message or stream of these types, this client, and `next`.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function, or `types` is not a list of types.
   */
  use<const Types extends readonly AnyType[]>(
    types: Types,
    middleware: Middleware<Client, IncomingOf<Types[number]>>,
  ): () => void;
  use(
    first: readonly AnyType[] | Middleware<Client>,
    second?: Middleware<Client, never>,
  ): () => void {
    return this.#core.use(first, second);
  }

  /**
   * Adds a middleware around what is sent to the server: `send`, `request` and `exchange`, `open`. Answers
   * of handlers do not pass through it. The first one that was added is the outermost.
   *
   * @param middleware Called with each call and `next`. Only for requests it may be asynchronous.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function.
   *
   * @example Answers from a cache
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const UPPER = messageType(200, "upper", text, text);
   * let asked = 0;
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(UPPER, ({ data }) => (asked++, data.toUpperCase()));
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * const cache = new Map<unknown, unknown>();
   * client.useOutgoing([UPPER], async ({ payload }, next) => {
   *   if (!cache.has(payload)) cache.set(payload, await next());
   *   return cache.get(payload);
   * });
   * await client.connect();
   * assertEquals([await client.request(UPPER, "a"), await client.request(UPPER, "a"), asked], ["A", "A", 1]);
   * ```
   */
  useOutgoing(middleware: OutgoingMiddleware<Client>): () => void;
  /**
   * Adds a middleware around what is sent of these types only.
   *
   * @param types The types of messages and streams.
   * @param middleware Called with each call of these types and `next`.
   * @returns A function that removes the middleware.
   * @throws {TypeError} It is not a function, or `types` is not a list of types.
   */
  useOutgoing(types: readonly AnyType[], middleware: OutgoingMiddleware<Client>): () => void;
  useOutgoing(
    first: readonly AnyType[] | OutgoingMiddleware<Client>,
    second?: OutgoingMiddleware<Client>,
  ): () => void {
    return this.#core.useOutgoing(first, second);
  }

  /**
   * Handles messages of one type. If the type has a reply, the handler's result is sent as the reply; a promise is
   * awaited. If the handler throws, the request of a native peer rejects with a `RemoteError`.
   *
   * @param type The type.
   * @param handler Called with each message and this client.
   * @param options `ordered` handles this route's messages one at a time, across reconnects, too; `timeout` limits
   * each. With `batch: true` the handler gets an array of messages; see {@linkcode BatchRouteOptions}.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   * @throws {TypeError} `handler` is not a function, an option is unknown or of the wrong type, or `batch` is on and the
   * type has a reply.
   * @throws {RangeError} `timeout` is not a whole number from 1 to 2147483647.
   *
   * @example A server that asks its client
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const NAME = messageType(200, "name", text, text);
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * const name = new Promise((resolve) => {
   *   server.on("connect", (client) => resolve(client.request(NAME, "who are you?")));
   * });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * client.route(NAME, () => "Alice");
   * await client.connect();
   * assertEquals(await name, "Alice");
   * ```
   *
   * @example Positions of which only the last one counts
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, json, messageType, Server } from "@veltix/core";
   *
   * const POSITION = messageType(200, "position", json<number>());
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.on("connect", (client) => [1, 2, 3].forEach((x) => client.send(POSITION, x)));
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * const last = new Promise((resolve) => {
   *   client.route(POSITION, (messages) => {
   *     const { data } = messages.at(-1)!;
   *     if (data === 3) resolve(data);
   *   }, { batch: true });
   * });
   * await client.connect();
   * assertEquals(await last, 3);
   * ```
   */
  route<In, Out, ReplyIn, ReplyOut, Options extends RouteOptions | BatchRouteOptions = RouteOptions>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: NoInfer<RouteHandler<Out, ReplyIn, Client, Options>>,
    options?: Options,
  ): void {
    this.#core.route(type, handler as RouteHandler<Out, ReplyIn, Client, Options>, options);
  }

  /**
   * Handles the streams of one type that the server opens. Each has its own flow control: one whose handler does not read
   * holds up neither other streams nor messages. Handlers of streams do not count towards `maxConcurrentHandlers`, but
   * at most `maxStreams` run at once, over all connections of this client.
   *
   * The handler may be an asynchronous function, whose value is the result, or an asynchronous generator, each of whose
   * values goes to the opener. It may also return a `ReadableStream`. If it throws, the opener gets the error.
   *
   * @param type The type of the streams.
   * @param handler Called with each stream and this client.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   * @throws {TypeError} `handler` is not a function, or `type` is no stream type.
   */
  stream<HI, HO, UI, UO, DI, DO, RI, RO>(
    type: StreamType<HI, HO, UI, UO, DI, DO, RI, RO>,
    handler: NoInfer<StreamHandler<HO, UO, DI, RI, Client>>,
  ): void {
    this.#core.stream(type as unknown as AnyStreamType, handler as StreamRoute["handler"]);
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
   * @example Computing for the server
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
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * client.workerRoute(SQUARE, module, { threads: 2, timeout: 10_000 });
   * const square = new Promise((resolve) => {
   *   server.on("connect", (peer) => resolve(peer.request(SQUARE, 12, { timeout: 60_000 })));
   * });
   * await client.connect();
   * assertEquals(await square, 144);
   * ```
   */
  workerRoute<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    module: string | URL,
    options?: WorkerRouteOptions,
  ): void {
    this.#core.workerRoute(type as AnyMessageType, module, options, () => undefined);
  }

  /**
   * Reads the messages of one type in a loop, across reconnects, in order. It takes the place of a route: messages are
   * kept from this call on. While the loop is busy, the next message and all after it wait, whatever their type, and in
   * the end the server stops sending. A request is answered by `message.reply()`. The loop ends when the client is
   * closed for good. Leaving the loop removes the route.
   *
   * @param type The type.
   * @returns An async iterator.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   *
   * @example Reading three messages
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const LINE = messageType(200, "line", text);
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.on("connect", (client) => ["a", "b", "c"].forEach((line) => client.send(LINE, line)));
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * const messages = client.messages(LINE);
   * await client.connect();
   * const lines: string[] = [];
   * for await (const { data } of messages) {
   *   if (lines.push(data) === 3) break;
   * }
   * assertEquals(lines, ["a", "b", "c"]);
   * ```
   */
  messages<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
  ): AsyncIterableIterator<Message<Out, ReplyIn>> {
    const stream: MessageStream<Out, ReplyIn> = new MessageStream(() => {
      this.#streams.delete(stream);
      this.#core.unroute(type);
    });
    const handler = (message: Message<Out, ReplyIn>): unknown => stream.handle(message);
    this.#core.route(type, handler as Handler<Out, ReplyIn, Client>, { ordered: true });
    this.#streams.add(stream);
    return stream;
  }

  /**
   * Adds routes of messages and streams together: all of them, or none if one cannot be added. `implement` does that for
   * a contract, with handlers whose types are checked.
   *
   * @param routes The types with their handlers and options.
   * @returns A function that removes those of these routes that are still there.
   * @throws {MessageTypeError | TypeError | RangeError} As {@linkcode route} and {@linkcode stream}.
   */
  addRoutes(routes: readonly NewRoute<Client>[]): () => void {
    return this.#core.routeAll(routes);
  }

  /**
   * Removes a route.
   *
   * @param type The type.
   * @returns True if there was one.
   */
  unroute(type: { readonly code: number }): boolean {
    return this.#core.unroute(type);
  }

  /**
   * Listens to an event. To stop listening, abort the `signal` of the options: there is no `off`.
   *
   * @param event The event's name.
   * @param listener Called with the event's arguments. If it throws or rejects, the `error` event fires.
   * @param options `once` for the first event only; `signal` to stop listening.
   * @throws {TypeError} There is no such event, or `listener` is not a function.
   *
   * @example Why the connection ended
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, Server } from "@veltix/core";
   *
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * await server.start();
   * await using client = new Client({ ...server.addresses[0] });
   * const reason = new Promise((resolve) => client.on("disconnect", (state) => resolve(state.reason), { once: true }));
   * await client.connect();
   * await server.close();
   * assertEquals(await reason, "going-away");
   * ```
   */
  on<Name extends keyof ClientEvents>(
    event: Name,
    listener: Listener<ClientEvents[Name]>,
    options?: EventOptions,
  ): void {
    this.#core.events.on(event, listener, options);
  }

  /**
   * Sends a message whose type has no payload, see `empty`.
   *
   * @param type The type.
   * @returns True if more may be sent right away. It throws as with a payload.
   */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): boolean;
  /**
   * Sends a message. An idle connection writes it at once; messages sent later in the same turn share the next write.
   * While the session is suspended (see the option `resume`), messages wait for the next connection. They and what the
   * server has not acknowledged may be `buffer` bytes together.
   *
   * @param type The type.
   * @param payload The payload.
   * @param options Metadata, what replaces the message while it waits, how long it may wait, and whether the payload's
   * memory is given away.
   * @returns True if more may be sent right away. False above `highWaterMark`: await {@linkcode ready} then.
   * @throws {ConnectionError} `not-connected` or `closed`.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `queue-full`: the message was not taken.
   * @throws {PayloadError} The payload cannot be encoded, or is larger than the peer takes.
   * @throws {PayloadError} `metadata-unsupported`: there is metadata, and the peer takes none.
   * @throws {TypeError} The payload is not what the codec takes.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type. `meta` is not a plain object
   * of names to strings, or too large. With `transfer`, the payload's memory cannot be given away.
   */
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: SendOptions,
  ): boolean;
  send<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload?: In,
    options?: SendOptions,
  ): boolean {
    const { outgoing } = this.#core;
    const direct = this.#link.outgoing;
    if (outgoing !== undefined) return outgoing.send({ peer: this, direct }, type, payload, options);
    return direct.send(type, payload as In, options === undefined ? undefined : sendTerms(type.name, options));
  }

  /**
   * Sends a request whose type has no payload, see `empty`, and waits for the answer.
   *
   * @param type The type.
   * @returns The decoded answer. It rejects as with a payload.
   */
  request<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): Promise<ReplyOut>;
  /**
   * Sends a request and waits for the answer. It never throws; the promise rejects.
   *
   * @param type The type, which has a reply.
   * @param payload The payload.
   * @param options Timeout, 5,000 ms by default, signal, metadata, and the message that it is made for.
   * @returns The decoded answer.
   * @throws {TimeoutError} No answer came in time. `deadline-exceeded`: it was the time of the message in `within`.
   * @throws {RemoteError} The server answered with an error.
   * @throws {ConnectionError} `not-connected` or `closed`: there is no connection, or it ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full`, `queue-full` or `ids-exhausted`: the request was
   * not taken.
   * @throws {MessageTypeError} `no-reply-codec`: the type has no reply.
   * @throws {PayloadError} The payload cannot be encoded or is larger than the peer takes, or the answer cannot be
   * decoded.
   * @throws {TypeError} The payload is not what the codec takes.
   * @throws {PayloadError} `metadata-unsupported`: there is metadata, and the peer takes none.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647, or `meta` is too large.
   * @throws {TypeError} `meta` is not a plain object of names to strings, or `within` is no message.
   * @throws {unknown} `signal.reason`, when `signal` or that of `within` is aborted.
   *
   * @example An answer, and an error of the other side
   * ```ts
   * import { assertEquals, assertRejects } from "@std/assert";
   * import { Client, json, messageType, RemoteError, Server } from "@veltix/core";
   *
   * const ROOT = messageType(200, "root", json<number>(), json<number>());
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.on("error", () => {}); // A handler's errors are logged otherwise.
   * server.route(ROOT, ({ data }) => {
   *   if (data < 0) throw Object.assign(new Error("no root"), { code: "negative" });
   *   return Math.sqrt(data);
   * });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * assertEquals(await client.request(ROOT, 9, { timeout: 1_000 }), 3);
   * const error = await assertRejects(() => client.request(ROOT, -1), RemoteError, "no root");
   * assertEquals(error.code, "negative");
   * ```
   */
  request<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: RequestOptions,
  ): Promise<ReplyOut>;
  request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload?: In,
    options: RequestOptions = {},
  ): Promise<ReplyOut> {
    if (this.#core.outgoing !== undefined) {
      return this.exchange(type as RequestType<In, Out, ReplyIn, ReplyOut>, payload as In, options)
        .then(({ data }) => data);
    }
    const { outgoing } = this.#link;
    return outgoing.peer?.request(type, payload as In, options) ??
      outgoing.request(type, payload as In, options, false) as Promise<ReplyOut>;
  }

  /**
   * Does what {@linkcode request} does for a type without a payload, and returns the whole answer.
   *
   * @param type The type.
   * @returns The whole answer. It rejects as with a payload.
   */
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut> & WithoutPayload<In>,
  ): Promise<Answer<ReplyOut>>;
  /**
   * Does what {@linkcode request} does, and returns the whole answer: the payload, the metadata that the handler has set,
   * and how long it took. It rejects as {@linkcode request} does; a `RemoteError` has the metadata of the error.
   *
   * @param type The type, which has a reply.
   * @param payload The payload.
   * @param options As for {@linkcode request}.
   * @returns The answer. Its `meta` is empty if the server speaks a Python protocol.
   *
   * @example Metadata there and back
   * ```ts
   * import { assert, assertEquals } from "@std/assert";
   * import { Client, messageType, Server, text } from "@veltix/core";
   *
   * const GREET = messageType(200, "greet", text, text);
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.route(GREET, ({ data, meta, setReplyMeta }) => {
   *   setReplyMeta({ cache: "miss" });
   *   return meta.language === "de" ? `Hallo ${data}` : `Hello ${data}`;
   * });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * const { data, meta, latency } = await client.exchange(GREET, "Ada", { meta: { language: "de" } });
   * assertEquals([data, meta.cache], ["Hallo Ada", "miss"]);
   * assert(latency >= 0);
   * ```
   */
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: RequestType<In, Out, ReplyIn, ReplyOut>,
    payload: NoInfer<In>,
    options?: RequestOptions,
  ): Promise<Answer<ReplyOut>>;
  exchange<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    payload?: In,
    options: RequestOptions = {},
  ): Promise<Answer<ReplyOut>> {
    const { outgoing } = this.#core;
    const direct = this.#link.outgoing;
    const answer = outgoing === undefined
      ? direct.exchange(type, payload as In, options)
      : outgoing.exchange({ peer: this, direct }, type, payload, options);
    return answer as Promise<Answer<ReplyOut>>;
  }

  /**
   * Opens a stream: a request with bytes or items in both directions before its answer. The program can write at once,
   * without waiting for the other side.
   *
   * @param type The type of the stream.
   * @param head What the other side gets at the beginning. Left out if the type has none.
   * @param options A signal that ends the stream, how much the other side may send before it is read, metadata, and the
   * message that the stream is opened for.
   * @returns Both directions as Web Streams, and the answer.
   * @throws {ConnectionError} `not-connected` or `closed`.
   * @throws {BackpressureError} `too-many-streams`: as many are open as the other side takes, or as this side's windows
   * allow. `buffer-full` or `total-buffer-full`: too much waits to be sent.
   * @throws {ConfigError} `unsupported`: the other side is a Python program, which has no streams.
   * @throws {PayloadError} The head cannot be encoded, or is larger than the other side takes.
   * @throws {PayloadError} `metadata-unsupported`: there is metadata, and the peer takes none.
   * @throws {TimeoutError} `deadline-exceeded`: the message in `within` has no time left.
   * @throws {RangeError | TypeError} `window` is not a whole number from 1 to `maxStreamWindow`, or `meta` or `within` is
   * wrong as for {@linkcode request}.
   * @throws {unknown} `signal.reason`, if `signal` or that of `within` is aborted.
   *
   * @example A file that goes up and prices that come down
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Client, json, Server, streamType } from "@veltix/core";
   *
   * const UPLOAD = streamType(300, "upload", { head: json<{ name: string }>(), down: false, result: json<number>() });
   * const PRICES = streamType(301, "prices", { head: json<{ symbol: string }>(), up: false, down: json<number>() });
   * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
   * server.stream(UPLOAD, async ({ readable }) => {
   *   let size = 0;
   *   for await (const chunk of readable) size += chunk.length;
   *   return size;
   * });
   * server.stream(PRICES, async function* () {
   *   yield 1;
   *   yield 2;
   * });
   * await server.start();
   *
   * await using client = new Client({ ...server.addresses[0] });
   * await client.connect();
   * const upload = client.open(UPLOAD, { name: "a.txt" });
   * await ReadableStream.from([new Uint8Array(70_000), new Uint8Array(30_000)]).pipeTo(upload.writable);
   * assertEquals(await upload.result, 100_000);
   *
   * const prices: number[] = [];
   * for await (const price of client.open(PRICES, { symbol: "X" }).readable) prices.push(price);
   * assertEquals(prices, [1, 2]);
   * ```
   */
  open<HI, HO, UI, UO, DI, DO, RI, RO>(
    type: StreamType<HI, HO, UI, UO, DI, DO, RI, RO>,
    ...[head, options]: [HI] extends [void] ? [head?: undefined, options?: OpenOptions]
      : [head: NoInfer<HI>, options?: OpenOptions]
  ): OpenStream<UI, DO, RO> {
    const { outgoing } = this.#core;
    const any = type as unknown as AnyStreamType;
    const direct = this.#link.outgoing;
    const stream = outgoing === undefined
      ? direct.open(any, head, options ?? {})
      : outgoing.open({ peer: this, direct }, any, head, options);
    return stream as OpenStream<UI, DO, RO>;
  }

  /**
   * Measures a round trip. It never throws; the promise rejects.
   *
   * @param options Timeout, 5,000 ms by default, and signal.
   * @returns Milliseconds, by a monotonic clock.
   * @throws {TimeoutError} No answer came in time.
   * @throws {RemoteError} The server answered with an error.
   * @throws {ConnectionError} `not-connected` or `closed`: there is no connection, or it ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `ids-exhausted`: the ping was not sent.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
   */
  ping(options: PingOptions = {}): Promise<number> {
    return this.#link.peer?.ping(options) ?? Promise.reject(closedError("Cannot ping", undefined));
  }

  /** Resolves when more may be sent or queued, or when the connection is over; never rejects. */
  ready(): Promise<void> {
    return this.#link.outgoing.ready();
  }

  /** Lets the process exit even while the client is connected or its session is suspended. */
  unref(): void {
    this.#link.unref();
  }

  /**
   * Closes the connection: lets running handlers and pending requests finish, flushes what was sent, then cuts it.
   * Routes and event listeners stay, and the client can connect again. A second call returns the same promise.
   *
   * While the session is suspended, the client tries to come back first, within the same time. If it cannot, the session
   * is lost, and the server learns of it only when it has kept the session long enough.
   *
   * A handler may await it. It then resolves when nothing else is under way, so that the handler can go on and answer.
   * The handler must call it before it awaits anything else. Otherwise the client cannot tell that the handler is the
   * caller, and waits for the handler until `drain` is over.
   *
   * @param options How long work under way may take.
   * @returns Resolves when no socket and no timer is left; never rejects.
   * @throws {RangeError | TypeError} `drain` is not a number from 0 to 2147483647, or an option is unknown.
   */
  close(options: ClientCloseOptions = {}): Promise<void> {
    return this.#link.close(drainOf(options));
  }

  /** Does what {@linkcode close} does, and removes all plugins, the last one first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.#plugins.close();
  }
}
