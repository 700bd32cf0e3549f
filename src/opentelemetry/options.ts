/**
 * The options of the telemetry of one Server or Client.
 *
 * @module
 */

import { type Check, checkBoolean, checkFunction, type Checks, type Given, optional, show } from "../base/checks.ts";

/**
 * What gets spans. `"connect"` is an attempt of a client to connect. `"message"` is a message without an answer, and
 * `"broadcast"` is sending one message to many clients. All but `"connect"` and `"broadcast"` have a span on both
 * sides.
 *
 * @category Telemetry
 */
export type SpanName = "connect" | "request" | "message" | "broadcast" | "stream";

/** The names of what gets spans. */
const SPAN_NAMES: readonly SpanName[] = ["connect", "request", "message", "broadcast", "stream"];

/**
 * What a span is about, for the option `attributes`.
 *
 * @category Telemetry
 */
export interface SpanSubject<Peer = unknown> {
  /** What kind of thing it is. */
  readonly name: SpanName;
  /**
   * `"incoming"` if it was received and its handler is about to be called, `"outgoing"` if it is being sent. A
   * `"connect"` is `"outgoing"`.
   */
  readonly direction: "incoming" | "outgoing";
  /** The type of the message or the stream; `undefined` for `"connect"`. */
  readonly type: { readonly name: string; readonly code: number } | undefined;
  /** On a server, the client, or `undefined` for a broadcast. On a client, the client itself. */
  readonly peer: Peer | undefined;
  /** The decoded payload; of a stream, its head. Only what the function returns is recorded of it. */
  readonly payload: unknown;
  /** The metadata that was received, or that the call has; empty if there is none. */
  readonly meta: Readonly<Record<string, string>>;
}

/**
 * Attributes of a span. A value is a text, a number, a boolean, or a list of one kind of these.
 *
 * @category Telemetry
 */
export interface SpanAttributes {
  /** A value, by its name. */
  readonly [name: string]: string | number | boolean | string[] | number[] | boolean[] | undefined;
}

/**
 * A `TracerProvider` of `@opentelemetry/api`.
 *
 * @category Telemetry
 */
export interface TracerSource {
  /** Returns a tracer, a `Tracer` of `@opentelemetry/api`. */
  getTracer(name: string, version?: string): object;
}

/**
 * A `MeterProvider` of `@opentelemetry/api`.
 *
 * @category Telemetry
 */
export interface MeterSource {
  /** Returns a meter, a `Meter` of `@opentelemetry/api`. */
  getMeter(name: string, version?: string): object;
}

/**
 * Options of {@linkcode instrument}; all optional.
 *
 * @category Telemetry
 */
export interface InstrumentOptions<Peer = never> {
  /** Makes the tracer. @default the one that is registered with `@opentelemetry/api` */
  readonly tracerProvider?: TracerSource | undefined;
  /** Makes the meter. @default the one that is registered with `@opentelemetry/api` */
  readonly meterProvider?: MeterSource | undefined;
  /** What gets spans. An empty list still passes contexts on. @default all */
  readonly spans?: readonly SpanName[] | undefined;
  /** Whether there are metrics. @default true */
  readonly metrics?: boolean | undefined;
  /** Whether what is sent carries the context of its span, as metadata, to peers that take metadata. @default true */
  readonly propagate?: boolean | undefined;
  /**
   * Whether the contexts that peers send are trusted. If so, the span of a handler is a child of the peer's span.
   * Otherwise it begins a trace of its own, links to the peer's span, and baggage is left out. A function decides for
   * each peer, at once: a peer is trusted only if it returns `true`. A promise counts as `false`.
   * @default true
   */
  readonly trust?: boolean | ((peer: Peer) => boolean) | undefined;
  /** Whether the spans of handlers have the size of the payload. @default false */
  readonly sizes?: boolean | undefined;
  /**
   * Returns attributes that are added to a span. It is called when the span begins, if the span is recorded. If it
   * throws or returns a promise, the span has none of them.
   * @default none
   */
  readonly attributes?: ((subject: SpanSubject<Peer>) => SpanAttributes | undefined) | undefined;
}

/** The option `attributes`. */
type AttributesHook = NonNullable<InstrumentOptions<unknown>["attributes"]>;

/** The options, read. */
export type ReadOptions = Omit<Given<InstrumentOptions<unknown>>, "spans" | "trust"> & {
  readonly spans: readonly SpanName[];
  readonly metrics: boolean;
  readonly propagate: boolean;
  readonly sizes: boolean;
  /** Returns what the function of the program returns, which may be anything. */
  readonly trust: (peer: unknown) => unknown;
};

const spanNames: Check<readonly SpanName[]> = (name, value) => {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be a list of names, not ${show(value)}`);
  for (const one of value) {
    if (!(SPAN_NAMES as readonly unknown[]).includes(one)) {
      throw new TypeError(`${name} has ${show(one)}: it can have ${SPAN_NAMES.join(", ")}`);
    }
  }
  return [...value];
};

const trusting: Check<ReadOptions["trust"]> = (name, value) => {
  if (typeof value === "function") return value as ReadOptions["trust"];
  const trusted = checkBoolean(name, value);
  return () => trusted;
};

/** Checks that a provider can be used. */
function provider<Provider>(method: string): Check<Provider> {
  return (name, value) => {
    if (typeof (value as Record<string, unknown> | null)?.[method] === "function") return value as Provider;
    throw new TypeError(`${name} must have the method ${method}, and is ${show(value)}`);
  };
}

/** The checks of the options. */
export const INSTRUMENT_OPTIONS: Checks<ReadOptions> = {
  tracerProvider: optional(provider<TracerSource>("getTracer")),
  meterProvider: optional(provider<MeterSource>("getMeter")),
  spans: optional(spanNames, SPAN_NAMES),
  metrics: optional(checkBoolean, true),
  propagate: optional(checkBoolean, true),
  trust: optional(trusting, () => true),
  sizes: optional(checkBoolean, false),
  attributes: optional<AttributesHook>((name, value) => checkFunction(name, value as AttributesHook)),
};
