/**
 * The telemetry of one Server or Client. It is added as a program would do it, with middleware and listeners to events,
 * and can be removed again.
 *
 * @module
 */

import {
  type Context,
  type MeterProvider,
  metrics,
  ROOT_CONTEXT,
  trace,
  type TracerProvider,
} from "@opentelemetry/api";
import type { Endpoint } from "../base/address.ts";
import { readOptions } from "../base/checks.ts";
import type { Client } from "../client/client.ts";
import type { ConnectedClient } from "../server/connected_client.ts";
import type { Server } from "../server/server.ts";
import { traceConnects } from "./connects.ts";
import { countClientEvents, countServerEvents } from "./counted_events.ts";
import { Guard } from "./guard.ts";
import { handledMiddleware } from "./handled.ts";
import { Instruments } from "./instruments.ts";
import { SCHEMA_URL, SCOPE } from "./names.ts";
import { GoneConnections, observe } from "./observed.ts";
import { INSTRUMENT_OPTIONS, type InstrumentOptions, type ReadOptions } from "./options.ts";
import { sentMiddleware } from "./sent.ts";
import type { Setup } from "./setup.ts";

/**
 * Marks what is instrumented. The symbol is registered, so that two copies of this module know of each other. Two of them
 * would give each message two spans that are siblings.
 */
const INSTRUMENTED: unique symbol = Symbol.for("@veltix/core/opentelemetry") as never;

/**
 * A Server or a Client. `Peer` is what its handlers get as their second argument.
 *
 * @category Telemetry
 */
export interface Instrumentable<Peer> {
  /** See `Server.addRoutes`. */
  addRoutes(
    routes: readonly { readonly type: never; readonly handler: (received: never, peer: Peer) => unknown }[],
  ): unknown;
  /** See `Server.use`. */
  use(middleware: never): () => void;
  /** See `Server.useOutgoing`. */
  useOutgoing(middleware: never): () => void;
}

/**
 * A context, which has the type `Context` of `@opentelemetry/api`.
 *
 * @category Telemetry
 */
export interface TelemetryContext {
  /** Returns the value of a key; `undefined` if there is none. */
  getValue(key: symbol): unknown;
  /** Returns a context that has this value for a key. */
  setValue(key: symbol, value: unknown): TelemetryContext;
  /** Returns a context without the value of a key. */
  deleteValue(key: symbol): TelemetryContext;
}

/**
 * The telemetry of a Server or a Client, which can be removed again.
 *
 * @category Telemetry
 */
export interface Instrumentation extends Disposable {
  /**
   * Returns the context of the handler of a message or a stream. In a browser, or where no context manager is
   * registered, `context.with()` with this context makes the handler's own spans its children. It is the root context
   * if the handler has no span.
   *
   * @param received The message or the stream that the handler got.
   * @returns The context.
   */
  contextOf(received: object): TelemetryContext;
  /** Removes all middleware and listeners again. Spans of calls that are under way end when the calls do. */
  stop(): void;
}

/**
 * Adds traces and metrics to a Server or a Client. Call it before you add other middleware, so that what that
 * middleware does is measured, too. Errors of telemetry never reach a message. Only the first one is reported, by
 * `diag` of `@opentelemetry/api`.
 *
 * What is sent carries the context of its span in its metadata. The propagator that is registered with
 * `@opentelemetry/api` writes it there. A handler runs in the context of its span, so that spans that the handler
 * begins are children of that span.
 *
 * @param target The server or the client.
 * @param options What is traced and measured, and where it goes.
 * @returns The telemetry, which removes itself when it is disposed of.
 * @throws {TypeError} `target` is neither a Server nor a Client, or an option is unknown or of the wrong type.
 * @throws {Error} `target` is instrumented already. Call `stop()` of what that call has returned first.
 *
 * @example One trace over two sides
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { context, propagation } from "@opentelemetry/api";
 * import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
 * import { W3CTraceContextPropagator } from "@opentelemetry/core";
 * import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
 * import { Client, messageType, Server, text } from "@veltix/core";
 * import { instrument } from "@veltix/core/opentelemetry";
 *
 * context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
 * propagation.setGlobalPropagator(new W3CTraceContextPropagator());
 * const exporter = new InMemorySpanExporter();
 * const tracerProvider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
 *
 * const UPPER = messageType(200, "upper", text, text);
 * await using server = new Server({ port: 0, hostname: "127.0.0.1" });
 * using _server = instrument(server, { tracerProvider });
 * server.route(UPPER, ({ data }) => data.toUpperCase());
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0] });
 * using _client = instrument(client, { tracerProvider, spans: ["request"] });
 * await client.connect();
 * assertEquals(await client.request(UPPER, "hello"), "HELLO");
 *
 * const [handled, asked] = exporter.getFinishedSpans();
 * assertEquals([handled.name, asked.name], ["upper", "upper"]);
 * assertEquals(handled.parentSpanContext?.spanId, asked.spanContext().spanId);
 * ```
 *
 * @category Telemetry
 */
export function instrument<Peer>(target: Instrumentable<Peer>, options: InstrumentOptions<Peer> = {}): Instrumentation {
  if (typeof (target as Partial<Instrumentable<Peer>> | null)?.useOutgoing !== "function") {
    throw new TypeError("Cannot instrument: it must be a Server or a Client");
  }
  const read = readOptions("instrument()'s options", options, INSTRUMENT_OPTIONS);
  const marked = target as { [INSTRUMENTED]?: true };
  if (marked[INSTRUMENTED]) {
    throw new Error("Cannot instrument: it is instrumented already, so call stop() of the other instrumentation first");
  }
  const end = target as unknown as Server<unknown> | Client;
  const server = "broadcast" in end ? end : undefined;
  const client = "broadcast" in end ? undefined : end;
  const role = server === undefined ? "client" : "server";
  const guard = new Guard();
  const instruments = read.metrics ? guard.run(() => makeInstruments(read, role)) : undefined;
  const contexts = new WeakMap<object, Context>();
  const setup: Setup = {
    role,
    tracer: ((read.tracerProvider ?? trace) as TracerProvider).getTracer(SCOPE, undefined, { schemaUrl: SCHEMA_URL }),
    spans: new Set(read.spans),
    instruments,
    options: read,
    guard,
    contexts,
    addressOf: (peer) => client?.server ?? (peer as ConnectedClient).address,
    ownAddress: () => onlyOne(server?.addresses),
  };
  const stopped = new AbortController();
  const { signal } = stopped;
  const ends: (() => void)[] = [
    () => stopped.abort(),
    target.use(handledMiddleware(setup) as never),
    target.useOutgoing(sentMiddleware(setup) as never),
  ];
  if (client !== undefined && setup.spans.has("connect")) ends.push(traceConnects(client, setup, signal));
  if (instruments !== undefined) {
    const gone = new GoneConnections();
    if (server !== undefined) countServerEvents(server, instruments, guard, gone, signal);
    else countClientEvents(client!, instruments, guard, gone, signal);
    const unobserve = guard.run(() => observe(end, instruments.meter, guard, role, gone));
    if (unobserve !== undefined) ends.push(unobserve);
  }
  Object.defineProperty(marked, INSTRUMENTED, { value: true, configurable: true });
  ends.push(() => delete marked[INSTRUMENTED]);
  const stop = (): void => {
    for (const end of ends.splice(0)) guard.run(end);
  };
  return { contextOf: (received) => contexts.get(received) ?? ROOT_CONTEXT, stop, [Symbol.dispose]: stop };
}

function makeInstruments({ meterProvider }: ReadOptions, role: "client" | "server"): Instruments {
  return new Instruments(
    ((meterProvider ?? metrics) as MeterProvider).getMeter(SCOPE, undefined, { schemaUrl: SCHEMA_URL }),
    role,
  );
}

/** Returns the address of a server with one listener. With several, it is not known which of them has a client. */
function onlyOne(addresses: readonly Endpoint[] = []): Endpoint | undefined {
  return addresses.length === 1 ? addresses[0] : undefined;
}
