/** Processes of three runtimes that report to a collector: one request over three of them is one tree. */

import { assert, assertEquals } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { fileURLToPath } from "node:url";
import { describeProblem, findRuntimes, type Runtime, RUNTIME_NAMES, type RuntimeName } from "../scripts/runtimes.ts";
import { type CollectedSpan, Collector, KIND } from "./opentelemetry_collector.ts";
import { Obedient } from "./processes/obedient.ts";

const PROGRAM = fileURLToPath(new URL("./opentelemetry_process.ts", import.meta.url));
/** Milliseconds until a process is ready. */
const START = 40_000;

const host: RuntimeName = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";
/** Each runtime is the server once: where the test runs on it. */
const [first, second, third] = [0, 1, 2].map((i) => RUNTIME_NAMES[(RUNTIME_NAMES.indexOf(host) + i) % 3]);
const runtimes = findRuntimes([first, second, third]);
const missing = runtimes.find(({ path }) => path === undefined);

/** Starts a process that reports to the collector. */
async function start(
  { name, path }: Runtime,
  collector: Collector,
  service: string,
  role: string,
  config: unknown = null,
): Promise<{ readonly process: Obedient; readonly ready: unknown }> {
  const flags = name === "deno" ? ["run", "-A", "-q", "--no-check"] : [];
  const process = new Obedient({
    name: `${service} on ${name}`,
    command: [path!, ...flags, PROGRAM, role, JSON.stringify(config)],
    env: {
      NO_COLOR: "1",
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      // Deno reports by itself. When it ends, it asks nobody any more for what is to be observed.
      ...name === "deno" ? { OTEL_DENO: "true", OTEL_DENO_CONSOLE: "ignore", OTEL_METRIC_EXPORT_INTERVAL: "200" } : {},
    },
  });
  return { process, ready: await process.ready(START) };
}

/** The spans of a trace as text, each below its parent. */
function treeOf(spans: readonly CollectedSpan[], parent = "", depth = 0): string[] {
  const kinds = Object.fromEntries(Object.entries(KIND).map(([name, number]) => [number, name]));
  return spans.filter(({ parentSpanId }) => parentSpanId === parent)
    .toSorted((a, b) => a.service < b.service ? -1 : 1)
    .flatMap(({ kind, name, service, spanId }) => [
      `${"  ".repeat(depth)}${service}: ${kinds[kind]} ${name}`,
      ...treeOf(spans, spanId, depth + 1),
    ]);
}

describe("a collector", () => {
  const test = missing === undefined ? it : it.skip;
  let collector: Collector;
  const processes: Obedient[] = [];
  const answers: unknown[] = [];

  beforeAll(async () => {
    if (missing !== undefined) return;
    collector = await Collector.listen();
    const [one, two, three] = runtimes;
    const server = await start(one, collector, "middle", "server");
    processes.push(server.process);
    const asker = await start(two, collector, "asker", "client", server.ready);
    processes.push(asker.process);
    const answerer = await start(three, collector, "answerer", "client", server.ready);
    processes.push(answerer.process);
    answers.push(await asker.process.call("upper", "hello"));
    answers.push(await asker.process.call("note", "news"));
    answers.push(await asker.process.call("count", 3));
    const onDeno = ["middle", "asker", "answerer"][[one, two, three].findIndex(({ name }) => name === "deno")];
    await collector.until(() => {
      const io = collector.points.filter(({ service, metric, value }) =>
        service === onDeno && metric === "veltix.io" && value > 0
      );
      return io.length === 2 ? io : undefined;
    });
    // What they have not sent yet, they send when they end.
    for (const process of [asker, answerer, server].map(({ process }) => process)) {
      await process.call("close");
      process.dismiss();
      await process.over;
    }
  });

  afterAll(async () => {
    for (const process of processes) await process.kill();
    await collector?.[Symbol.asyncDispose]();
  });

  const traceOf = (name: string): Promise<CollectedSpan[]> =>
    collector.until(() => {
      const found = collector.spans.find((span) => span.name === name && span.service === "asker");
      return found && collector.spans.filter(({ traceId }) => traceId === found.traceId);
    });

  const what = missing === undefined ? `${second} asks ${first}, which asks ${third}` : describeProblem(missing);

  test(`gets a request over three processes as one tree: ${what}`, async () => {
    assertEquals(answers[0], "HELLO!");
    assertEquals(treeOf(await traceOf("upper")), [
      "asker: INTERNAL program",
      "  asker: CLIENT upper",
      "    middle: SERVER upper",
      "      middle: CLIENT ask",
      "        answerer: SERVER ask",
    ]);
    const [{ attributes }] = collector.spans.filter(({ kind, name }) => name === "ask" && kind === KIND.SERVER);
    assertEquals([attributes["rpc.system.name"], attributes["rpc.status_code"]], ["veltix", "ok"]);
    assertEquals(collector.refused, []);
  });

  test("gets a message and the broadcast that it causes as one tree", async () => {
    assertEquals(answers[1], "news");
    assertEquals(treeOf(await traceOf("send note")), [
      "asker: INTERNAL program",
      "  asker: PRODUCER send note",
      "    middle: CONSUMER process note",
      "      middle: PRODUCER broadcast note",
      "        answerer: CONSUMER process note",
      "        asker: CONSUMER process note",
    ]);
  });

  test("gets a stream with both of its sides", async () => {
    assertEquals(answers[2], [[0, 1, 2], "done"]);
    const spans = await traceOf("count");
    assertEquals(treeOf(spans), [
      "asker: INTERNAL program",
      "  asker: CLIENT count",
      "    middle: SERVER count",
    ]);
    const handled = spans.find(({ kind }) => kind === KIND.SERVER)!;
    assertEquals(handled.attributes["veltix.stream.items"], 3);
  });

  test("gets the attempts of clients to connect", () => {
    const connects = collector.spans.filter(({ name }) => name === "connect");
    assertEquals(connects.map(({ service }) => service).sort(), ["answerer", "asker"]);
    for (const { attributes } of connects) assertEquals(attributes["veltix.protocol"], "native");
  });

  test("gets the metrics of each process", () => {
    const points = (service: string, metric: string): unknown[] =>
      collector.points.filter((point) => point.service === service && point.metric === metric)
        .map(({ attributes, unit, value }) => [
          attributes["rpc.method"] ?? attributes["messaging.destination.name"],
          unit,
          value,
        ]).sort();
    assertEquals(points("asker", "rpc.client.call.duration"), [["count", "s", 1], ["upper", "s", 1]]);
    assertEquals(points("middle", "rpc.server.call.duration"), [["count", "s", 1], ["upper", "s", 1]]);
    assertEquals(points("middle", "rpc.client.call.duration"), [["ask", "s", 1]]);
    assertEquals(points("answerer", "rpc.server.call.duration"), [["ask", "s", 1]]);
    assertEquals(points("middle", "messaging.client.sent.messages"), [["note", "{message}", 2]]);
    assertEquals(points("middle", "messaging.process.duration"), [["note", "s", 1]]);
    for (const { bounds } of collector.points.filter(({ metric }) => metric.endsWith(".call.duration"))) {
      assertEquals(bounds, [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);
    }
    for (const service of ["asker", "answerer", "middle"]) {
      const io = collector.points.filter((point) => point.service === service && point.metric === "veltix.io");
      assertEquals(io.map(({ attributes }) => attributes["network.io.direction"]).sort(), ["receive", "transmit"]);
      for (const { unit, value } of io) assert(unit === "By" && value > 0, `${service}: ${value} ${unit}`);
    }
    const [disconnected] = collector.points.filter(({ service, metric }) =>
      service === "middle" && metric === "veltix.disconnects"
    );
    assertEquals(disconnected.value, 2);
  });
});
