/**
 * A shop, its orders and its store, each a service of its own: one order is followed through all three, and the trace is
 * printed as a tree. The second order fails in the store, and the tree shows where.
 *
 *     deno run -A examples/tracing/main.ts
 *
 * It runs on Bun and Node, too. The services are in one process here, so that their spans come to one place in memory. In
 * processes of their own, each has an exporter to a collector; see `docs/telemetry.md`.
 *
 * @module
 */

import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { Client, Server } from "@veltix/core";
import { instrument } from "@veltix/core/opentelemetry";
import { NEWS, ORDER, PACKING, RESERVE } from "./contract.ts";
import { treeOf } from "./tree.ts";

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const exporter = new InMemorySpanExporter();

/** The telemetry of one service. */
function telemetryOf(service: string): { readonly tracerProvider: TracerProvider; readonly metrics: false } {
  const resource = resourceFromAttributes({ "service.name": service });
  return {
    tracerProvider: new TracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
    metrics: false,
  };
}

/** The store has apples, and nothing else. */
async function startStore(): Promise<Server> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  instrument(server, telemetryOf("store"));
  server.on("error", () => {});
  server.route(RESERVE, ({ data: { count, item } }) => {
    if (item !== "apple") throw Object.assign(new Error(`There is no ${item}`), { code: "sold-out" });
    return 100 - count;
  });
  server.stream(PACKING, async function* ({ head }): AsyncGenerator<string, string> {
    for (const step of ["picked", "wrapped", "sealed"]) yield `${head}: ${step}`;
    return "packed";
  });
  await server.start();
  return server;
}

/** The orders ask the store. */
async function startOrders(store: Client): Promise<Server> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  instrument(server, telemetryOf("orders"));
  server.on("error", () => {});
  let orders = 0;
  server.route(ORDER, async ({ data }, from) => {
    await store.request(RESERVE, data);
    const number = `order ${++orders}`;
    const packing = store.open(PACKING, number);
    for await (const _step of packing);
    from.send(NEWS, `${number} is ${await packing.result}`);
    return number;
  });
  await server.start();
  return server;
}

await using store = await startStore();
await using toStore = new Client({ ...store.addresses[0] });
await toStore.connect();
instrument(toStore, telemetryOf("orders"));
await using orders = await startOrders(toStore);
await using shop = new Client({ ...orders.addresses[0] });
await shop.connect();
const shopTelemetry = telemetryOf("shop");
instrument(shop, shopTelemetry);
const tracer = shopTelemetry.tracerProvider.getTracer("example");

for (const item of ["apple", "pear"]) {
  const news = new Promise<string>((resolve) => shop.route(NEWS, ({ data }) => resolve(data)));
  await tracer.startActiveSpan(`buy 3 of ${item}`, async (span) => {
    try {
      const number = await shop.request(ORDER, { item, count: 3 });
      console.log(`${number}: ${await news}`);
    } catch (error) {
      console.log(`no order: ${(error as Error).message}`);
    } finally {
      span.end();
    }
  });
  shop.unroute(NEWS);
  for (const line of treeOf(exporter.getFinishedSpans())) console.log(line);
  exporter.reset();
}
trace.disable();
