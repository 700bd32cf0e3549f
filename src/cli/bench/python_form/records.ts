/**
 * Results by the names, units and precision of Python's `veltix.benchmark` (its models' `to_dict`, 2.0 to 3.3), so that a
 * result of ours can stand beside one of Python's.
 *
 * @module
 */

/** The fields of each benchmark with their decimal places, in Python's order. */
export const FIELDS = {
  memory: {
    baseline_kb: 1,
    server_idle_kb: 1,
    client_cost_avg_kb: 1,
    client_cost_min_kb: 1,
    client_cost_max_kb: 1,
    client_cost_median_kb: 1,
    client_cost_stdev_kb: 1,
    ram_10_clients_kb: 1,
    ram_50_clients_kb: 1,
    ram_after_teardown_kb: 1,
    leak_kb: 1,
  },
  latency: {
    count: 0,
    avg_ms: 4,
    p50_ms: 4,
    p95_ms: 4,
    p99_ms: 4,
    min_ms: 4,
    max_ms: 4,
    stdev_ms: 4,
    jitter_ms: 3,
    throughput: 1,
  },
  fps: {
    players: 0,
    tick_rate: 0,
    actual_tick_rate: 2,
    duration_s: 3,
    total_sent: 0,
    total_recv: 0,
    msg_per_sec: 1,
    success_rate: 2,
    ram_delta_mb: 2,
    errors: 0,
    tick_avg_ms: 3,
    tick_min_ms: 3,
    tick_max_ms: 3,
    tick_stdev_ms: 3,
    tick_budget_pct: 1,
    overrun_ticks: 0,
  },
  burst: {
    count: 0,
    payload_bytes: 0,
    send_throughput: 1,
    recv_throughput: 1,
    data_mbps: 3,
    success_rate: 2,
    duration_s: 3,
    send_duration_s: 3,
    drain_p50_ms: 1,
    drain_p95_ms: 1,
    drain_p99_ms: 1,
    drain_max_ms: 1,
    drain_jitter_ms: 3,
    recv_gap_avg_ms: 3,
  },
  stress: {
    num_clients: 0,
    msgs_per_client: 0,
    total_sent: 0,
    total_recv: 0,
    success_rate: 2,
    throughput: 1,
    duration_s: 3,
    ram_delta_mb: 2,
    send_phase_s: 3,
    drain_time_s: 3,
    time_to_first_recv_ms: 1,
    per_client_tps_avg: 1,
    per_client_tps_min: 1,
    per_client_tps_max: 1,
    per_client_tps_stdev: 1,
  },
} as const;

/** A benchmark of Python's. */
export type PythonBench = keyof typeof FIELDS;

/** Its name for its result, and the result; `backend` names the sockets. */
export interface PythonResult {
  readonly bench: PythonBench;
  readonly values: Readonly<Record<string, unknown>>;
}

/** All results of one subject in Python's form: `fps` has one for each number of players. */
export type PythonForm =
  & {
    readonly [Bench in Exclude<PythonBench, "fps">]?: PythonResult["values"];
  }
  & { readonly fps?: readonly PythonResult["values"][] };

/** Makes a result, rounded as Python rounds. */
export function record<Bench extends PythonBench>(
  bench: Bench,
  backend: string,
  values: Readonly<Record<keyof (typeof FIELDS)[Bench], number>>,
): PythonResult {
  const given: Readonly<Record<string, number>> = values;
  const rounded = Object.entries(FIELDS[bench]).map(([name, places]) => [name, round(given[name], places)]);
  return { bench, values: { ...Object.fromEntries(rounded), backend } };
}

function round(value: number, places: number): number {
  return Number(value.toFixed(places));
}
