/**
 * `veltix bench`: what it measures, keeps and compares, and how it ends. Whether figures are good is none of a test's
 * business.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytes, messageType, Server } from "../mod.ts";
import type { Clock } from "../src/base/clock.ts";
import { FakeClock } from "../src/adapters/memory.ts";
import { type BenchFile, type Compared, readBench } from "../src/cli/bench/bench_file.ts";
import { changesOf, comparisonText, type FigureChange } from "../src/cli/bench/comparison.ts";
import { Findings } from "../src/cli/bench/findings.ts";
import { Histogram } from "../src/cli/bench/histogram.ts";
import { type Lane, type LoadOptions, type LoadResult, runLoad } from "../src/cli/bench/load.ts";
import { pythonBurst } from "../src/cli/bench/python_form/burst.ts";
import { latency } from "../src/cli/bench/python_form/latency.ts";
import { pythonStress } from "../src/cli/bench/python_form/stress.ts";
import type { Unit } from "../src/cli/bench/units.ts";
import { ExitCode } from "../src/cli/exit_codes.ts";
import { bench, startVeltix } from "./cli_bench_support.ts";
import { itOnPosix } from "./posix.ts";

const ECHO = messageType(300, "echo", bytes, bytes);

/** The shortest measurement. */
const SHORT = ["--duration", "0.02", "--warmup", "0"];

/** Starts a server that answers requests with the code 300. */
async function startServer(answer: (content: Uint8Array) => Uint8Array = (content) => content): Promise<Server> {
  const server = new Server({ hostname: "127.0.0.1", port: 0 });
  server.on("error", () => {});
  server.route(ECHO, ({ content }) => answer(content));
  await server.start();
  return server;
}

function portOf(server: Server): string {
  const [address] = server.addresses;
  assert("port" in address);
  return String(address.port);
}

/** A folder that is gone after each test. */
function useFolder(): (name: string) => string {
  let folder = "";
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "veltix-bench-"))));
  afterEach(() => rmSync(folder, { recursive: true }));
  return (name) => join(folder, name);
}

describe("the histogram of veltix bench", () => {
  it("tells percentiles of any times to 0.3 %, and the least, the greatest and the mean exactly", () => {
    const histogram = new Histogram();
    const values = Array.from({ length: 10_000 }, (_, i) => 0.001 * 1.001 ** (i * 7919 % 10_000));
    for (const value of values) histogram.record(value);
    const sorted = values.toSorted((a, b) => a - b);
    for (const percent of [1, 10, 50, 90, 99, 99.9, 100]) {
      const exact = sorted[Math.ceil(percent / 100 * 10_000) - 1];
      assert(Math.abs(histogram.percentile(percent) / exact - 1) < 0.003, `${percent}`);
    }
    assertEquals([histogram.least, histogram.greatest, histogram.count], [sorted[0], sorted[9_999], 10_000]);
    assert(Math.abs(histogram.mean / (values.reduce((sum, value) => sum + value) / 10_000) - 1) < 1e-9);
  });

  it("takes times that have no bucket, and has 0 without times", () => {
    const histogram = new Histogram();
    assertEquals([histogram.percentile(50), histogram.least, histogram.greatest, histogram.mean], [0, 0, 0, 0]);
    for (const value of [-1, 0, 1e-9, 1e12]) histogram.record(value);
    assertEquals([histogram.count, histogram.least, histogram.percentile(100)], [4, 0, 1e12]);
  });
});

describe("the load of veltix bench", () => {
  let clock: FakeClock;
  beforeEach(() => void (clock = new FakeClock()));

  /** A lane whose operations take as long as `time` says of when they begin. */
  function lane(time: (now: number) => number, extra: Partial<Lane> = {}): Lane {
    const run = () => new Promise<void>((resolve) => clock.setTimeout(resolve, time(clock.now())));
    return { run, isUp: true, ...extra };
  }

  async function load(options: Omit<LoadOptions, "clock">, ms = 60_000): Promise<LoadResult> {
    const result = runLoad({ ...options, clock });
    await clock.advance(ms);
    return await result;
  }

  it("has one operation under way on each lane, until the time is over", async () => {
    const result = await load({ lanes: [lane(() => 10), lane(() => 20)], duration: 1_000 });
    assertEquals([result.done, result.elapsed, result.times.percentile(50), result.times.greatest], [
      150,
      1_000,
      10,
      20,
    ]);
    assertEquals([result.waiting, result.errors.size, result.isCut], [0, 0, false]);
  });

  for (const [rate, duration, count] of [[1_000, 100, 100], [3, 1_000, 3], [0.5, 1_000, 1], [10_000, 50, 500]]) {
    it(`begins ${count} operations at ${rate} a second in ${duration} ms`, async () => {
      const lanes = Array.from({ length: 100 }, () => lane(() => 1));
      const result = await load({ lanes, duration, rate });
      assertEquals([result.done, result.waiting], [count, 0]);
      assert(Math.abs(result.elapsed - duration) <= 2, `${result.elapsed}`);
      assertEquals(result.times.greatest, 1);
    });
  }

  it("counts what a server that stands still holds up from when it was due, not from when it was sent", async () => {
    // It answers within 1 ms, and stands still from 100 to 1,100.
    const server = (now: number): number => now >= 100 && now < 1_100 ? 1_101 - now : 1;
    const paced = await load({ lanes: [lane(server)], duration: 2_000, rate: 100 });
    assertEquals(paced.done, 200);
    // Half of all were due meanwhile, and waited half a second on average.
    assert(paced.times.percentile(75) > 400, `${paced.times.percentile(75)}`);
    assert(Math.abs(paced.times.greatest - 1_001) <= 2, `${paced.times.greatest}`);

    clock = new FakeClock();
    const flat = await load({ lanes: [lane(server)], duration: 2_000 });
    assert(flat.times.percentile(75) < 1.01);
  });

  it("counts what was due and never sent with the time that it waited", async () => {
    const result = await load({ lanes: [lane(() => 10_000)], duration: 1_000, rate: 10 });
    assertEquals([result.done, result.waiting, result.times.count], [1, 9, 10]);
    assert(result.times.percentile(50) > 9_000);
    assertEquals(result.elapsed, 10_000);
  });

  it("takes the grain of timers off, and nothing more", async () => {
    // A clock whose timers come 1 ms late, and one whose timers come 50 ms late.
    for (const [late, greatest] of [[1, 1], [50, 51]]) {
      const base = clock = new FakeClock();
      const slow: Clock = {
        now: () => base.now(),
        setTimeout: (fn, ms) => base.setTimeout(fn, ms + late),
        clearTimeout: (timer) => base.clearTimeout(timer),
        unref: (timer) => base.unref(timer),
      };
      const result = runLoad({ lanes: [lane(() => 1)], duration: 1_000, rate: 5, clock: slow });
      await base.advance(5_000);
      const { late: lateness, times } = await result;
      assertEquals([times.greatest, lateness.greatest], [greatest, late]);
    }
  });

  it("counts errors by what they say, at most nine kinds of them, and is no endless loop", async () => {
    let calls = 0;
    const failing: Lane = { run: () => Promise.reject(new Error(`no ${calls++ % 20}`)), isUp: true };
    const { done, errors } = await load({ lanes: [failing], duration: 100 });
    assertEquals([done, errors.size, errors.get("no 0")! > 0, errors.get("other errors")! > 0], [0, 9, true, true]);
    assert(calls <= 101, `${calls}`);
  });

  it("ends when all lanes have lost their connection", async () => {
    for (const rate of [undefined, 100]) {
      clock = new FakeClock();
      let isUp = true;
      const lost: Lane = {
        run: () => isUp && clock.now() < 500 ? lane(() => 10).run() : Promise.reject(new Error(`lost ${isUp = false}`)),
        get isUp() {
          return isUp;
        },
      };
      const result = await load({ lanes: [lost], duration: 10_000, rate });
      assertEquals([result.isCut, result.done, result.errors.get("lost false")], [true, 50, 1]);
      assert(result.elapsed < 600, `${result.elapsed}`);
    }
  });

  it("ends at once with what there is when it is interrupted", async () => {
    for (const rate of [undefined, 100]) {
      clock = new FakeClock();
      const controller = new AbortController();
      clock.setTimeout(() => controller.abort(), 95);
      const result = await load({ lanes: [lane(() => 10)], duration: 10_000, rate, signal: controller.signal }, 95);
      assertEquals([result.done, result.isCut], [9, false]);
      assert(result.elapsed <= 95);
      assertEquals((await load({ lanes: [lane(() => 10)], duration: 10, rate, signal: controller.signal }, 0)).done, 0);
    }
  });

  it("says where a rate was too high, or this machine too busy", () => {
    const findings = new Findings();
    const late = new Histogram();
    late.record(100);
    const times = new Histogram();
    times.record(1, 2);
    findings.addLoad("ping", 10, { done: 1, errors: new Map(), waiting: 1, elapsed: 100, times, late, isCut: false });
    assertEquals(findings.notes, [
      "ping: the rate was too high: some were still waiting to be sent at the end of a round",
      "ping: this machine was too busy to keep the timetable: the server may be better than these figures",
    ]);
    assertEquals(findings.series.at(-1), { name: "ping: reached", unit: "/s", values: [10] });
  });
});

describe("the comparison of veltix bench", () => {
  function run(values: readonly number[], unit: Unit = "µs", settings = {}): Compared {
    return { title: "a run", machine: "a machine", load: 0.2, settings, series: [{ name: "figure", unit, values }] };
  }

  function change(before: readonly number[], after: readonly number[], unit?: Unit): FigureChange {
    return changesOf(run(before, unit), run(after, unit))[0];
  }

  it("knows better from worse by the unit", () => {
    const [low, high] = [[10, 11, 10, 12], [20, 21, 22, 20]];
    const verdicts = ([["µs", "worse"], ["/s", "better"], ["B", "worse"]] as const).map(([unit, verdict]) => {
      assertEquals([change(low, high, unit).verdict, unit], [verdict, unit]);
      return change(high, low, unit).verdict;
    });
    assertEquals(verdicts, ["better", "worse", "better"]);
  });

  it("calls a difference noise when the rounds do not tell the runs apart", () => {
    const { range, ratio, verdict } = change([10, 12, 14, 16], [11, 13, 15, 17]);
    assertEquals(verdict, "noise");
    assert(range![0] < 1 && range![1] > 1 && ratio! > 1);
    assertEquals(change([10, 11, 12, 13], [13, 12, 11, 10]).verdict, "same");
  });

  it("does not tell by fewer than four rounds, however far apart they are", () => {
    const { range, ratio, verdict } = change([1, 1, 1], [100, 100, 100, 100]);
    assertEquals([verdict, range, ratio], ["few", undefined, 100]);
  });

  it("takes a figure that was 0", () => {
    const { range, ratio, verdict } = change([0, 0, 0, 0], [5, 6, 7, 8]);
    assertEquals([verdict, range, ratio], ["worse", undefined, undefined]);
  });

  it("gives the same interval each time", () => {
    assertEquals(change([1, 2, 3, 4, 5], [3, 4, 5, 6, 7]), change([1, 2, 3, 4, 5], [3, 4, 5, 6, 7]));
  });

  it("says how the runs differ in how they were measured, and that nothing is in common", () => {
    const text = comparisonText(run([1], "µs", { connections: 1 }), {
      ...run([2], "µs", { connections: 2, rate: 5 }),
      machine: "another",
      load: 3,
    });
    assert(
      text.includes(
        "before: a machine\nconnections was 1 and is 2\nrate was none and is 5\nother programs were busy: load of a core 0.2 before, 3.0 after",
      ),
      text,
    );
    assert(text.includes("cannot tell by 1 and 1 rounds: from 4 each"), text);
    assertEquals(comparisonText(run([1], "µs"), run([1], "ms")), "The runs have no figure in common.");
  });
});

describe("the files of veltix bench", () => {
  const file = useFolder();

  it("may be those of Python's benchmark, of any release", () => {
    const result = { p50_ms: 0.05, p99_ms: 0.1, throughput: 2e4, backend: "async" };
    for (const latency of [[result], result]) {
      const saved = { veltix_version: "3.3.0", system: { python: "3.11.2" }, results: { latency, memory: null } };
      writeFileSync(file("python.json"), JSON.stringify(saved));
      const { machine, series, title } = readBench(file("python.json"));
      assertEquals([title, machine], ["Python's 3.3.0", "Python 3.11.2"]);
      assertEquals(series.map(({ name, unit, values }) => `${name} ${values} ${unit}`), [
        "latency: ping p50 50 µs",
        "latency: ping p99 100 µs",
        "latency: pings 20000 /s",
      ]);
    }
  });

  const broken = {
    "no JSON": "{",
    "another file": "{}",
    "a value": "7",
    "results that Python does not have": '{"results": {"other": {}}}',
    "a run without figures": '{"format": "veltix bench 1"}',
  };
  for (const [what, text] of Object.entries(broken)) {
    it(`are refused if they are ${what}`, () => {
      writeFileSync(file("a.json"), text);
      assertThrows(() => readBench(file("a.json")), Error, what === "no JSON" ? "Cannot read" : "Cannot compare with");
    });
  }

  it("keep no figure that is no number", () => {
    const good = { veltix: "1", date: "", machine: { versions: [], load: 0, cores: 1 }, settings: {}, target: null };
    for (const values of [[], ["1"], [null], 1]) {
      const text = JSON.stringify({ format: "veltix bench 1", ...good, series: [{ name: "a", unit: "ms", values }] });
      writeFileSync(file("a.json"), text);
      assertThrows(() => readBench(file("a.json")), Error, "Cannot compare with");
    }
  });
});

describe("veltix bench", () => {
  const file = useFolder();

  it("measures itself, and loses nothing", async () => {
    const five = [
      "--latency-iterations",
      "5",
      "--burst-count",
      "20",
      "--burst-payload",
      "100",
      "--stress-clients",
      "3",
    ];
    const games = ["--stress-msgs", "4", "--fps-players", "2", "--fps-tick-rate", "50", "--fps-duration", "0.2"];
    const { code, err, out } = await bench([
      ...SHORT,
      ...five,
      ...games,
      "--rounds",
      "1",
      "--sizes",
      "4,100",
      "--json",
    ]);
    assertEquals([code, err], [0, ""]);
    const { errors, interrupted, machine, python, series, settings, target }: BenchFile = JSON.parse(out);
    assertEquals([errors, interrupted, target, machine.versions.length], [{}, false, null, 1]);
    assertEquals([settings.burstCount, settings.sizes], [20, [4, 100]]);
    const { burst, fps, latency, memory, stress } = python;
    assertEquals([latency?.count, burst?.count, burst?.payload_bytes, burst?.success_rate], [5, 20, 100, 100]);
    assertEquals([stress?.num_clients, stress?.total_recv], [3, 12]);
    assertEquals(
      fps?.map(({ errors, players, tick_rate, success_rate }) => [players, tick_rate, success_rate, errors]),
      [
        [2, 50, 100, 0],
      ],
    );
    assert(Number(memory?.ram_50_clients_kb) > 0);
    const names = series.map(({ name }) => name);
    for (
      const name of ["latency: ping p50", "burst 100 B: sent", "connect: p50", "ping", "requests 4 B", "requests 100 B"]
    ) {
      assert(names.includes(name), `${name} of ${names}`);
    }
    for (const { name, values } of series) assert(values.length === 1 && values.every(Number.isFinite), name);
  });

  it("measures a server: connecting, pings, and requests with a code that it answers", async () => {
    const sizes = new Set<number>();
    const server = await startServer((content) => (sizes.add(content.length), content));
    const port = portOf(server);
    const load = ["--connections", "2", "--in-flight", "3", "--rate", "500"];
    const args = [port, "--code", "300", "--sizes", "0,70000", ...load, ...SHORT, "--rounds", "2", "--json"];
    const { code, err, out } = await bench(args);
    await server.close();
    assertEquals([code, err], [0, ""]);
    const { errors, notes: _, python, series, settings, target }: BenchFile = JSON.parse(out);
    assertEquals([errors, python, target], [{}, {}, { address: port, protocol: "native" }]);
    assertEquals([settings.connections, settings.inFlight, settings.rate], [2, { ping: 3, requests: 3 }, 500]);
    assertEquals(sizes, new Set([0, 70_000]));
    const percentiles = ["p50", "p90", "p99", "longest", "reached"];
    assertEquals(series.map(({ name }) => name), [
      ...["p50", "p99", "longest"].map((name) => `connect: ${name}`),
      ...["ping", "requests 0 B", "requests 70000 B"].flatMap((what) => percentiles.map((name) => `${what}: ${name}`)),
    ]);
    for (const { name, values } of series) assert(values.length === 2 && values.every((value) => value > 0), name);
  });

  it("measures pings alone where no code is known, and prints them for people", async () => {
    const server = await startServer();
    const { code, err, out } = await bench([`127.0.0.1:${portOf(server)}`, ...SHORT]);
    await server.close();
    assertEquals([code, err], [0, ""]);
    assert(/^veltix \S+ on \w+ \d\S+, .*\nmeasured: 127\.0\.0\.1:\d+, protocol native\n/.test(out), out);
    assert(/^ping: p50 +\S+ \S+ +\S+ µs … \S+ µs +\S+ µs … \S+ µs +5$/m.test(out.replaceAll(" ms", " µs")), out);
    assert(!out.includes("requests"));
  });

  it("saves a run, compares another one with it, and two with each other", async () => {
    const five = [
      "--only",
      "latency,stress",
      "--latency-iterations",
      "3",
      "--stress-clients",
      "2",
      "--stress-msgs",
      "2",
    ];
    const one = await bench([...five, ...SHORT, "--save", file("one.json")]);
    assertEquals([one.code, one.err], [0, ""]);
    assert(one.out.includes("Python 3.3.0 *") && one.out.includes("110,216"), one.out);
    const two = await bench([...five, ...SHORT, "--compare", file("one.json"), "--save", file("two.json"), "--json"]);
    const [run, comparison] = two.out.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(run, JSON.parse(readFileSync(file("two.json"), "utf8")));
    assertEquals(
      comparison.changes.map(({ name }: FigureChange) => name),
      run.series.map(({ name }: FigureChange) => name),
    );
    // Where others are busy meanwhile, it says so.
    assert(comparison.differences.every((text: string) => text.startsWith("other programs")), two.out);
    const both = await bench(["--compare", file("one.json"), file("two.json"), "--json"]);
    assertEquals(JSON.parse(both.out), comparison);
  });

  it("shows how far it is on a terminal, and nothing of that in the output", async () => {
    const server = await startServer();
    const shown = await bench([portOf(server), "--only", "ping", "--duration", "0.02", "--rounds", "2"], {
      isTerminal: true,
    });
    const quiet = await bench([portOf(server), "--only", "ping", ...SHORT, "--rounds", "1", "-q"], {
      isTerminal: true,
    });
    await server.close();
    const lines = shown.err.split("\r\x1b[K").filter((line) => line !== "");
    assertEquals(lines, ["[1/1] ping, warm-up", "[1/1] ping, round 1 of 2", "[1/1] ping, round 2 of 2"]);
    assert(!shown.out.includes("["), shown.out);
    assertEquals([quiet.code, quiet.err], [0, ""]);
  });

  it("prints and saves what there is when it is interrupted", async () => {
    const server = await startServer();
    const controller = new AbortController();
    const onError = (text: string) => text.includes("round 2") && controller.abort();
    const args = [portOf(server), "--only", "ping", ...SHORT, "--save", file("part.json")];
    const { code, out } = await bench(args, { isTerminal: true, signal: controller.signal, onError });
    await server.close();
    assertEquals(code, ExitCode.INTERRUPTED);
    assert(out.trimEnd().endsWith("ended early: this is what there was"), out);
    const { interrupted, series }: BenchFile = JSON.parse(readFileSync(file("part.json"), "utf8"));
    assertEquals([interrupted, series.map(({ values }) => values.length)], [true, series.map(() => 1)]);
  });

  for (const name of ["memory", "latency", "fps", "burst", "stress", "connect", "ping", "requests"]) {
    it(`ends "${name}" in the middle`, async () => {
      const controller = new AbortController();
      const onError = (text: string) => text.includes("round 1") && setTimeout(() => controller.abort(), 1);
      const long = ["--duration", "3600", "--latency-iterations", "1000000", "--fps-duration", "3600"];
      const more = ["--burst-count", "1000000", "--stress-msgs", "1000000", "--warmup", "0", "--only", name];
      const place = { isTerminal: true, signal: controller.signal, onError };
      assertEquals((await bench([...long, ...more], place)).code, ExitCode.INTERRUPTED);
    });
  }

  for (const [name, bench] of Object.entries({ latency, pythonBurst, pythonStress })) {
    it(`looks at the signal within the loop of "${name}"`, async () => {
      const controller = new AbortController();
      const { signal } = controller;
      let looks = 0;
      signal.throwIfAborted = () => {
        if (++looks === 5) controller.abort();
        AbortSignal.prototype.throwIfAborted.call(signal);
      };
      const numbers = { latencyIterations: 1e7, burstCount: 1e7, stressClients: 2, stressMessages: 1e6 };
      const pace = { measure: 10, connections: Infinity, share: 1 };
      const error = await assertRejects(() =>
        bench({ config: { core: "auto" }, pace, numbers, signal, confirm: () => {}, python: () => {} })
      );
      assertEquals(error, signal.reason);
      assert(looks >= 5);
    });
  }

  itOnPosix("prints what there is on Ctrl+C, and ends by its exit code", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    const server = await startServer((content) => {
      if (++asked === 100) resolve();
      return content;
    });
    const args = [portOf(server), "--code", "300", "--only", "requests", "--duration", "3600", "--warmup", "0"];
    const child = startVeltix("bench", ...args);
    let out = "";
    child.stdout!.on("data", (chunk) => out += chunk);
    const closed = once(child, "close");
    await promise;
    child.kill("SIGINT");
    const [code, signal] = await closed;
    await server.close();
    // Deno tells of the signal that was sent, whatever the exit code. What is printed shows that it did not kill.
    assertEquals(signal ?? code, signal === null ? ExitCode.INTERRUPTED : "SIGINT");
    assert(/^requests 64 B: p50 /m.test(out) && out.includes("ended early"), out);
  });

  it("prints what it had when the server goes away, and says so", async () => {
    let asked = 0;
    const server = await startServer((content) => {
      if (++asked === 50) void server.close({ drain: 0 });
      return content;
    });
    const args = [portOf(server), "--code", "300", "--only", "requests", "--duration", "60", "--warmup", "0"];
    const { code, err, out } = await bench(args);
    await server.close();
    assertEquals(code, ExitCode.NO_CONNECTION);
    assert(err.startsWith("veltix: requests 64 B: the connections were lost"), err);
    assert(out.includes("requests 64 B: p50"), out);
  });

  it("says what the server answered where it answers no request", async () => {
    const server = await startServer(() => {
      throw Object.assign(new Error("out of tea"), { code: "no-tea" });
    });
    const { code, err, out } = await bench([portOf(server), "--code", "300", ...SHORT, "--only", "requests"]);
    await server.close();
    assertEquals(code, ExitCode.REMOTE);
    assert(/^veltix: requests 64 B: none was answered: ./.test(err), err);
    assert(/^requests 64 B: \d+ failed: ./m.test(out), out);
  });

  it("has an exit code where nobody listens", async () => {
    const server = await startServer();
    const port = portOf(server);
    await server.close();
    const { code, err, out } = await bench([port, ...SHORT]);
    assertEquals([code, out], [ExitCode.NO_CONNECTION, ""]);
    assert(err.startsWith("veltix: "), err);
  });

  const wrong: Readonly<Record<string, readonly [args: readonly string[], says: string]>> = {
    "a code without an address": [["--code", "300"], "--code is for a run with the address of a server"],
    "a pin without an address": [["--pin", "a"], "--pin is for a run with the address of a server"],
    "a file of options without an address": [["--config", "a"], "--config is for a run with the address of a server"],
    "an option of TLS without an address": [["--server-name", "a"], "--server-name is for a run with the address"],
    "Python's flags with an address": [["1", "--burst-count", "5"], "--burst-count is for a run without the address"],
    "an unknown name": [["--only", "memory", "speed"], '"speed" cannot be measured here'],
    "an address among the names": [["--only", "ping", "127.0.0.1:1"], "write an address before --only"],
    "one of the five with an address": [["1", "--only", "memory"], "it is for a run without an address"],
    "requests without a code": [["1", "--only", "requests"], "requests need --code"],
    "no address": [["nobody", "--only", "ping"], '"nobody" is no address'],
    "a size that is none": [["--sizes", "64,x"], '--sizes must be a whole number from 0 to 10485696, not "x"'],
    "a code of the protocol": [["1", "--code", "199"], '--code must be a whole number from 200 to 65535, not "199"'],
    "no rounds": [["--rounds", "0"], '--rounds must be a whole number from 1 to 1000, not "0"'],
    "no time": [["--duration", ""], '--duration must be a number from 0.01 to 3600, not ""'],
    "an unknown transport": [["--transport", "udp"], '"udp" is no transport'],
    "a file that is not there": [["--compare", "/nowhere/a.json"], "Cannot read /nowhere/a.json"],
    "a folder that is not there": [["--save", "/nowhere/a.json"], "Cannot save /nowhere/a.json"],
  };
  for (const [what, [args, says]] of Object.entries(wrong)) {
    it(`refuses ${what} before it measures`, async () => {
      const { code, err, out } = await bench(args);
      assertEquals([code, out], [ExitCode.USAGE, ""]);
      assert(err.includes(says), err);
    });
  }
});
