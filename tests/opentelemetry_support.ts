/**
 * What the tests of telemetry share: a place in memory for spans and metrics, and what is registered with the API.
 *
 * @module
 */

import { context, diag, propagation, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";

/** Longer than any test. */
const NEVER = 2 ** 31 - 1;

/** A span as the tests compare it. */
export interface Seen {
  readonly name: string;
  readonly kind: string;
  readonly status: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A point of a metric. */
export interface Point {
  readonly attributes: Readonly<Record<string, unknown>>;
  // deno-lint-ignore no-explicit-any
  readonly value: any;
}

/** A place in memory for spans and metrics. */
export class Memory implements AsyncDisposable {
  readonly exporter: InMemorySpanExporter = new InMemorySpanExporter();
  readonly tracerProvider: TracerProvider;
  readonly meterProvider: MeterProvider;
  readonly #metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  readonly #reader: PeriodicExportingMetricReader;

  constructor(sampler?: Sampler) {
    const spanProcessors = [new SimpleSpanProcessor({ exporter: this.exporter })];
    this.tracerProvider = new TracerProvider({ spanProcessors, ...sampler === undefined ? {} : { sampler } });
    this.#reader = new PeriodicExportingMetricReader({
      exporter: this.#metrics,
      exportIntervalMillis: NEVER,
      exportTimeoutMillis: NEVER,
    });
    this.meterProvider = new MeterProvider({ readers: [this.#reader] });
  }

  /** The options that bring everything here. */
  get options(): { readonly tracerProvider: TracerProvider; readonly meterProvider: MeterProvider } {
    return { tracerProvider: this.tracerProvider, meterProvider: this.meterProvider };
  }

  /** The spans that have ended, in the order in which they did. */
  get spans(): ReadableSpan[] {
    return this.exporter.getFinishedSpans();
  }

  /** The same, as the tests compare them. */
  get seen(): Seen[] {
    return this.spans.map(({ name, kind, status, attributes }) => ({
      name,
      kind: SpanKind[kind],
      status: SpanStatusCode[status.code],
      attributes,
    }));
  }

  /** The only span of that name and kind. */
  span(name: string, kind: SpanKind): ReadableSpan {
    const found = this.spans.filter((span) => span.name === name && span.kind === kind);
    if (found.length === 1) return found[0];
    const all = this.seen.map((span) => `${span.kind} ${span.name}`).join(", ");
    throw new Error(`${found.length} spans are ${SpanKind[kind]} ${name}, of: ${all}`);
  }

  /** Collects the metrics. Returns the points of each, by name. */
  async metrics(): Promise<Map<string, Point[]>> {
    await this.#reader.forceFlush();
    const [last] = this.#metrics.getMetrics().slice(-1);
    return new Map(
      last.scopeMetrics.flatMap(({ metrics }) => metrics)
        .map(({ descriptor, dataPoints }) => [
          descriptor.name,
          dataPoints.map(({ attributes, value }) => ({ attributes, value })),
        ]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tracerProvider.shutdown();
    await this.meterProvider.shutdown();
  }
}

/** Registers a context manager and the propagators of the W3C. Returns a function that undoes it. */
export function register(): () => void {
  const manager = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(manager);
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  return () => {
    context.disable();
    propagation.disable();
  };
}

/** Keeps what is said to `diag`, while a test runs. */
export function listenToDiag(): { readonly lines: unknown[][] } & Disposable {
  const lines: unknown[][] = [];
  const keep = (...line: unknown[]): void => void lines.push(line);
  const quiet = (): void => {};
  diag.setLogger({ error: keep, warn: keep, info: quiet, debug: quiet, verbose: quiet });
  return { lines, [Symbol.dispose]: () => diag.disable() };
}
