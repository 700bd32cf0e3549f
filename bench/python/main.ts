/**
 * `deno task bench:python [--release a,b] [--runtime deno,bun,node] [--rounds N]`: round trip and throughput between our ends and
 * Python's, beside Python's with itself, by turns in one run. A ratio above 1 says: with our end in place of Python's it is
 * faster. Which end is the slower one in a burst, the CPU time of each says.
 *
 * @module
 */

import { dim } from "@std/fmt/colors";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bringRuntimes, RUNTIME_NAMES, type RuntimeName } from "../../scripts/runtimes.ts";
import { PythonPeer } from "../../tests/interop/python_peer.ts";
import { type Release, releaseNamed } from "../../tests/interop/releases.ts";
import { median } from "../../src/cli/bench/statistics.ts";

const ROLE = fileURLToPath(new URL("./role.ts", import.meta.url));
const SIZE = 64;
const ROUND_TRIPS = 1_000;
const BURST = 10_000;

/** What plays an end. */
type End = "python" | RuntimeName;
/** Round trip in milliseconds, messages a second, and the CPU time a message of either end in microseconds. */
type Figure = "round_trips" | "burst" | "client_cpu" | "server_cpu";
type Figures = Readonly<Record<Figure, number[]>>;

const FIGURES = ["round_trips", "burst", "client_cpu", "server_cpu"] as const;

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { release: text, runtime: text, rounds: text } });
const releases = (values.release ?? "1.6.3,2.0.0").split(",").map(releaseNamed);
const runtimes = bringRuntimes((values.runtime?.split(",") ?? RUNTIME_NAMES) as RuntimeName[]);
const rounds = Number(values.rounds ?? 5);

for (const release of releases) {
  const pairs: [client: End, server: End][] = [
    ["python", "python"],
    ...runtimes.map(({ name }): [End, End] => [name, "python"]),
    ...runtimes.map(({ name }): [End, End] => ["python", name]),
  ];
  const none = (): Figures => ({ round_trips: [], burst: [], client_cpu: [], server_cpu: [] });
  const figures = new Map<string, Figures>(pairs.map((pair) => [pair.join(), none()]));
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const pair of pairs) {
      const measured = await measure(release, ...pair);
      if (round === 0) continue;
      for (const name of FIGURES) figures.get(pair.join())![name].push(measured[name]);
    }
    console.log(dim(`${release.name}: round ${round} of ${rounds}`));
  }
  const own = figures.get("python,python")!;
  console.log(`\nPython ${release.name}, ${SIZE} bytes, medians of ${rounds} rounds; ratios to Python with itself\n`);
  console.log("| client | server | round trip, ms | ratio | messages/s | ratio | CPU µs, client | CPU µs, server |");
  console.log("| ------ | ------ | -------------- | ----- | ---------- | ----- | -------------- | -------------- |");
  for (const [client, server] of pairs) {
    const { round_trips, burst, client_cpu, server_cpu } = figures.get([client, server].join())!;
    const cells = [
      client,
      server,
      median(round_trips).toFixed(3),
      (median(own.round_trips) / median(round_trips)).toFixed(2),
      Math.round(median(burst)).toLocaleString("en"),
      (median(burst) / median(own.burst)).toFixed(2),
      median(client_cpu).toFixed(1),
      median(server_cpu).toFixed(1),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
  console.log("");
}

async function measure(release: Release, client: End, server: End): Promise<Record<Figure, number>> {
  await using serving = await start(release, server, "server", { bufferSize: 65_536 });
  const { port } = serving;
  await using asking = await start(release, client, "clients", { port, bufferSize: 65_536 });
  if (await asking.call("connect") !== true) throw new Error(`${client} cannot connect to ${server}`);
  await asking.call("round_trips", { count: ROUND_TRIPS / 10, size: SIZE });
  const round_trips = await asking.call<number>("round_trips", { count: ROUND_TRIPS, size: SIZE });
  const cpu = (): Promise<number[]> => Promise.all([asking, serving].map((end) => end.call<number>("cpu")));
  const before = await cpu();
  const burst = await asking.call<number>("burst", { count: BURST, size: SIZE });
  const [client_cpu, server_cpu] = (await cpu()).map((seconds, i) => (seconds - before[i]) / BURST * 1e6);
  return { round_trips, burst, client_cpu, server_cpu };
}

function start(release: Release, end: End, role: "server" | "clients", config: object): Promise<PythonPeer> {
  if (end === "python") return PythonPeer.start(release, role, config);
  const { path } = runtimes.find(({ name }) => name === end)!;
  const command = end === "deno" ? [path!, "run", "-A", "--no-check", "--quiet"] : [path!];
  const given = JSON.stringify({ ...config, release: release.name });
  return PythonPeer.spawn(`${end} ${role}`, [...command, ROLE, role, given], {});
}
