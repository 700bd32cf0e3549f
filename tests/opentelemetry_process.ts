/**
 * A process with telemetry, for tests: a server or a client that reports to the collector that the environment names. On
 * Deno its built-in exporter does that, on Bun and Node the SDK.
 *
 * @module
 */

import process from "node:process";
import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { Client, json, messageType, Server, streamType, text } from "../mod.ts";
import { instrument } from "../src/opentelemetry/mod.ts";
import { type Commands, play } from "./processes/role.ts";

const UPPER = messageType(200, "upper", text, text);
const ASK = messageType(201, "ask", text, text);
const NOTE = messageType(202, "note", text);
const COUNT = streamType(203, "count", { head: json<number>(), up: false, down: json<number>(), result: text });

/** Sets the SDK up, where there is no built-in exporter. Returns a function that sends what is left. */
async function setUp(): Promise<() => Promise<void>> {
  if ("Deno" in globalThis) return () => Promise.resolve();
  const { AsyncLocalStorageContextManager } = await import("@opentelemetry/context-async-hooks");
  const { W3CTraceContextPropagator } = await import("@opentelemetry/core");
  const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-http");
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  const { resourceFromAttributes } = await import("@opentelemetry/resources");
  const { MeterProvider, PeriodicExportingMetricReader } = await import("@opentelemetry/sdk-metrics");
  const { BatchSpanProcessor, TracerProvider } = await import("@opentelemetry/sdk-trace");
  const resource = resourceFromAttributes({ "service.name": process.env.OTEL_SERVICE_NAME });
  const tracerProvider = new TracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  const meterProvider = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(tracerProvider);
  metrics.setGlobalMeterProvider(meterProvider);
  return async () => {
    await tracerProvider.shutdown();
    await meterProvider.shutdown();
  };
}

/** A server whose handler asks the other client. */
async function server(): Promise<Commands> {
  const flush = await setUp();
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  instrument(server);
  server.route(UPPER, async ({ data }, from) => {
    await Promise.resolve();
    const other = server.clients.find((client) => client !== from);
    return await other!.request(ASK, data.toUpperCase());
  });
  server.route(NOTE, ({ data }) => void server.broadcast(NOTE, data));
  server.stream(COUNT, async function* ({ head }): AsyncGenerator<number, string> {
    for (let i = 0; i < head; i++) yield i;
    return "done";
  });
  await server.start();
  return {
    ready: server.addresses[0],
    clients: () => server.clients.length,
    async close(): Promise<void> {
      await server.close();
      await flush();
    },
  };
}

/** A client, which asks and answers. */
async function client(address: { readonly hostname: string; readonly port: number }): Promise<Commands> {
  const flush = await setUp();
  const client = new Client(address);
  instrument(client);
  let noted: (text: string) => void = () => {};
  client.route(ASK, ({ data }) => `${data}!`);
  client.route(NOTE, ({ data }) => noted(data));
  await client.connect();
  const tracer = trace.getTracer("program");
  const within = <Value>(name: string, work: () => Promise<Value>): Promise<Value> =>
    tracer.startActiveSpan(name, (span) => work().finally(() => span.end()));
  return {
    upper: (text: string) => within("program", () => client.request(UPPER, text)),
    note: (text: string) =>
      within("program", async () => {
        const heard = new Promise((resolve) => noted = resolve);
        client.send(NOTE, text);
        return await heard;
      }),
    count: (count: number) =>
      within("program", async () => {
        const stream = client.open(COUNT, count);
        const items = await Array.fromAsync(stream);
        return [items, await stream.result];
      }),
    async close(): Promise<void> {
      await client.close();
      await flush();
    },
  };
}

await play({ server, client });
