/**
 * Requests between two peers in memory, with and without telemetry on both of them: what the middleware costs, and what the
 * SDK costs with it.
 *
 * @module
 */

import { context, type MeterProvider as Meters, propagation, type TracerProvider as Tracers } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { bytes, Client, messageType, Server } from "../../mod.ts";
import { memoryTransport } from "../../src/adapters/memory.ts";
import { instrument } from "../../src/opentelemetry/mod.ts";
import type { MicroCase, MicroCases } from "./cases.ts";

const GROUP = "request 64 B, telemetry";
const CALLS = 500;

/** Where telemetry goes. */
interface Providers {
  readonly tracerProvider?: Tracers;
  readonly meterProvider?: Meters;
  readonly metrics?: boolean;
  shutdown?(): Promise<void>;
}

/** Makes the cases. */
export async function telemetryCases(): Promise<MicroCases> {
  const cases = [
    await telemetryCase("off", undefined),
    await telemetryCase("no provider", () => ({})),
    ...await Promise.all([0, 0.01, 1].map((ratio) => telemetryCase(`sampled ${ratio * 100} %`, () => sampled(ratio)))),
    await telemetryCase("metrics only", () => ({ ...measured(), tracerProvider: undefined })),
  ];
  return {
    cases: cases.map(({ one }) => one),
    async [Symbol.asyncDispose](): Promise<void> {
      for (const { end } of cases) await end();
    },
  };
}

/** Spans go through the processor that programs use, to an exporter that takes them and does nothing. */
function sampled(ratio: number): Providers {
  const exporter = {
    export: (_spans: unknown, done: (result: { code: number }) => void) => done({ code: 0 }),
    shutdown: () => Promise.resolve(),
  };
  const provider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: 65_536 })],
  });
  return { tracerProvider: provider, metrics: false, shutdown: () => provider.shutdown() };
}

function measured(): Providers {
  const provider = new MeterProvider();
  return { meterProvider: provider, shutdown: () => provider.shutdown() };
}

async function telemetryCase(
  name: string,
  providers: (() => Providers) | undefined,
): Promise<{ readonly one: MicroCase; end(): Promise<void> }> {
  const transport = memoryTransport();
  const content = new Uint8Array(64);
  const echo = messageType(201, "echo", bytes, bytes);
  const server = new Server({ port: 0, hostname: "127.0.0.1", transport });
  server.route(echo, ({ data }) => data);
  await server.start();
  const client = new Client({ ...server.addresses[0], transport });
  await client.connect();
  const { shutdown, ...options } = providers?.() ?? {};
  if (providers !== undefined) {
    instrument(server, options);
    instrument(client, options);
  }
  // What is registered is there for all cases; without telemetry nobody asks for it.
  const run = async (): Promise<void> => {
    if (name !== "off" && name !== "no provider") register();
    for (let i = 0; i < CALLS; i++) await client.request(echo, content);
    context.disable();
    propagation.disable();
  };
  return {
    one: { name: `${GROUP}, ${name}`, group: GROUP, baseline: providers === undefined, calls: CALLS, run },
    async end(): Promise<void> {
      await client.close();
      await server.close();
      await shutdown?.();
    },
  };
}

function register(): void {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}
