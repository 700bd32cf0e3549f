/**
 * The figures of the benchmark and what each ought to reach.
 *
 * @module
 */

import type { Runtime } from "./options.ts";
import type { Unit } from "../src/cli/bench/units.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** What to reach: a ratio to the floor, or a value by itself, which may depend on the runtime. */
export type Goal = { readonly kind: "ratio" | "value" } & Bound;

/** The least or the greatest value that reaches a goal. */
export type Bound =
  | { readonly atLeast: number }
  | { readonly atMost: number | Readonly<Record<Runtime, number>> };

/** One figure. */
export interface Figure {
  readonly name: string;
  readonly workload: WorkloadName;
  readonly unit: Unit;
  /** None: the figure is for information. */
  readonly goal?: Goal;
}

/** The floor that each workload is compared with; where there is none, the library is measured alone. */
export const FLOOR_OF = {
  rtt: "raw",
  pipelined: "batch",
  burst: "batch",
  stress: "batch",
  broadcast: "batch",
  idle: "raw",
  connect: "raw",
  growth: "batch",
  decode: "raw",
  silent: "raw",
  logger: "raw",
  workers: "raw",
  streams: "batch",
  memory: "none",
  latency: "none",
  fps: "none",
  secure: "none",
  secure_idle: "none",
  websocket: "none",
  websocket_idle: "none",
  compression: "none",
  large: "none",
  python_burst: "none",
  python_stress: "none",
  million: "none",
  mixed: "none",
} as const satisfies Record<WorkloadName, "raw" | "batch" | "none">;

/** All figures, in the order of the table. A figure's CPU time a message is measured under its name and " cpu". */
export const FIGURES: readonly Figure[] = [
  { name: "rtt p50", workload: "rtt", unit: "µs", goal: { kind: "ratio", atMost: 1.15 } },
  { name: "rtt p99", workload: "rtt", unit: "µs" },
  { name: "pipelined 100", workload: "pipelined", unit: "/s", goal: { kind: "ratio", atLeast: 0.6 } },
  { name: "pipelined 1000", workload: "pipelined", unit: "/s", goal: { kind: "ratio", atLeast: 0.65 } },
  { name: "burst 64 B", workload: "burst", unit: "/s", goal: { kind: "ratio", atLeast: 0.6 } },
  { name: "burst 1 KB", workload: "burst", unit: "/s", goal: { kind: "ratio", atLeast: 0.7 } },
  { name: "burst 64 KB", workload: "burst", unit: "/s", goal: { kind: "ratio", atLeast: 0.85 } },
  { name: "stress", workload: "stress", unit: "/s", goal: { kind: "ratio", atLeast: 0.5 } },
  { name: "broadcast", workload: "broadcast", unit: "/s", goal: { kind: "ratio", atLeast: 0.7 } },
  {
    name: "idle memory",
    workload: "idle",
    unit: "B",
    goal: { kind: "value", atMost: { node: 8192, deno: 10_240, bun: 6144 } },
  },
  { name: "idle memory, used", workload: "idle", unit: "B" },
  {
    name: "idle memory, 10,000",
    workload: "idle",
    unit: "B",
    goal: { kind: "value", atMost: { node: 5632, deno: 8192, bun: 2560 } },
  },
  { name: "connect", workload: "connect", unit: "/s", goal: { kind: "ratio", atLeast: 0.6 } },
  { name: "growth 10", workload: "growth", unit: "/s" },
  { name: "growth 1000", workload: "growth", unit: "/s" },
  { name: "growth fall", workload: "growth", unit: "%", goal: { kind: "value", atMost: 20 } },
  { name: "decode 64 B", workload: "decode", unit: "/s", goal: { kind: "value", atLeast: 8e6 } },
  { name: "decode 64 KB", workload: "decode", unit: "B/s", goal: { kind: "value", atLeast: 3e9 } },
  { name: "decode linear", workload: "decode", unit: "×", goal: { kind: "value", atMost: 3 } },
  { name: "silent: connect alone", workload: "silent", unit: "ms" },
  { name: "silent: connect among 1,000", workload: "silent", unit: "ms" },
  { name: "silent: slowest", workload: "silent", unit: "ms" },
  { name: "silent: delay", workload: "silent", unit: "ms", goal: { kind: "value", atMost: 10 } },
  { name: "log disabled", workload: "logger", unit: "ns", goal: { kind: "value", atMost: 100 } },
  { name: "log line", workload: "logger", unit: "µs" },
  { name: "log line, no caller", workload: "logger", unit: "µs" },
  { name: "workers: ping p99, route", workload: "workers", unit: "ms" },
  { name: "workers: ping p99, workerRoute", workload: "workers", unit: "ms" },
  { name: "workers: heavy, route", workload: "workers", unit: "/s" },
  { name: "workers: heavy, workerRoute", workload: "workers", unit: "/s" },
  { name: "workers: light p50, route", workload: "workers", unit: "µs" },
  { name: "workers: light p50, workerRoute", workload: "workers", unit: "µs" },
  ...(["up", "down"] as const).flatMap((direction): Figure[] => [
    {
      name: `streams 64 KiB ${direction}`,
      workload: "streams",
      unit: "B/s",
      goal: { kind: "ratio", atLeast: 0.8 },
    },
    { name: `streams items ${direction}`, workload: "streams", unit: "/s" },
    { name: `streams messages ${direction}`, workload: "streams", unit: "/s" },
    {
      name: `streams items by messages ${direction}`,
      workload: "streams",
      unit: "×",
      goal: { kind: "value", atLeast: 0.5 },
    },
  ]),
  { name: "memory: idle server", workload: "memory", unit: "B" },
  { name: "memory: client, first 10", workload: "memory", unit: "B" },
  { name: "memory: client, 10 to 50", workload: "memory", unit: "B" },
  { name: "memory: left behind", workload: "memory", unit: "B" },
  { name: "latency: ping p50", workload: "latency", unit: "µs" },
  { name: "latency: ping p99", workload: "latency", unit: "µs" },
  { name: "latency: pings", workload: "latency", unit: "/s" },
  { name: "fps 64 × 64 Hz: lost", workload: "fps", unit: "", goal: { kind: "value", atMost: 0 } },
  { name: "fps 64 × 64 Hz: overrun ticks", workload: "fps", unit: "", goal: { kind: "value", atMost: 0 } },
  { name: "fps 64 × 64 Hz: longest tick", workload: "fps", unit: "ms" },
  { name: "fps 64 × 64 Hz: messages", workload: "fps", unit: "/s" },
  { name: "fps 128 × 20 Hz: lost", workload: "fps", unit: "", goal: { kind: "value", atMost: 0 } },
  { name: "fps 128 × 20 Hz: overrun ticks", workload: "fps", unit: "", goal: { kind: "value", atMost: 0 } },
  { name: "fps 128 × 20 Hz: longest tick", workload: "fps", unit: "ms" },
  { name: "fps 128 × 20 Hz: messages", workload: "fps", unit: "/s" },
  { name: "python burst: sent", workload: "python_burst", unit: "/s" },
  { name: "python burst: received", workload: "python_burst", unit: "/s" },
  { name: "python stress", workload: "python_stress", unit: "/s" },
  { name: "secure 64 KiB", workload: "secure", unit: "B/s" },
  { name: "secure 64 KiB cpu", workload: "secure", unit: "µs" },
  { name: "secure 64 B", workload: "secure", unit: "/s" },
  { name: "secure round trip", workload: "secure", unit: "µs" },
  { name: "secure round trip cpu", workload: "secure", unit: "µs" },
  { name: "secure handshakes", workload: "secure", unit: "/s" },
  { name: "secure connects", workload: "secure", unit: "/s" },
  { name: "secure connects cpu", workload: "secure", unit: "µs" },
  { name: "secure idle heap", workload: "secure_idle", unit: "B" },
  { name: "secure idle resident", workload: "secure_idle", unit: "B" },
  { name: "websocket round trip", workload: "websocket", unit: "µs" },
  { name: "websocket round trip cpu", workload: "websocket", unit: "µs" },
  ...["64 B", "1 KB", "64 KB"].flatMap((size): Figure[] => [
    { name: `websocket ${size}`, workload: "websocket", unit: "/s" },
    { name: `websocket ${size} cpu`, workload: "websocket", unit: "µs" },
  ]),
  { name: "websocket idle heap", workload: "websocket_idle", unit: "B" },
  { name: "websocket idle resident", workload: "websocket_idle", unit: "B" },
  { name: "large 64 KB", workload: "large", unit: "/s" },
  { name: "large 64 KB, given away", workload: "large", unit: "/s" },
  { name: "large 1 MB", workload: "large", unit: "/s" },
  { name: "large 1 MB, given away", workload: "large", unit: "/s" },
  { name: "large 8 MB", workload: "large", unit: "/s" },
  { name: "large 8 MB, given away", workload: "large", unit: "/s" },
  { name: "compression 10 KB: off", workload: "compression", unit: "/s" },
  { name: "compression 10 KB: zstd", workload: "compression", unit: "/s" },
  { name: "compression 10 KB: deflate-raw", workload: "compression", unit: "/s" },
  { name: "compression left: zstd", workload: "compression", unit: "×" },
  { name: "compression left: zstd itself", workload: "compression", unit: "×" },
  { name: "compression left: deflate-raw", workload: "compression", unit: "×" },
  { name: "compression left: deflate-raw itself", workload: "compression", unit: "×" },
  { name: "million", workload: "million", unit: "/s" },
  { name: "million: messages", workload: "million", unit: "" },
  { name: "mixed: server heap", workload: "mixed", unit: "B" },
  { name: "mixed: server heap, growth", workload: "mixed", unit: "B/min" },
  { name: "mixed: server RSS", workload: "mixed", unit: "B" },
  { name: "mixed: server RSS, growth", workload: "mixed", unit: "B/min" },
  { name: "mixed: client heap", workload: "mixed", unit: "B" },
  { name: "mixed: client heap, growth", workload: "mixed", unit: "B/min" },
  { name: "mixed: client RSS", workload: "mixed", unit: "B" },
  { name: "mixed: client RSS, growth", workload: "mixed", unit: "B/min" },
];

/** Whether `measured` reaches the goal on this runtime. */
export function reaches(goal: Goal, runtime: Runtime, measured: number): boolean {
  return "atLeast" in goal ? measured >= goal.atLeast : measured <= boundOf(goal, runtime);
}

/** The bound of the goal on this runtime. */
export function boundOf(goal: Goal, runtime: Runtime): number {
  if ("atLeast" in goal) return goal.atLeast;
  return typeof goal.atMost === "number" ? goal.atMost : goal.atMost[runtime];
}
