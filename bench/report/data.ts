/**
 * What the charts show of saved results.
 *
 * @module
 */

import { type Figure, FIGURES, FLOOR_OF } from "../goals.ts";
import type { Machine } from "../../src/cli/bench/machine.ts";
import { type Runtime, RUNTIMES } from "../options.ts";
import { isPeer, PEERS } from "../peers.ts";
import { type Sample, summarize } from "../results.ts";
import { amount, lessIsBetter } from "../../src/cli/bench/units.ts";

/** What is read of a saved file. */
export interface Saved {
  readonly date: string;
  readonly machine: Machine;
  readonly options: { readonly rounds: number };
  readonly samples: readonly Sample[];
}

/** The figures that are shown, and their titles. */
export const TITLES: Readonly<Record<string, string>> = {
  "rtt p50": "Round trip, median",
  "pipelined 100": "100 requests in flight",
  "pipelined 1000": "1,000 requests in flight",
  "burst 64 B": "Burst, 64 B",
  "burst 1 KB": "Burst, 1 KB",
  "burst 64 KB": "Burst, 64 KB",
  "stress": "100 clients at once",
  "broadcast": "Broadcast to 100",
  "connect": "Connect and close",
  "idle memory": "Memory, idle connection",
};

/** The figures that other libraries are measured in. */
export const PEER_FIGURES: readonly string[] = [...Object.keys(TITLES), "idle memory, 10,000"];

/** What a figure counts, for the head of its chart. */
const WHAT: Readonly<Record<string, string>> = {
  "rtt p50": "µs",
  "pipelined 100": "requests a second",
  "pipelined 1000": "requests a second",
  "broadcast": "deliveries a second",
  "connect": "connections a second",
  "idle memory": "bytes on the server",
};

const PEER_TITLES: Readonly<Record<string, string>> = {
  "ws": "ws, Node",
  "socket.io": "Socket.IO, Node",
  "deno-websocket": "WebSocket, Deno",
  "bun-websocket": "WebSocket, Bun",
  "nats": "NATS, Node",
};

/** Names of runtimes. */
export const RUNTIME_TITLES: Readonly<Record<Runtime, string>> = { node: "Node", deno: "Deno", bun: "Bun" };

/** A bar of the chart beside the floor. */
export interface FloorBar {
  readonly workload: string;
  readonly runtime: string;
  /** How many times as good as the floor. */
  readonly ratio: number;
  readonly label: string;
}

/** A bar of a chart beside peers. */
export interface PeerBar {
  readonly subject: string;
  /** A runtime's title where it is the library on that runtime. */
  readonly kind: string;
  readonly value: number;
  readonly label: string;
}

/** One chart beside peers. */
export interface PeerChart {
  readonly title: string;
  /** What is counted, and in which direction. */
  readonly subtitle: string;
  readonly bars: readonly PeerBar[];
}

/** The library beside its floor, runtime by runtime. */
export function floorBars(samples: readonly Sample[]): FloorBar[] {
  return shown().flatMap(({ name, workload, unit }) =>
    RUNTIMES.flatMap((runtime): FloorBar[] => {
      const floor = summarize(samples, runtime, FLOOR_OF[workload], name);
      const veltix = summarize(samples, runtime, "veltix", name);
      if (floor === undefined || veltix === undefined) return [];
      const ratio = lessIsBetter(unit) ? floor.median / veltix.median : veltix.median / floor.median;
      return [{ workload: TITLES[name], runtime: RUNTIME_TITLES[runtime], ratio, label: ratio.toFixed(2) }];
    })
  );
}

/** The library on each runtime and its peers, figure by figure, the best on top. */
export function peerCharts(samples: readonly Sample[]): PeerChart[] {
  if (!samples.some(({ subject }) => isPeer(subject))) return [];
  return shown().map((figure): PeerChart => {
    const less = lessIsBetter(figure.unit);
    const bars = [...ownBars(samples, figure), ...othersBars(samples, figure)];
    const what = WHAT[figure.name] ?? "messages a second";
    return {
      title: TITLES[figure.name],
      subtitle: `${what}, ${less ? "less" : "more"} is better`,
      bars: bars.toSorted((a, b) => less ? a.value - b.value : b.value - a.value),
    };
  }).filter(({ bars }) => bars.length > 0);
}

function shown(): Figure[] {
  return FIGURES.filter(({ name }) => name in TITLES);
}

function ownBars(samples: readonly Sample[], { name, unit }: Figure): PeerBar[] {
  return RUNTIMES.flatMap((runtime): PeerBar[] => {
    const found = summarize(samples, runtime, "veltix", name);
    if (found === undefined) return [];
    const title = RUNTIME_TITLES[runtime];
    return [{ subject: `Veltix, ${title}`, kind: title, value: found.median, label: amount(found.median, unit) }];
  });
}

function othersBars(samples: readonly Sample[], { name, unit }: Figure): PeerBar[] {
  return PEERS.flatMap(({ name: peer, place }): PeerBar[] => {
    const found = summarize(samples, place, peer, name);
    if (found === undefined) return [];
    return [{ subject: peerTitle(peer), kind: "others", value: found.median, label: amount(found.median, unit) }];
  });
}

/** The name of another library, with the runtime of its clients. */
export function peerTitle(name: string): string {
  return PEER_TITLES[name] ?? name.replace("python-", "Python Veltix ");
}
