/**
 * What the benchmark makes of figures: the check of serial numbers, results in Python's form, the comparison of two runs, the
 * guard, the factors beside peers, the charts.
 *
 * @module
 */

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { changesOf, compare } from "../bench/compare.ts";
import { guardOf, ratiosOf } from "../bench/guard.ts";
import { describeMachine } from "../src/cli/bench/machine.ts";
import { GUARDED, parseOptions } from "../bench/options.ts";
import { confirmCount, Payloads, SerialCheck } from "../src/cli/bench/payloads.ts";
import { arePeersInstalled } from "../bench/peers/install.ts";
import { pairingsOf, peerTable } from "../bench/peer_table.ts";
import { aggregate } from "../src/cli/bench/python_form/aggregate.ts";
import { FIELDS, type PythonBench, record } from "../src/cli/bench/python_form/records.ts";
import { resultsOf } from "../src/cli/bench/python_form/saved.ts";
import { pythonTable } from "../src/cli/bench/python_form/table.ts";
import { withTables } from "../bench/report/tables.ts";
import { Results, type Sample } from "../bench/results.ts";
import { secureTable } from "../bench/secure_table.ts";
import { interpolated, interval, slope } from "../src/cli/bench/statistics.ts";
import { webSocketTable } from "../bench/web_socket_table.ts";
import type { WorkloadName } from "../bench/workloads/all.ts";
import { ROOT } from "../scripts/runtimes.ts";

/** The keys of `to_dict` in `veltix.benchmark.models` of Python's Veltix 2.0.0; 3.0 adds `n_runs` and `metrics` to each. */
const PYTHON_KEYS: Readonly<Record<PythonBench, string>> = {
  memory: "baseline_kb server_idle_kb client_cost_avg_kb client_cost_min_kb client_cost_max_kb client_cost_median_kb " +
    "client_cost_stdev_kb ram_10_clients_kb ram_50_clients_kb ram_after_teardown_kb leak_kb backend",
  latency: "count avg_ms p50_ms p95_ms p99_ms min_ms max_ms stdev_ms jitter_ms throughput backend",
  fps:
    "players tick_rate actual_tick_rate duration_s total_sent total_recv msg_per_sec success_rate ram_delta_mb errors " +
    "tick_avg_ms tick_min_ms tick_max_ms tick_stdev_ms tick_budget_pct overrun_ticks backend",
  burst: "count payload_bytes send_throughput recv_throughput data_mbps success_rate duration_s send_duration_s " +
    "drain_p50_ms drain_p95_ms drain_p99_ms drain_max_ms drain_jitter_ms recv_gap_avg_ms backend",
  stress:
    "num_clients msgs_per_client total_sent total_recv success_rate throughput duration_s ram_delta_mb send_phase_s " +
    "drain_time_s time_to_first_recv_ms per_client_tps_avg per_client_tps_min per_client_tps_max per_client_tps_stdev backend",
};

/** A result in which every field has the same value. */
function result(bench: PythonBench, value: number): ReturnType<typeof record> {
  const values = Object.fromEntries(Object.keys(FIELDS[bench]).map((name) => [name, value]));
  return record(bench, "node", values as Parameters<typeof record>[2]);
}

/** One sample for each value of a figure. */
function samples(workload: WorkloadName, subject: string, figure: string, ...values: number[]): Sample[] {
  return values.map((value) => ({ runtime: "node", workload, subject, figures: { [figure]: value } }));
}

describe("what a run saves", () => {
  /** Paths from a root, a drive or a URL of a file, and a kernel's build. */
  const OF_A_MACHINE = /(?<![\w.*)])\/[\w.@~-]+\/|\b[A-Z]:\\|file:\/\/|"[A-Z]\w+ \d+\.\d+[.-][^"]* (?:x64|arm64)"/gi;

  it("names the system by its first two numbers", () => {
    const { os } = describeMachine([]);
    assert(/^\w+ \d+(\.\d+)? \w+$/.test(os), os);
  });

  it("has the message of a failure, and not where in which files it happened", () => {
    const results = new Results();
    const failure = { runtime: "node", workload: "rtt", subject: "ws", message: "Cannot connect" } as const;
    results.failures.push({ ...failure, detail: "Error: Cannot connect\n    at file:///home/me/bench/client.ts:1:2" });
    assertEquals((results.toJSON() as { failures: unknown }).failures, [failure]);
  });

  it("is kept in the repository without a path of the machine", () => {
    const ours = globSync("bench/**/*.json", { cwd: ROOT }).filter((file) => !file.includes("node_modules"));
    assert(ours.length > 0);
    for (const file of ours) {
      assertEquals([file, readFileSync(`${ROOT}${file}`, "utf8").match(OF_A_MACHINE)], [file, null]);
    }
    const text = JSON.stringify([
      "at (/home/me/a.ts:1:2)",
      "C:\\me",
      "file:///a",
      "Linux 6.18.44-me x64",
      "1 B/s, and/or",
    ]);
    assertEquals(text.match(OF_A_MACHINE)?.length, 4);
  });
});

describe("the check of serial numbers", () => {
  const order = (...serials: number[]): SerialCheck => {
    const check = new SerialCheck(1, 8, 64);
    const payloads = new Payloads(64, 0, 8);
    const ring = Array.from({ length: 8 }, () => payloads.next());
    for (const serial of serials) check.take(ring[serial % 8]);
    return check;
  };

  it("finds nothing wrong with messages that come once and in order, round after round", () => {
    const check = order(...Array.from({ length: 20 }, (_, i) => i));
    confirmCount(20, check);
    assertEquals(check.count(), { received: 20, gaps: 0, twice: 0, inversions: 0, damaged: 0 });
  });

  it("tells losses, repetitions and inversions apart", () => {
    assertEquals(order(0, 1, 3, 4).count(), { received: 4, gaps: 1, twice: 0, inversions: 0, damaged: 0 });
    assertEquals(order(0, 1, 1, 2).count(), { received: 4, gaps: 0, twice: 1, inversions: 0, damaged: 0 });
    assertEquals(order(0, 2, 1, 3).count(), { received: 4, gaps: 1, twice: 0, inversions: 1, damaged: 0 });
  });

  it("counts messages of a wrong size as damaged", () => {
    const check = new SerialCheck(1, 8, 65);
    check.take(new Payloads(64, 0, 8).next());
    assertEquals(check.damaged, 1);
  });

  it("says what it found", () => {
    assertThrows(
      () => confirmCount(5, order(0, 1, 1, 2)),
      Error,
      "of 5, 2 were lost, 1 came twice, 0 behind a later one, 0 damaged",
    );
    assertThrows(() => confirmCount(3, order(0, 1)), Error, "of 3, 1 were lost");
  });
});

describe("results in Python's form", () => {
  for (const [bench, keys] of Object.entries(PYTHON_KEYS) as [PythonBench, string][]) {
    it(`have the fields of Python's "${bench}", in its order`, () => {
      assertEquals(Object.keys(result(bench, 1).values), keys.split(" "));
    });
  }

  it("are rounded as Python rounds them", () => {
    const { values } = result("fps", 1.23456);
    assertEquals([values.players, values.msg_per_sec, values.ram_delta_mb, values.tick_avg_ms], [1, 1.2, 1.23, 1.235]);
  });

  it("are medians over the rounds, with what varied and how much", () => {
    const form = aggregate([1, 9, 2].map((value) => result("memory", value)));
    assertEquals([form.memory?.leak_kb, form.memory?.n_runs, form.memory?.backend], [2, 3, "node"]);
    const { n, median, min, max, p25, noisy } =
      (form.memory?.metrics as Record<string, Record<string, unknown>>).leak_kb;
    assertEquals({ n, median, min, max, p25, noisy }, { n: 3, median: 2, min: 1, max: 9, p25: 1.5, noisy: true });
    assertEquals(aggregate([result("burst", 1)]).burst?.metrics, {});
  });

  it("keep games with different numbers of players apart", () => {
    const form = aggregate([result("fps", 64), result("fps", 128), result("fps", 64)]);
    assertEquals(form.fps?.map(({ players, n_runs }) => [players, n_runs]), [[64, 2], [128, 1]]);
  });

  it("are read from the files of Python's releases, old and new", () => {
    const old = resultsOf({ results: { fps_64: { players: 64 }, fps_128: { players: 128 }, burst: null } });
    assertEquals(old.map(({ bench, values }) => [bench, values.players]), [["fps", 64], ["fps", 128]]);
    const now = resultsOf({ results: { fps: [{ players: 64 }], latency: [{ p50_ms: 1 }] } });
    assertEquals(now.map(({ bench }) => bench), ["fps", "latency"]);
  });

  it("stand side by side, a row for each field", () => {
    const table = pythonTable({
      "veltix on node": { latency: { p50_ms: 0.5 } },
      "python 2.0.0": { latency: { p50_ms: 2 } },
    });
    assert(/latency +p50_ms +0\.5 +2/.test(table), table);
    assertEquals(pythonTable({}), "");
  });
});

describe("the comparison of two runs", () => {
  const before = { date: "before", samples: samples("stress", "veltix", "stress", 90, 100, 110) };

  it("is the ratio of medians, and says where the rounds overlap", () => {
    const near = changesOf(before.samples, samples("stress", "veltix", "stress", 105, 120, 130));
    assertEquals(near.map(({ ratio, overlap }) => [ratio, overlap]), [[1.2, true]]);
    const far = changesOf(before.samples, samples("stress", "veltix", "stress", 190, 200, 210));
    assertEquals(far.map(({ ratio, overlap }) => [ratio, overlap]), [[2, false]]);
  });

  it("knows which direction is better", () => {
    const verdict = (workload: WorkloadName, figure: string): string | undefined => {
      const [old, now] = [1, 2].map((value) => ({
        date: "",
        samples: samples(workload, "veltix", figure, value, value),
      }));
      return compare(old, now).split("\n")[2].split(" ").at(-1);
    };
    assertEquals([verdict("stress", "stress"), verdict("rtt", "rtt p50")], ["better", "worse"]);
  });

  it("leaves out what only one of them has", () => {
    assertEquals(changesOf(before.samples, samples("rtt", "veltix", "rtt p50", 1)), []);
  });
});

describe("the guard", () => {
  const now = (veltix: number): ReturnType<typeof ratiosOf> => {
    return ratiosOf([
      ...samples("stress", "batch", "stress", 100),
      ...samples("stress", "veltix", "stress", veltix),
    ], ["node"]);
  };

  it("takes ratios to the floor of the same run", () => {
    assertEquals(now(50), { node: { stress: 0.5 } });
  });

  it("fails when more than a quarter of a rate is lost", () => {
    const verdicts = [50, 76, 74, 200].map((rate) => guardOf(now(100), now(rate))[0].failed);
    assertEquals(verdicts, [true, false, true, false]);
  });

  it("fails when a time or a size grows by more than a quarter of what it is then", () => {
    const verdicts = [1.3, 1.4, 0.5].map((ratio) =>
      guardOf({ node: { "rtt p50": 1 } }, { node: { "rtt p50": ratio } })[0]
    );
    assertEquals(verdicts.map(({ failed }) => failed), [false, true, false]);
    assertAlmostEquals(verdicts[1].loss, 0.286, 0.001);
  });

  it("leaves out what is not kept", () => {
    assertEquals(guardOf({ deno: { stress: 1 } }, now(1)), []);
  });
});

describe("the factors beside peers", () => {
  it("are above 1 where the library is ahead, whether more or less is better", () => {
    const measured = [
      ...samples("stress", "veltix", "stress", 300, 310),
      ...samples("stress", "ws", "stress", 100, 110),
      ...samples("rtt", "veltix", "rtt p50", 50, 51),
      ...samples("rtt", "ws", "rtt p50", 24, 26),
    ];
    const pairings = pairingsOf(measured, ["node", "deno"]).map((
      { figure, peer, ahead },
    ) => [figure.name, peer, ahead]);
    assertEquals(pairings, [["rtt p50", "ws", "NO"], ["stress", "ws", "yes"]]);
    assert(/stress +node +ws +305 +105 +2\.90 × +yes/.test(peerTable(measured, { runtimes: ["node"] })));
  });

  it("are uncertain where rounds overlap or there is one only", () => {
    const pair = (...values: number[]): string =>
      pairingsOf([
        ...samples("stress", "veltix", "stress", ...values),
        ...samples("stress", "ws", "stress", 100, 110),
      ], ["node"])[0].ahead;
    assertEquals([pair(90, 130), pair(300), pair(50)], ["yes ~", "yes ~", "NO ~"]);
  });

  it("compare Python's processes with the library on every runtime", () => {
    const measured: Sample[] = [
      ...samples("stress", "veltix", "stress", 300),
      { runtime: "python", workload: "stress", subject: "python-2.0.0", figures: { stress: 10 } },
    ];
    assertEquals(pairingsOf(measured, ["node"]).map(({ peer, factor }) => [peer, factor]), [["python-2.0.0", 30]]);
  });
});

describe("the options", () => {
  it("measure the workloads with a floor for the guard", () => {
    const options = parseOptions(["--guard"])!;
    assertEquals([options.guard, options.workloads], [true, GUARDED]);
    assertEquals(parseOptions([])!.guard, false);
  });

  it("take two files to compare", () => {
    assertEquals(parseOptions(["--compare", "a.json", "b.json"])!.compare, ["a.json", "b.json"]);
    assertThrows(() => parseOptions(["--compare", "a.json"]), TypeError, "two files, not 1");
    assertThrows(() => parseOptions(["a.json"]), TypeError);
  });

  it("name the long workloads only when asked for", () => {
    const { workloads, minutes } = parseOptions(["--only", "mixed,million", "--minutes", "0.5"])!;
    assertEquals([workloads, minutes], [["mixed", "million"], 0.5]);
    for (const wrong of [["--minutes", "0"], ["--only", "nothing"], ["--rounds", "0"]]) {
      assertThrows(() => parseOptions(wrong), TypeError, `Cannot read ${wrong[0]}`);
    }
  });
});

describe("the statistics", () => {
  it("take a percentile between two ranks, as Python's benchmark does", () => {
    assertEquals([interpolated([4, 1, 3, 2], 50), interpolated([1, 2], 100), interpolated([], 50)], [2.5, 2, 0]);
  });

  it("tell the slope of what grows", () => {
    assertAlmostEquals(slope([[0, 1], [1, 3], [2, 5]]), 2);
    assertAlmostEquals(slope([[0, 7], [1, 7], [5, 7]]), 0);
  });
});

describe("the tables of a page", () => {
  const page =
    "a\n\n<!-- bench:report goals -->\n\n?\n\n<!-- end -->\n\n<!-- bench:report peers -->\n\n?\n\n<!-- end -->\n";
  const measured = [
    ...samples("stress", "batch", "stress", 100, 110, 90),
    ...samples("stress", "veltix", "stress", 50_000, 49, 51),
    ...samples("stress", "ws", "stress", 3),
    ...samples("idle", "veltix", "idle memory", 8192),
    ...samples("idle", "veltix", "idle memory, 10,000", 9216),
    ...samples("rtt", "raw", "rtt p50", 100),
    ...samples("rtt", "veltix", "rtt p50", 116),
  ];

  it("have medians, ratios and goals, and stand where the page says", () => {
    const lines = withTables(page, measured).split("\n").map((line) => line.replaceAll(/ +/g, " "));
    for (
      const line of [
        "| workload | goal | Node | Deno | Bun |",
        "| Round trip, median | ≤ 1.15 × raw | 116 µs, 1.16 | – | – |",
        "| 100 clients at once | ≥ 0.5 × batch | **51, 0.51** | – | – |",
        "| Memory, idle connection | ≤ 8.0 KB / 10.0 KB / 6.0 KB | **8.0 KB** | – | – |",
        "| Memory, idle connection, of 10,000 | ≤ 5.5 KB / 8.0 KB / 2.5 KB | 9.0 KB | – | – |",
        "| workload | Node | ws, Node |",
        "| 100 clients at once | 51 | 3 |",
      ]
    ) assert(lines.includes(line), `${line}\nin\n${lines.join("\n")}`);
    assert(!lines.includes("?"));
    assertThrows(() => withTables("a page", measured), Error, 'no "<!-- bench:report goals -->"');
  });

  it("are those of the results that are kept", () => {
    const kept = JSON.parse(readFileSync(new URL("../bench/results.json", import.meta.url), "utf8"));
    const text = readFileSync(new URL("../docs/performance.md", import.meta.url), "utf8");
    assertEquals(text, withTables(text, kept.samples));
  });
});

describe("the charts", () => {
  const machine = { cpu: "a CPU", cores: 2, memory: 0, os: "Linux 1", load: 0, versions: ["node 1"] };
  const saved = { date: "2026-01-02T03:04:05Z", machine, options: { rounds: 3 } };
  // Deno draws them, and fetches for it what draws.
  const test = "Deno" in globalThis && arePeersInstalled() ? it : it.skip;

  /** What `deno task bench:report` draws, by the names of the files. */
  function draw(measured: readonly Sample[]): Record<string, string> {
    const folder = mkdtempSync(join(tmpdir(), "veltix-charts-"));
    try {
      writeFileSync(join(folder, "saved.json"), JSON.stringify({ ...saved, samples: measured }));
      const args = ["run", "-A", "--no-check", "--lock=bench/deno.lock", "bench/report/main.ts"];
      const { status, stderr } = spawnSync(process.execPath, [...args, join(folder, "saved.json"), `--out=${folder}`], {
        cwd: ROOT,
        encoding: "utf8",
      });
      assertEquals(status, 0, stderr);
      const names = readdirSync(folder).filter((name) => name.endsWith(".svg"));
      return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test("show each workload beside its floor, in colors for light and dark pages", () => {
    const measured = [...samples("stress", "batch", "stress", 100), ...samples("stress", "veltix", "stress", 42)];
    const charts = draw(measured);
    assertEquals(Object.keys(charts), ["floor.svg"]);
    for (
      const part of [">0.42<", ">100 clients at once<", "a CPU", "Medians of 3 rounds", "prefers-color-scheme:dark"]
    ) {
      assert(charts["floor.svg"].includes(part), part);
    }
  });

  test("show the peers that were measured", () => {
    const measured = [...samples("stress", "ws", "stress", 100), ...samples("stress", "veltix", "stress", 4200)];
    const charts = draw(measured);
    assertEquals(Object.keys(charts), ["peers.svg"]);
    for (const part of ["ws, Node", "Veltix, Node", ">4.2k<"]) assert(charts["peers.svg"].includes(part), part);
  });

  test("show the most important of them once more for README.md", () => {
    const measured = (["stress", "broadcast"] as const).flatMap((name) => [
      ...samples(name, "ws", name, 100),
      ...samples(name, "veltix", name, 4200),
    ]);
    const { "peers.svg": all, "summary.svg": some } = draw(measured);
    for (const title of [">100 clients at once<", ">Broadcast to 100<"]) assert(all.includes(title), title);
    assert(some.includes(">Broadcast to 100<"));
    assert(!some.includes(">100 clients at once<"));
  });
});

describe("protected connections", () => {
  it("are compared by medians, with an interval that the rounds give", () => {
    const [one, other] = [[10, 12, 11, 13, 9], [20, 24, 22, 26, 18]];
    assertEquals(interval(one), { low: 9, middle: 11, high: 13 });
    // Each round is twice the other: drawn together, there is no doubt about the ratio.
    assertEquals(interval(other, one), { low: 2, middle: 2, high: 2 });
    const difference = interval(other, one, "difference");
    assertEquals(difference.middle, 11);
    assert(difference.low >= 9 && difference.low < 11 && difference.high > 11 && difference.high <= 13);
    assertEquals(interval(other, one, "difference"), difference);
    assertEquals(interval([5], [4]), { low: 1.25, middle: 1.25, high: 1.25 });
  });

  it("have a table that says what is certain", () => {
    const rows = (speeds: readonly number[], runtime: Sample["runtime"], subject: string): Sample[] =>
      speeds.map((speed) => ({ runtime, workload: "secure", subject, figures: { "secure 64 KiB": speed } }));
    const of = (...samples: Sample[][]): string[] => secureTable(samples.flat()).split("\n").slice(2);
    const plain = rows([900e6, 910e6, 920e6], "node", "veltix");
    const [fast] = of(plain, rows([400e6, 410e6, 420e6], "node", "noise"));
    assert(/910MB +410MB .*\[400MB–420MB\] +≥ 300MB +yes +3/.test(fast), fast);
    const [slow] = of(plain, rows([200e6, 210e6, 220e6], "node", "noise"));
    assert(/≥ 300MB +NO +3/.test(slow), slow);
    const [unsure] = of(plain, rows([200e6, 310e6, 320e6], "node", "noise"));
    assert(/≥ 300MB +yes ~ +3/.test(unsure), unsure);
    const [mixed] = of(rows([170e6, 180e6], "deno-bun", "noise"));
    assert(/deno-bun .*≥ 150MB +yes +2/.test(mixed), mixed);
    assertEquals(secureTable(plain), "");
  });
});

describe("WebSockets", () => {
  it("have a table that compares them with those of the runtime, and with TCP", () => {
    const rows = (times: readonly number[], runtime: Sample["runtime"], subject: string): Sample[] =>
      times.map((time) => ({ runtime, workload: "websocket", subject, figures: { "websocket round trip": time } }));
    const bare = rows([100, 104, 102], "node", "ws");
    const [fast] = webSocketTable([...bare, ...rows([110, 114, 112], "node", "veltix-websocket")]).split("\n").slice(2);
    assert(/round trip +node +102 µs +112 µs +– +– +1\.10 \[.*\] × bare +≤ 1\.15 +yes +3/.test(fast), fast);
    const all = [
      ...bare,
      ...rows([130, 134, 132], "node", "veltix-websocket"),
      ...rows([120, 124, 122], "node", "veltix"),
      ...rows([100], "bun", "bun-websocket"),
      ...rows([116], "bun", "veltix-websocket"),
    ];
    const [slow, unsure] = webSocketTable(all).split("\n").slice(2);
    assert(/node +102 µs +132 µs +122 µs +1\.08 \[.*\] × TCP +1\.29 \[.*\] × bare +≤ 1\.15 +NO +3/.test(slow), slow);
    assert(/bun .* 1\.16 \[1\.16–1\.16\] × bare +≤ 1\.15 +NO ~ +1/.test(unsure), unsure);
    assertEquals(webSocketTable(bare), "");
  });
});
