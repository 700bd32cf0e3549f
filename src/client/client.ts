/**
 * The client: connects, agrees with the server, and talks to it.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { Events, type Listener, type ListenOptions } from "../events.ts";
import { loadTransport } from "../load_transport.ts";
import type { Message } from "../message/message.ts";
import type { MessageType } from "../message/message_type.ts";
import {
  bufferBytes,
  checkNames,
  coreOf,
  drainOf,
  endpointOf,
  type Limits,
  limitsOf,
  type Log,
  logOf,
  protocolOf,
  type SocketCore,
  writeLine,
} from "../options.ts";
import { closedError } from "../session/close_reason.ts";
import { Latch } from "../session/latch.ts";
import { farewell } from "../session/farewell.ts";
import { negotiate } from "../session/negotiate.ts";
import { type Handler, type RouteOptions, Routes } from "../session/routes.ts";
import type { RequestOptions } from "../session/pending.ts";
import { Session } from "../session/session.ts";
import type { SessionStats } from "../session/stats.ts";
import { makeShared, type SessionShared } from "../session/shared.ts";
import { Timeout } from "../session/timer_wheel.ts";
import type { Connection, Endpoint } from "../transport.ts";
import { ClientHandshake } from "../wire/client_handshake.ts";
import type { HandshakeOutcome } from "../wire/handshake.ts";
import { protocol } from "../wire/protocols.ts";
import { CLIENT_NAMES, type ClientConfig } from "./client_config.ts";
import type { ClientEvents } from "./client_events.ts";

/** A Python server may be held up for 5 s by another client's handshake. */
const HANDSHAKE_TIMEOUT = 10_000;

/** The state of a client. */
export type ClientState = "disconnected" | "connecting" | "connected" | "closing";

/** A client's counters and what it agreed on with its server. */
export interface ClientStats extends Partial<SessionStats> {
  /** The client's state. */
  readonly state: ClientState;
  /** The protocol in use; `undefined` while not connected. */
  readonly protocol: string | undefined;
}

/** Options of {@linkcode Client.connect}. */
export interface ClientConnectOptions {
  /** Gives up when aborted: `connect` rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode Client.close}. */
export interface ClientCloseOptions {
  /** How long handlers, pending requests and unsent bytes may take, in milliseconds; 0 cuts at once. @default 5000 */
  readonly drain?: number;
}

interface Attempt {
  readonly promise: Promise<void>;
  readonly controller: AbortController;
  /** How many wait for it. */
  callers: number;
}

/**
 * A client of one server: connects over TCP or a unix socket, sends typed messages and requests, and passes what the server
 * sends to the handlers set with {@linkcode Client.route}. It finds out which protocol the server speaks.
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
 */
export class Client implements AsyncDisposable {
  readonly #endpoint: Endpoint;
  readonly #protocol: string;
  readonly #limits: Limits;
  readonly #bufferSize: number;
  readonly #core: SocketCore;
  readonly #log: Log;
  readonly #routes = new Routes();
  readonly #events: Events<ClientEvents>;
  #attempt: Attempt | undefined = undefined;
  #connection: Connection | undefined = undefined;
  #session: Session | undefined = undefined;
  readonly #closed = new Latch();
  #closing: Promise<void> | undefined = undefined;
  #unref = false;

  /**
   * Creates a client; {@linkcode connect} connects it.
   *
   * @param config Options; all optional.
   * @throws {RangeError | TypeError} An option is unknown, out of range or of the wrong type; the message names it.
   * @throws {ConfigError} `invalid-config`: two options exclude each other.
   */
  constructor(config: ClientConfig = {}) {
    checkNames("a client's config", config, CLIENT_NAMES);
    const { protocol: spoken = "auto" } = config;
    this.#endpoint = endpointOf(config, { hostname: "127.0.0.1", port: 8080 }, 1);
    this.#protocol = spoken === "auto" ? spoken : protocolOf(spoken);
    this.#limits = limitsOf(config, HANDSHAKE_TIMEOUT);
    this.#bufferSize = bufferBytes(config.bufferSize);
    this.#core = coreOf(config.socketCore);
    this.#log = logOf(config.logger);
    this.#events = new Events<ClientEvents>(
      ["connect", "message", "disconnect", "unhandled", "error"],
      (error) => this.#error(error),
      (error) => this.#logError(error),
    );
  }

  /** The client's state. */
  get state(): ClientState {
    if (this.#closing !== undefined) return "closing";
    if (this.#session !== undefined) return this.#session.open ? "connected" : "closing";
    return this.#attempt === undefined ? "disconnected" : "connecting";
  }

  /** Resolves when the connection is over; never rejects. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Reads the connection's counters, its state and its protocol. */
  stats(): ClientStats {
    const session = this.#session;
    return { state: this.state, protocol: session?.spoken, ...session?.stats };
  }

  /**
   * Connects. Calls made while connecting or connected share one attempt; it is given up when the last of its callers gives
   * up. Leaving a server that turns out not to be a Veltix server may take up to a second.
   *
   * @param options A signal to give up by.
   * @returns Resolves when the handshake is done and messages can be sent.
   * @throws {ConnectionError} `refused`, `unresolvable`, `unreachable`, `timed-out` and the like; `closed` while the client is
   * closing, or if the server closes the connection during the handshake.
   * @throws {HandshakeError} The server speaks another release, is too slow, or is not a Veltix server.
   * @throws {ConfigError} `unsupported`: this runtime lacks the sockets that `socketCore` names.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
   */
  connect(options: ClientConnectOptions = {}): Promise<void> {
    const { signal } = options;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.state === "closing") {
      return Promise.reject(
        new ConnectionError("closed", "Cannot connect: the client is being closed, await closed first"),
      );
    }
    if (this.#attempt === undefined) {
      const controller = new AbortController();
      this.#attempt = { controller, promise: this.#connect(controller), callers: 0 };
    }
    const attempt = this.#attempt;
    attempt.callers++;
    if (signal === undefined) return attempt.promise;
    return new Promise((resolve, reject) => {
      // The attempt goes on as long as anybody waits for it.
      const giveUp = (): void => {
        if (--attempt.callers === 0) attempt.controller.abort(signal.reason);
        else reject(signal.reason);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      attempt.promise.finally(() => signal.removeEventListener("abort", giveUp)).then(resolve, reject);
    });
  }

  /**
   * Handles messages of one type. If the type has a reply, the handler's result, awaited if it is a promise, is sent as the
   * reply; if it throws, the request of a native peer rejects with a `RemoteError`.
   *
   * @param type The type.
   * @param handler Called with each message and this client.
   * @param options `ordered` handles this route's messages one at a time per connection.
   * @throws {MessageTypeError} `code-taken`: this code already has a route.
   * @throws {TypeError} `handler` is not a function.
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
   */
  route<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: NoInfer<Handler<Out, ReplyIn, Client>>,
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
   * assertEquals(await reason, "peer-closed");
   * ```
   */
  on<Name extends keyof ClientEvents>(
    event: Name,
    listener: Listener<ClientEvents[Name]>,
    options?: ListenOptions,
  ): void {
    this.#events.on(event, listener, options);
  }

  /**
   * Sends a message. An idle connection writes it at once; messages sent later in the same turn share the next write.
   *
   * @param type The type.
   * @param payload The payload.
   * @returns Whether more may be sent right away. False above `highWaterMark`: await {@linkcode ready} then.
   * @throws {ConnectionError} `not-connected` or `closed`.
   * @throws {BackpressureError} `buffer-full` or `total-buffer-full`: the message was not taken.
   * @throws {PayloadError} The payload cannot be encoded, or is larger than the peer takes.
   * @throws {TypeError} The payload is not what the codec takes.
   */
  send<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload: NoInfer<In>): boolean {
    if (this.#session === undefined) throw closedError(`Cannot send "${type?.name}"`, undefined);
    return this.#session.send(type, payload);
  }

  /**
   * Sends a request and waits for the answer. It never throws; the promise rejects.
   *
   * @param type The type, which has a reply.
   * @param payload The payload.
   * @param options Timeout, 5,000 ms by default, and signal.
   * @returns The decoded answer.
   * @throws {TimeoutError} No answer came in time.
   * @throws {RemoteError} The server answered with an error.
   * @throws {ConnectionError} `not-connected` or `closed`: there is no connection, or it ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `ids-exhausted`: the request was not sent.
   * @throws {MessageTypeError} `no-reply-codec`: the type has no reply.
   * @throws {PayloadError} The payload cannot be encoded or is larger than the peer takes, or the answer cannot be decoded.
   * @throws {TypeError} The payload is not what the codec takes.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
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
    type: MessageType<In, Out, ReplyIn, ReplyOut> & ([ReplyIn] extends [never] ? never : unknown),
    payload: NoInfer<In>,
    options: RequestOptions = {},
  ): Promise<ReplyOut> {
    const session = this.#session;
    if (session === undefined) return Promise.reject(closedError(`Cannot request "${type?.name}"`, undefined));
    return session.request(type, payload, options);
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
  ping(options: RequestOptions = {}): Promise<number> {
    return this.#session?.ping(options) ?? Promise.reject(closedError("Cannot ping", undefined));
  }

  /** Resolves when more may be sent or the connection is over; never rejects. */
  ready(): Promise<void> {
    return this.#session?.ready() ?? Promise.resolve();
  }

  /** Lets the process exit even while the client is connected. */
  unref(): void {
    this.#unref = true;
    this.#connection?.unref();
  }

  /**
   * Closes the connection: lets running handlers and pending requests finish, flushes what was sent, then cuts it. Routes and
   * event listeners stay, and the client can connect again. A second call returns the same promise.
   *
   * @param options How long work under way may take.
   * @returns Resolves when no socket and no timer is left; never rejects.
   * @throws {RangeError | TypeError} `drain` is not a number from 0 to 2147483647.
   */
  close(options: ClientCloseOptions = {}): Promise<void> {
    const drain = drainOf(options);
    if (this.#closing !== undefined && drain <= 0) void this.#session?.close("manual", 0);
    if (this.#closing === undefined && this.#attempt === undefined) {
      this.#closed.release();
      return Promise.resolve();
    }
    return this.#closing ??= this.#close(drain);
  }

  /** The same as {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #connect(controller: AbortController): Promise<void> {
    const { signal } = controller;
    this.#closed.reset();
    let shared: SessionShared | undefined;
    try {
      shared = makeShared(await loadTransport(this.#core), this.#routes, this.#limits);
      const outcome = await this.#reach(shared, controller);
      // What was given up in the very moment it was reached is given up all the same.
      signal.throwIfAborted();
      const session = this.#session = this.#makeSession(shared, this.#connection!, outcome);
      this.#events.emit("connect", { protocol: session.spoken });
      session.run(outcome.rest);
    } catch (error) {
      if (this.#connection !== undefined) await farewell(this.#connection, shared!.wheel);
      shared?.wheel.close();
      this.#forget();
      throw signal.aborted ? signal.reason : error;
    }
  }

  /** A connection, and what was agreed on over it, within one time limit. */
  async #reach(shared: SessionShared, controller: AbortController): Promise<HandshakeOutcome> {
    const { transport, wheel } = shared;
    const { signal } = controller;
    const { handshakeTimeout: timeout, maxMessageSize } = this.#limits;
    const began = transport.clock.now();
    const deadline = new Timeout(() =>
      controller.abort(new ConnectionError("timed-out", `Cannot connect: no connection within ${timeout} ms`))
    );
    wheel.add(deadline, timeout);
    const connection = this.#connection = await transport.connect(this.#endpoint, {
      signal,
      bufferSize: this.#bufferSize,
    });
    wheel.remove(deadline);
    if (this.#unref) connection.unref();
    const giveUp = (): void => {
      // An open connection ends by `close`, not by the signal that connecting might have been given up by.
      if (this.#session === undefined) connection.abort(signal.reason);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    const machine = new ClientHandshake({
      protocol: this.#protocol === "auto" ? "auto" : protocol(this.#protocol),
      offer: { maxMessageSize },
      now: Date.now(),
    });
    return await negotiate(connection, machine, {
      wheel,
      timeout: Math.max(1, Math.ceil(timeout - (transport.clock.now() - began))),
      received: () => machine.received,
    });
  }

  #makeSession(shared: SessionShared, connection: Connection, outcome: HandshakeOutcome): Session {
    return new Session(connection, outcome, "client", shared, {
      unrouted: (message) => {
        if (this.#events.emit("message", message as unknown as Message<Uint8Array>)) return;
        this.#events.emit("unhandled", { code: message.type.code, size: message.frame.end - message.frame.start });
      },
      error: (error, message) => this.#error(error, message),
      closing: () => {},
      closed: (reason, error) => {
        shared.wheel.close();
        this.#forget();
        const state = { reason, error, permanent: true, attempt: 0, retryMax: 0, nextDelay: undefined };
        this.#events.emit("disconnect", state);
      },
    }, this);
  }

  #forget(): void {
    this.#attempt = undefined;
    this.#connection = undefined;
    this.#session = undefined;
    if (this.#closing === undefined) this.#closed.release();
  }

  async #close(drain: number): Promise<void> {
    if (this.#session !== undefined) await this.#session.close("manual", drain);
    else if (this.#attempt !== undefined) {
      const { controller, promise } = this.#attempt;
      controller.abort(new ConnectionError("closed", "Cannot connect: the client was closed"));
      await promise.catch(() => {});
    }
    // In this order: whoever waits for `closed` may connect again at once.
    this.#closing = undefined;
    this.#closed.release();
  }

  #error(error: unknown, message?: Message): void {
    if (!this.#events.emit("error", error, message)) this.#logError(error);
  }

  #logError(error: unknown): void {
    writeLine(this.#log, "error", error);
  }
}
