/**
 * The server: listens, agrees with whoever connects, and hands messages to routes.
 *
 * @module
 */

import { ConnectionError, HandshakeError, ProtocolError } from "../errors.ts";
import { Events, type Listener as EventListener, type ListenOptions } from "../events.ts";
import { loadTransport } from "../load_transport.ts";
import { checkPayload } from "../message/codecs.ts";
import type { Message } from "../message/message.ts";
import type { MessageType } from "../message/message_type.ts";
import {
  bufferBytes,
  coreOf,
  DEFAULT_LIMITS,
  drainOf,
  type Limits,
  limitsOf,
  type Log,
  logOf,
  type SocketCore,
  wholeNumber,
  writeLine,
} from "../options.ts";
import { handshakeReason } from "../session/close_reason.ts";
import { Latch } from "../session/latch.ts";
import { type Handler, type RouteOptions, Routes } from "../session/routes.ts";
import { Session } from "../session/session.ts";
import { makeShared, type SessionShared } from "../session/shared.ts";
import type { Address, Connection, Listener } from "../transport.ts";
import type { HandshakeOutcome } from "../wire/handshake.ts";
import { protocol } from "../wire/protocols.ts";
import { type BroadcastResult, broadcastTo } from "./broadcast.ts";
import { ClientInfo, type CloseOptions } from "./client_info.ts";
import { PendingHandshakes } from "./pending_handshakes.ts";
import { type Place, placesOf, type ServerConfig } from "./server_config.ts";
import type { ServerEvents } from "./server_events.ts";

/** A server's counters. */
export interface ServerStats {
  /** Connected clients. */
  readonly connections: number;
  /** Connections in the middle of their handshake. */
  readonly pendingHandshakes: number;
  /** Connections that failed the handshake. */
  readonly rejected: number;
  /** Bytes waiting to be sent, over all clients. */
  readonly bufferedBytes: number;
}

/** Options of {@linkcode Server.broadcast}; all optional. */
export interface BroadcastOptions {
  /** Clients to send to. @default all clients */
  readonly to?: Iterable<ClientInfo>;
  /** Clients to leave out. @default none */
  readonly except?: Iterable<ClientInfo>;
  /** Skips a client whose buffer is full, or closes its connection. @default "skip" */
  readonly onFull?: "skip" | "close";
}

/** One life of a server: from `start()` to the end of `close()`. */
interface Run {
  readonly shared: SessionShared;
  readonly listeners: readonly Listener[];
  readonly handshakes: PendingHandshakes;
  readonly accepting: Promise<void>[];
  readonly welcoming: Set<Promise<void>>;
}

/**
 * A TCP or unix socket server for typed messages. It does the handshake with each connection, passes messages to the
 * handlers set with {@linkcode Server.route}, in order per connection, and can send to, ask and broadcast to its clients.
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
 */
export class Server implements AsyncDisposable {
  readonly #places: readonly Place[];
  readonly #limits: Limits;
  readonly #bufferSize: number;
  readonly #core: SocketCore;
  readonly #log: Log;
  readonly #maxPendingHandshakes: number;
  readonly #routes = new Routes();
  readonly #events: Events<ServerEvents>;
  readonly #clients = new Map<ClientInfo, Session>();
  readonly #sessions = new Set<Session>();
  #run: Run | undefined = undefined;
  #starting: Promise<void> | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  readonly #closed = new Latch();
  #lastId = 0;
  #rejected = 0;
  #unref = false;

  /**
   * Creates a server; {@linkcode start} makes it listen.
   *
   * @param config Options; all optional.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type; the message names it.
   * @throws {ConfigError} `invalid-config`: two options exclude each other.
   */
  constructor(config: ServerConfig = {}) {
    this.#places = placesOf(config);
    this.#limits = limitsOf(config, DEFAULT_LIMITS.handshakeTimeout);
    this.#bufferSize = bufferBytes(config.bufferSize);
    this.#core = coreOf(config.socketCore);
    this.#log = logOf(config.logger);
    const { maxPendingHandshakes = 2_048 } = config;
    this.#maxPendingHandshakes = wholeNumber("maxPendingHandshakes", maxPendingHandshakes, 1);
    this.#events = new Events<ServerEvents>(
      ["listening", "connect", "message", "disconnect", "unhandled", "error", "rejected", "close"],
      (error) => this.#error(error),
      (error) => this.#logError(error),
    );
  }

  /** The addresses it listens at, with the actual ports; empty while it is not listening. */
  get addresses(): readonly Address[] {
    return this.#run?.listeners.map((listener) => listener.address) ?? [];
  }

  /** The connected clients, oldest first. */
  get clients(): readonly ClientInfo[] {
    return [...this.#clients.keys()];
  }

  /** Resolves when the server is closed; never rejects. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Reads the counters. */
  stats(): ServerStats {
    return {
      connections: this.#clients.size,
      pendingHandshakes: this.#run?.handshakes.size ?? 0,
      rejected: this.#rejected,
      bufferedBytes: this.#run?.shared.buffered ?? 0,
    };
  }

  /**
   * Starts listening. A second call returns the same promise.
   *
   * @returns Resolves when all listeners accept connections.
   * @throws {ConnectionError} `address-in-use`, `permission-denied` and the like, or `closed` while the server is closing;
   * nothing listens then.
   * @throws {ConfigError} `unsupported`: this runtime lacks the sockets that `socketCore` names.
   */
  start(): Promise<void> {
    if (this.#closing !== undefined) {
      return Promise.reject(
        new ConnectionError("closed", "Cannot start the server: it is being closed, await closed first"),
      );
    }
    return this.#starting ??= this.#start();
  }

  /**
   * Handles messages of one type. If the type has a reply, the handler's result, awaited if it is a promise, is sent as the
   * reply; if it throws, the request of a native peer rejects with a `RemoteError`.
   *
   * @param type The type.
   * @param handler Called with each message and the client that sent it.
   * @param options `ordered` handles this route's messages one at a time per connection.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   * @throws {TypeError} `handler` is not a function.
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
   */
  route<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: NoInfer<Handler<Out, ReplyIn, ClientInfo>>,
    options?: RouteOptions,
  ): void {
    this.#routes.add(type, handler, options);
  }

  /**
   * Removes a route.
   *
   * @param type The type.
   * @returns Whether there was one.
   */
  unroute(type: { readonly code: number }): boolean {
    return this.#routes.remove(type);
  }

  /**
   * Listens to an event.
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
   * assertEquals(log, ["1 came", "1 left: peer-closed"]);
   * ```
   */
  on<Name extends keyof ServerEvents>(
    event: Name,
    listener: EventListener<ServerEvents[Name]>,
    options?: ListenOptions,
  ): void {
    this.#events.on(event, listener, options);
  }

  /**
   * Sends one message to many clients. The payload is encoded once, and a client that cannot take it never makes this
   * throw: the result counts such clients.
   *
   * @param type The type.
   * @param payload The payload.
   * @param options Which clients, and what to do about full ones.
   * @returns How many clients it was sent to, skipped and closed.
   * @throws {TypeError | PayloadError} The codec refuses the payload; nobody gets it.
   * @throws {TypeError} `onFull` is neither `"skip"` nor `"close"`.
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
    options: BroadcastOptions = {},
  ): BroadcastResult {
    const { to, except, onFull = "skip" } = options;
    if (onFull !== "skip" && onFull !== "close") throw new TypeError(`onFull must be skip or close, not "${onFull}"`);
    const content = checkPayload(type.name, type.payload.encode(payload));
    if (to === undefined && except === undefined) {
      return broadcastTo(this.#clients.values(), type.code, content, onFull);
    }
    const left = new Set(except);
    const sessions: Session[] = [];
    for (const client of new Set(to ?? this.#clients.keys())) {
      const session = left.has(client) ? undefined : this.#clients.get(client);
      if (session !== undefined) sessions.push(session);
    }
    return broadcastTo(sessions, type.code, content, onFull);
  }

  /** Lets the process exit even while the server listens or clients are connected. */
  unref(): void {
    this.#unref = true;
    for (const listener of this.#run?.listeners ?? []) listener.unref();
    for (const session of this.#sessions) session.unref();
  }

  /**
   * Closes the server: stops accepting, lets running handlers and pending requests finish, flushes what was sent, then cuts
   * what is left. Routes and event listeners stay, and the server can be started again. A second call returns the same
   * promise.
   *
   * @param options How long work under way may take.
   * @returns Resolves when no socket, listener or timer is left; never rejects.
   * @throws {RangeError | TypeError} `drain` is not a number from 0 to 2147483647.
   */
  close(options: CloseOptions = {}): Promise<void> {
    const drain = drainOf(options);
    if (this.#closing === undefined && this.#starting === undefined) {
      this.#closed.release();
      return Promise.resolve();
    }
    if (this.#closing !== undefined && drain <= 0) {
      for (const session of this.#sessions) void session.close("server-closed", 0);
    }
    return this.#closing ??= this.#close(drain);
  }

  /** The same as {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(): Promise<void> {
    this.#closed.reset();
    const listeners: Listener[] = [];
    try {
      const transport = await loadTransport(this.#core);
      const shared = makeShared(transport, this.#routes, this.#limits);
      for (const { at } of this.#places) listeners.push(await transport.listen(at, { bufferSize: this.#bufferSize }));
      const run: Run = {
        shared,
        listeners,
        handshakes: new PendingHandshakes(this.#maxPendingHandshakes),
        accepting: [],
        welcoming: new Set(),
      };
      this.#run = run;
      listeners.forEach((listener, i) => {
        if (this.#unref) listener.unref();
        run.accepting.push(this.#accept(run, listener, this.#places[i].protocol));
      });
    } catch (error) {
      this.#starting = undefined;
      await Promise.all(listeners.map((listener) => listener.close()));
      if (this.#closing === undefined) this.#closed.release();
      throw error;
    }
    this.#events.emit("listening", this.addresses);
  }

  async #accept(run: Run, listener: Listener, spoken: string): Promise<void> {
    try {
      for await (const connection of listener) {
        const welcome = this.#welcome(run, connection, spoken).finally(() => run.welcoming.delete(welcome));
        run.welcoming.add(welcome);
      }
    } catch (error) {
      this.#error(error);
    }
  }

  /** Agrees with one connection, beside all others. */
  async #welcome(run: Run, connection: Connection, spoken: string): Promise<void> {
    if (this.#unref) connection.unref();
    try {
      const outcome = await run.handshakes.agree(connection, protocol(spoken), run.shared.wheel, this.#limits);
      if (this.#closing === undefined) this.#admit(run, connection, outcome);
      else connection.abort();
    } catch (error) {
      this.#rejected++;
      const reason = this.#closing === undefined ? handshakeReason(error) : "server-closed";
      const told = this.#events.emit("rejected", { address: connection.remote, reason, error });
      if (!told && (error instanceof HandshakeError || error instanceof ProtocolError)) {
        writeLine(this.#log, "warn", error);
      }
      await run.handshakes.leave(connection, run.shared.wheel);
    }
  }

  #admit(run: Run, connection: Connection, outcome: HandshakeOutcome): void {
    const info: ClientInfo = new ClientInfo(++this.#lastId, connection.remote, () => session);
    const session: Session = new Session(connection, outcome, "server", run.shared, {
      unrouted: (message) => {
        if (this.#events.emit("message", message as unknown as Message<Uint8Array>, info)) return;
        const unhandled = { code: message.type.code, size: message.frame.end - message.frame.start };
        this.#events.emit("unhandled", unhandled, info);
      },
      error: (error, message) => this.#error(error, info, message),
      closing: () => this.#clients.delete(info),
      closed: (reason, error) => {
        this.#sessions.delete(session);
        this.#events.emit("disconnect", info, { reason, error });
      },
    }, info);
    this.#clients.set(info, session);
    this.#sessions.add(session);
    this.#events.emit("connect", info);
    session.run(outcome.rest);
  }

  async #close(drain: number): Promise<void> {
    await this.#starting?.catch(() => {});
    const run = this.#run;
    if (run !== undefined) {
      await Promise.all(run.listeners.map((listener) => listener.close()));
      await Promise.all(run.accepting);
      run.handshakes.closeAll();
      // The wheel goes last: what says farewell to a stranger still needs its time limit.
      await Promise.all([
        ...run.welcoming,
        ...[...this.#sessions].map((session) => session.close("server-closed", drain)),
      ]);
      run.shared.wheel.close();
      this.#run = undefined;
      this.#starting = undefined;
    }
    // In this order: who hears of it may start again at once.
    this.#closing = undefined;
    this.#closed.release();
    if (run !== undefined) this.#events.emit("close");
  }

  #error(error: unknown, client?: ClientInfo, message?: Message): void {
    if (!this.#events.emit("error", error, client, message)) this.#logError(error);
  }

  #logError(error: unknown): void {
    writeLine(this.#log, "error", error);
  }
}
