/**
 * Figures with one value a round, and those that results in Python's form give.
 *
 * @module
 */

import type { PythonBench, PythonResult } from "./python_form/records.ts";
import { amount, type Unit } from "./units.ts";

/** One figure. */
export interface Series {
  /** Such as "ping: p50". */
  readonly name: string;
  readonly unit: Unit;
  /** One value a round. */
  readonly values: readonly number[];
}

/** One value of one figure. */
export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly value: number;
}

/** The fields of Python's form that are compared: name, field, unit, and the factor to the unit. */
const FIELDS: Readonly<Record<PythonBench, readonly (readonly [string, string, Unit, number])[]>> = {
  memory: [
    ["idle server", "server_idle_kb", "B", 1024],
    ["a client", "client_cost_avg_kb", "B", 1024],
    ["left behind", "leak_kb", "B", 1024],
  ],
  latency: [
    ["ping p50", "p50_ms", "µs", 1000],
    ["ping p99", "p99_ms", "µs", 1000],
    ["pings", "throughput", "/s", 1],
  ],
  fps: [
    ["messages", "msg_per_sec", "/s", 1],
    ["mean tick", "tick_avg_ms", "ms", 1],
    ["longest tick", "tick_max_ms", "ms", 1],
    ["overrun ticks", "overrun_ticks", "", 1],
  ],
  burst: [
    ["sent", "send_throughput", "/s", 1],
    ["received", "recv_throughput", "/s", 1],
  ],
  stress: [
    ["messages", "throughput", "/s", 1],
    ["first message", "time_to_first_recv_ms", "ms", 1],
  ],
};

/** Returns the figures of a result in Python's form. */
export function figuresOf({ bench, values }: PythonResult): Figure[] {
  const title = bench === "fps"
    ? `fps ${values.players} × ${values.tick_rate} Hz`
    : bench === "burst"
    ? `burst ${values.payload_bytes} B`
    : bench;
  return FIELDS[bench].flatMap(([name, field, unit, factor]) => {
    const value = values[field];
    if (typeof value !== "number") return [];
    // Without the digits that a factor of 1000 adds to 0.1.
    return [{ name: `${title}: ${name}`, unit, value: Number((value * factor).toPrecision(12)) }];
  });
}

/** Returns a value as text. */
export function written(value: number, unit: Unit): string {
  if (unit === "µs" && value >= 10_000) return amount(value / 1000, "ms");
  return unit === "/s" ? `${amount(value, unit)}/s` : amount(value, unit);
}
