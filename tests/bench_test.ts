/**
 * The benchmark's workloads in a tiny form: that each of them runs on each runtime, loses nothing and tells what it promises.
 * Whether its figures are good is none of a test's business.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { existsSync } from "node:fs";
import { FIGURES } from "../bench/goals.ts";
import { arePeersInstalled } from "../bench/peers/install.ts";
import { microCases } from "../bench/micro/cases.ts";
import type { Runtime } from "../bench/options.ts";
import type { PythonBench } from "../src/cli/bench/python_form/records.ts";
import type { SubjectName } from "../bench/subject.ts";
import { BARE_WEB_SOCKETS } from "../bench/web_socket_table.ts";
import type { Outcome } from "../bench/workload.ts";
import { ALL_WORKLOADS, type WorkloadName } from "../bench/workloads/all.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { pythonSample, RUNTIME, sample } from "./bench_support.ts";
import { isMine } from "./wire_support.ts";

/** Peers that need nothing besides npm, by the runtime that they run on. */
const PEERS: Readonly<Record<Runtime, readonly SubjectName[]>> = {
  node: ["ws", "socket.io"],
  deno: ["deno-websocket"],
  bun: ["bun-websocket"],
};

/** Fields of Python's `to_dict` that tell of losses. */
const WHOLE: Readonly<Partial<Record<PythonBench, Readonly<Record<string, unknown>>>>> = {
  fps: { success_rate: 100, errors: 0 },
  burst: { success_rate: 100 },
  stress: { success_rate: 100 },
};

function assertFigures(workload: WorkloadName, { figures }: Outcome): void {
  const known = FIGURES.filter((figure) => figure.workload === workload).map(({ name }) => name);
  for (const [name, value] of Object.entries(figures)) {
    assert(Number.isFinite(value), `${name} is ${value}`);
    if (!name.endsWith(" cpu")) assert(known.includes(name), `The table does not know "${name}"`);
  }
  assert(Object.keys(figures).length > 0);
}

describe("the benchmark", () => {
  it('runs the workload "idle" and says what it left out', async () => {
    const outcome = await sample("idle");
    assertFigures("idle", outcome);
    assertEquals(outcome.notes, ["idle memory at 10,000 connections skipped: the run is a short one"]);
  });

  it('runs the workload "million" and says how many messages it counted', async () => {
    const outcome = await sample("million");
    assertFigures("million", outcome);
    const { notes, counted, figures } = outcome;
    assertEquals([counted, figures["million: messages"]], [100_000, 100_000]);
    assertEquals(notes, ["100,000 messages from 20 clients: 0 lost, 0 twice, 0 inversions"]);
  });

  it('shows memory while the workload "mixed" runs, and its growth at the end', async () => {
    const lines: string[] = [];
    const outcome = await sample("mixed", "veltix", (line) => lines.push(line));
    assertFigures("mixed", outcome);
    assert(lines.length >= 2);
    for (const line of lines) assert(/^\d+ s: server heap .* MB, .*client RSS .* MB, .*M messages$/.test(line), line);
    assert(Object.keys(outcome.figures).includes("mixed: server RSS, growth"));
  });

  for (const [i, workload] of (["memory", "latency", "fps", "python_burst", "python_stress"] as const).entries()) {
    if (!isMine(i)) continue;
    it(`runs Python's "${workload.replace("python_", "")}" and loses nothing`, async () => {
      const outcome = await sample(workload);
      assertFigures(workload, outcome);
      assertEquals(outcome.python.length, workload === "fps" ? 2 : 1);
      for (const { bench, values } of outcome.python) {
        for (const [name, value] of Object.entries(WHOLE[bench] ?? {})) assertEquals(values[name], value, name);
        assertEquals(values.backend, RUNTIME);
        assertEquals(values.total_recv, values.total_sent);
      }
    });
  }

  for (const [i, subject] of (["veltix", "noise", "tls", "node:tls"] as const).entries()) {
    if (!isMine(i)) continue;
    it(`measures what protection costs: ${subject}`, async () => {
      const outcome = await sample("secure", subject);
      assertFigures("secure", outcome);
      assert(outcome.counted > 0);
    });
  }

  it("measures what an idle encrypted connection takes", async () => {
    const outcome = await sample("secure_idle", "noise");
    assertFigures("secure_idle", outcome);
    assertEquals(Object.keys(outcome.figures), ["secure idle heap", "secure idle resident"]);
  });

  for (const [i, subject] of ([BARE_WEB_SOCKETS[RUNTIME], "veltix-websocket", "veltix"] as const).entries()) {
    if (!isMine(i)) continue;
    it(`measures WebSockets: ${i === 0 ? "those of the runtime" : subject}`, async () => {
      const outcome = await sample("websocket", subject);
      assertFigures("websocket", outcome);
      assert(outcome.counted > 0);
    });
  }

  it("measures what an idle WebSocket takes", async () => {
    const outcome = await sample("websocket_idle", "veltix-websocket");
    assertFigures("websocket_idle", outcome);
    assertEquals(Object.keys(outcome.figures), ["websocket idle heap", "websocket idle resident"]);
  });

  for (const peer of Object.values(PEERS).flat()) {
    const test = PEERS[RUNTIME].includes(peer) && (RUNTIME !== "node" || arePeersInstalled()) ? it : it.skip;
    test(`measures ${peer}: requests, bursts, broadcasts, connections that come and go`, async () => {
      const outcome = await sample("mixed", peer);
      assertFigures("mixed", outcome);
      assert(outcome.counted > 0);
    });
  }

  for (const subject of ["batch", "veltix", "ws", "http2", "grpc"] as const) {
    const here = subject === "batch" || subject === "veltix" || RUNTIME === "node" && arePeersInstalled();
    (here ? it : it.skip)(`measures the streams of ${subject}, each of which brings everything`, async () => {
      const outcome = await sample("streams", subject);
      assertFigures("streams", outcome);
      const items = Object.keys(outcome.figures).some((name) => name.startsWith("streams items"));
      assertEquals(items, subject !== "http2");
    });
  }

  const python = existsSync(`${ROOT}.tmp/python/2.0.0`) ? it : it.skip;
  python("measures Python's Veltix where it is installed", async () => {
    const outcome = await pythonSample("rtt", "2.0.0");
    assertFigures("rtt", outcome);
    assert(outcome.counted > 0);
  });

  it("reports a subject that can't be loaded as a failure", async () => {
    const error = await assertRejects(() => sample("rtt", "python-0"), Error);
    assertEquals(error.message, 'Cannot load "python-0": it has processes of its own');
    assert(String(error.cause).includes("load.ts"), "where it happened is the cause");
  });

  it("knows a figure for each of its workloads", () => {
    const measured = new Set(FIGURES.map(({ workload }) => workload));
    assertEquals(Object.keys(ALL_WORKLOADS).filter((name) => !measured.has(name as WorkloadName)), []);
  });
});

describe("the measurements of single functions", () => {
  it("each make the calls that they promise", async () => {
    await using made = await microCases();
    for (const { name, calls, run } of made.cases) {
      assert(calls > 0, name);
      await run();
    }
    assertEquals(new Set(made.cases.map(({ name }) => name)).size, made.cases.length);
  });
});
