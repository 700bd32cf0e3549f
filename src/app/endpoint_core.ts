/**
 * The part that a Server and a Client have in common: routes, events, the reporting of errors, limits, and the choice
 * of sockets.
 *
 * @module
 */

import { type EventMap, Events } from "./events.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import { type CommonOptions, type Limits, limitsOf } from "./config.ts";
import { type Log, writeNote } from "./log.ts";
import type { Message } from "../message/message.ts";
import type { AnyMessageType, MessageType } from "../message/message_type.ts";
import type { AnyStreamType } from "../message/stream_type.ts";
import type { Threads } from "../thread_seam.ts";
import type { EventLoop } from "../base/clock.ts";
import { anyLoop } from "../base/event_loop.ts";
import type { Encryption } from "../encryption_seam.ts";
import type { TlsSockets } from "../tls_seam.ts";
import type { Transport } from "../transport.ts";
import type { WebSockets } from "../websocket_seam.ts";
import type { WorkerPeer } from "../workers/worker_messages.ts";
import { type WorkerRouteOptions, WorkerRoutes } from "../workers/worker_routes.ts";
import { FaultLog } from "./fault_log.ts";
import type { IncomingMessage } from "./incoming_message.ts";
import type { AnyType, Middleware } from "./middleware.ts";
import { type OutgoingMiddleware, OutgoingMiddlewares } from "./outgoing_middleware.ts";
import { noLoader, noThreads, noTransport, type Platform } from "./platform.ts";
import type { TransportChoice } from "./transport_choice.ts";
import { readTuning, type Tuning } from "./tuning.ts";
import {
  type BatchRouteOptions,
  type NewRoute,
  type RouteHandler,
  type RouteInfo,
  type RouteOptions,
  Routes,
  type StreamRoute,
} from "./routes.ts";
import type { Feature } from "../session/feature.ts";
import type { ResumeTerms } from "../session/resumption.ts";
import type { CompressionTerms } from "../compression_seam.ts";
import { compressionTerms } from "./compression_config.ts";
import { type FrameInfo, type Observers, TRAFFIC_EVENTS } from "../session/observers.ts";

/**
 * The key of a configuration's member with extra features, in addition to those of the library. It is for tests and for
 * code of this repository: the interface of features may change with any version.
 */
export const EXTRA_FEATURES: unique symbol = Symbol("features");

/** Returns the extra features of a configuration. */
export function extraFeatures(config: object = {}): readonly Feature[] {
  return (config as { readonly [EXTRA_FEATURES]?: readonly Feature[] })[EXTRA_FEATURES] ?? [];
}

/** The verbs of the events that are traced, for the log lines about single messages. */
const TRACED: { readonly [Name in (typeof TRAFFIC_EVENTS)[number]]?: string } = { sent: "Sent", received: "Received" };

/** Returns the log line about a frame. On a server, the peer has a number. */
function frameText(verb: string, { kind, code, size, requestId }: FrameInfo, peer: unknown): string {
  const { id } = (peer ?? {}) as { readonly id?: number };
  const who = id === undefined ? "" : ` ${verb === "Sent" ? "to" : "from"} client ${id}`;
  return `${verb}${who}: ${kind} ${code}, ${size} bytes, id ${requestId}`;
}

/** The common part of one Server or Client. */
export class EndpointCore<Map extends EventMap> {
  readonly routes: Routes = new Routes();
  /** The threads of the routes that have some. */
  readonly workers: WorkerRoutes = new WorkerRoutes((error) => this.error(error));
  /** The middleware around what is sent; `undefined` without any. */
  outgoing: OutgoingMiddlewares | undefined = undefined;
  readonly events: Events<Map>;
  readonly log: Log;
  /** The log for lines that peers can cause, which limits their number. */
  readonly faults: FaultLog;
  readonly limits: Limits;
  /** The fingerprint of the message types; `undefined` without a contract. */
  readonly contract: string | undefined;
  /** How payloads are compressed; `undefined` without the option `compression`. */
  readonly compression: CompressionTerms | undefined;
  /** The terms of resumption; `undefined` without the option `resume`. */
  readonly resume: ResumeTerms | undefined;
  /** Features that are offered to native peers in addition to those of the library. */
  readonly extraFeatures: readonly Feature[];
  /** How much is read at once, in bytes. */
  readonly bufferSize: number;
  /** Which sockets to use; `"none"` if there are none to use. */
  readonly transport: TransportChoice | "none";
  readonly tuning: Tuning;
  /** What happens when the stream of a Python peer is damaged. */
  readonly recovery: Recovery;
  /** Finds sockets and threads. */
  readonly #platform: Platform | undefined;
  /** True if the log gets a line for each message. */
  readonly #traces: boolean;
  /** The observers of single messages. */
  readonly observers: Observers = {
    // Define all members from the start, so that the shape stays the same: they are read for every frame.
    sent: undefined,
    received: undefined,
    routed: undefined,
    settled: undefined,
    pressure: undefined,
    limited: undefined,
    stream: undefined,
  };

  /**
   * @param options The checked options.
   * @param names The names of all events.
   * @param platform Finds sockets and threads. Without it, `transport` must be a Transport.
   * @param transport Which sockets to use.
   * @param extra Features in addition to those of the library.
   * @throws {RangeError} Two options do not fit together.
   * @throws {ConfigError} `unsupported`: `transport` is a name or `compression` is on, and there is no platform, or it has
   * none of the codecs.
   */
  constructor(
    options: CommonOptions & { readonly resume?: ResumeTerms | undefined },
    names: readonly (keyof Map & string)[],
    platform?: Platform,
    transport: TransportChoice | "none" = options.transport,
    extra: readonly Feature[] = [],
  ) {
    this.#platform = platform;
    this.limits = limitsOf(options);
    this.tuning = readTuning(options);
    this.bufferSize = options.bufferSize;
    this.transport = transport;
    if (transport !== "none") this.checkSockets(transport);
    this.log = options.logger;
    this.faults = new FaultLog(this.log);
    this.contract = options.contract;
    this.compression = compressionTerms(options.compression, platform);
    this.resume = options.resume;
    this.extraFeatures = extra;
    this.recovery = options.recovery;
    this.#traces = this.log.trace !== undefined && this.log.level === "trace";
    for (const name of TRAFFIC_EVENTS) this.#tap(name, false);
    this.events = new Events<Map>(names, {
      failed: (error) => this.error(error),
      lost: (error) => this.faults.error("error", error),
      watched: (name, on) => this.#watch(name, on),
    });
  }

  /**
   * Checks that sockets can be found. `prefix` precedes the name of the option in error messages.
   *
   * @throws {ConfigError} `unsupported`: `transport` is a name, and there is no platform.
   */
  checkSockets(transport: TransportChoice, prefix: string = ""): void {
    if (typeof transport === "object" || this.#platform !== undefined) return;
    throw noTransport(transport, `${prefix}transport`);
  }

  /** Returns the sockets, or a promise of them if they are not loaded yet. */
  sockets(): Transport | Promise<Transport> | undefined;
  sockets(transport: TransportChoice | undefined): Transport | Promise<Transport>;
  sockets(transport: TransportChoice | "none" = this.transport): Transport | Promise<Transport> | undefined {
    if (transport === "none") return undefined;
    return typeof transport === "object" ? transport : this.#platform!.loadTransport(transport);
  }

  /**
   * Checks that the code of an option can be loaded.
   *
   * @throws {ConfigError} `unsupported`: there is no platform.
   */
  checkLoader(option: "encryption" | "tls" | "url" | "webSocket"): void {
    if (this.#platform === undefined) throw noLoader(option);
  }

  /** Loads the encryption. */
  encryption(): Encryption | Promise<Encryption> {
    return this.#platform!.loadEncryption();
  }

  /** Loads TLS. */
  tls(): Promise<TlsSockets> {
    return this.#platform!.loadTls();
  }

  /** Loads the WebSockets. */
  webSockets(): Promise<WebSockets> {
    return this.#platform!.loadWebSockets();
  }

  /** Returns the event loop for the users of these sockets; `undefined` if there are none. */
  loopOf(transport: Transport | undefined): EventLoop {
    return transport?.eventLoop ?? this.#platform?.eventLoop ?? anyLoop;
  }

  /** Adds a route. Throws what `Routes.add` throws. */
  route<In, Out, ReplyIn, ReplyOut, Peer, Options extends RouteOptions | BatchRouteOptions = RouteOptions>(
    type: MessageType<In, Out, ReplyIn, ReplyOut>,
    handler: RouteHandler<Out, ReplyIn, Peer, Options>,
    options?: Options,
  ): void {
    this.routes.add<In, Out, ReplyIn, ReplyOut, Peer, Options>(type, handler as never, options);
    this.#tellRoute({ action: "added", code: type.code, name: type.name });
  }

  /** Adds a route whose messages are handled in threads. Throws what `Routes.add` throws, and for wrong options. */
  workerRoute<Peer>(
    type: AnyMessageType,
    module: string | URL,
    options: WorkerRouteOptions | undefined,
    describe: (peer: Peer) => WorkerPeer | undefined,
  ): void {
    const platform = this.#platform;
    if (platform === undefined) throw noThreads();
    const load = (): Promise<Threads> => platform.loadThreads();
    const { handler, pool, type: raw } = this.workers.make(type, module, options ?? {}, load);
    const handle = (message: Message, peer: Peer): unknown => handler(message as IncomingMessage, describe(peer));
    this.route(raw as MessageType<unknown>, handle);
    this.workers.add(type, pool);
  }

  /** Removes a route. Returns false if there was none. */
  unroute({ code }: { readonly code: number }): boolean {
    const type = this.routes.remove({ code });
    if (type === undefined) return false;
    this.workers.remove(type);
    this.#tellRoute({ action: "removed", code, name: type.name });
    return true;
  }

  /** Adds a route of streams. Throws what `Routes.addStream` throws. */
  stream(type: AnyStreamType, handler: StreamRoute["handler"]): void {
    this.routes.addStream(type, handler);
    this.#tellRoute({ action: "added", code: type.code, name: type.name });
  }

  /**
   * Adds routes, all of them or none. Throws what `Routes.addAll` throws.
   *
   * @returns A function that removes those of them that are still there.
   */
  routeAll(routes: readonly NewRoute<never>[]): () => void {
    const added = this.routes.addAll(routes);
    for (const { type: { code, name } } of added) this.#tellRoute({ action: "added", code, name });
    return () => {
      for (const route of added) if (this.routes.has(route)) this.unroute(route.type);
    };
  }

  /**
   * Adds a middleware around handlers; see `Server.use`.
   *
   * @param unrouted True if it is around messages of its types that have no route, too. It is in any case if it has no types.
   */
  use(
    first: readonly AnyType[] | Middleware<never, never>,
    second: Middleware<never, never> | undefined,
    unrouted = false,
  ): () => void {
    return typeof first === "function"
      ? this.routes.use(undefined, first, true)
      : this.routes.use(first, second!, unrouted);
  }

  /** Adds a middleware around what is sent; see `Server.useOutgoing`. */
  useOutgoing(
    first: readonly AnyType[] | OutgoingMiddleware<never>,
    second: OutgoingMiddleware<never> | undefined,
  ): () => void {
    const outgoing = this.outgoing ?? new OutgoingMiddlewares();
    const remove = typeof first === "function" ? outgoing.add(undefined, first) : outgoing.add(first, second!);
    this.outgoing = outgoing;
    return () => {
      remove();
      if (outgoing.empty && this.outgoing === outgoing) this.outgoing = undefined;
    };
  }

  /**
   * Emits `message` for a message without a route, or `unhandled` if `message` has no listeners.
   *
   * @returns The promises of listeners that may still answer it.
   */
  unrouted(message: IncomingMessage, ...peer: unknown[]): Promise<unknown>[] {
    const pending: Promise<unknown>[] = [];
    if (this.events.call("message", [message, ...peer] as never, pending)) return pending;
    if (!this.events.has("unhandled")) return pending;
    const info = { code: message.type.code, size: message.content.length };
    this.events.emit("unhandled", ...[info, ...peer] as never);
    return pending;
  }

  /** Reports an error that the library has handled: as an event, or as a line in the log if there is no listener. */
  error(error: unknown, ...about: unknown[]): void {
    const args = [error, ...about] as unknown as Map["error"];
    if (this.events.emit("error", ...args)) return;
    const message = about.at(-1) as IncomingMessage | undefined;
    this.faults.error("error", error, message?.type?.name);
  }

  #tellRoute(info: RouteInfo): void {
    this.events.emit("route", ...[info] as never);
  }

  #watch(name: keyof Map & string, on: boolean): void {
    const tap = TRAFFIC_EVENTS.find((tapped) => tapped === name);
    if (tap !== undefined) this.#tap(tap, on);
  }

  /** Sets what is called for each event of this name: nothing, the listeners, the log, or both. */
  #tap(name: (typeof TRAFFIC_EVENTS)[number], on: boolean): void {
    const verb = this.#traces ? TRACED[name] : undefined;
    const emit = (info: unknown, peer: unknown): unknown => this.events.emit(name, ...[info, peer] as never);
    this.observers[name] = verb === undefined ? on ? emit : undefined : (info: unknown, peer: unknown) => {
      writeNote(this.log, "trace", () => frameText(verb, info as FrameInfo, peer));
      if (on) emit(info, peer);
    };
  }
}
