/**
 * Which test files run beside which. Two at a time use two cores, and yet no test is to notice it:
 *
 * - Those that watch a real clock run alone.
 * - Those to which a port matters run one at a time, and nothing with sockets meanwhile, which could be given that port.
 * - All others run two at a time.
 *
 * @module
 */

/** Where `tests/<name>_test.ts` runs: in the first row that names it, else in `sockets`. `*` stands for any end. */
const ROWS = {
  /** They measure time, or find by real time that nothing happens. */
  alone: ["adapter_*", "connect_errors", "logger_file", "robustness", "server_client", "wire_decoder_time"],
  /** They come back to a port, choose a free one and take it a little later, or expect nobody there. */
  ports: [
    "bench",
    "client_reconnect",
    "examples_python_chat",
    "interop",
    "interop_recipes",
    "server_restart",
    "session_closing",
  ],
  /** They have sockets with any free port, or start a runtime; as may all that are named nowhere. */
  sockets: ["wire_streams"],
  /** They have no sockets. The programs that they start are compilers, and a Python that encodes. */
  inside: [
    "bench_results",
    "client_queue",
    "client_sending",
    "config",
    "events",
    "fault_log",
    "format_bytes",
    "id_map",
    "imports",
    "interop_golden",
    "memory_faults",
    "message",
    "public_api",
    "server_pending",
    "session_deliveries",
    "session_failures",
    "session_heartbeat",
    "session_ids",
    "session_outbox",
    "session_peculiarities",
    "session_queue",
    "session_recovery",
    "session_room",
    "session_timer_wheel",
    "test_plan",
    "types",
    "types_compile",
    "wire_*",
    "worker_payload",
    "worker_pool",
  ],
} as const;

/** They take long and come first, so that neither lane waits long for the other at the end. */
const LONG = ["pairs", "types_compile", "wire_*", "worker_route"];

/** What runs how. */
export type Plan = Record<keyof typeof ROWS, string[]>;

/**
 * Sorts test files.
 *
 * @param files Their paths.
 */
export function planOf(files: readonly string[]): Plan {
  const plan: Plan = { alone: [], ports: [], sockets: [], inside: [] };
  const rows = Object.keys(plan) as (keyof Plan)[];
  for (const file of files) plan[rows.find((row) => isNamed(file, ROWS[row])) ?? "sockets"].push(file);
  const long = (file: string): number => Number(isNamed(file, LONG));
  for (const row of rows) plan[row].sort((a, b) => long(b) - long(a));
  return plan;
}

/**
 * The names of this plan that no file has.
 *
 * @param files The paths of all test files.
 */
export function strangersAmong(files: readonly string[]): string[] {
  return [...Object.values(ROWS).flat(), ...LONG].filter((name) => !files.some((file) => isNamed(file, [name])));
}

/**
 * Runs `test` for each file, two at a time where they may.
 *
 * @param files All files of a run.
 * @param test Runs one; it never rejects.
 */
export async function runPlan(files: readonly string[], test: (file: string) => Promise<void>): Promise<void> {
  const { alone, ports, inside, sockets } = planOf(files);
  const run = async (...rows: string[][]): Promise<void> => {
    for (const row of rows) {
      for (let file = row.shift(); file !== undefined; file = row.shift()) await test(file);
    }
  };
  await run(alone);
  const freed = run(ports);
  await Promise.all([
    freed.then(() => run(sockets, inside)),
    run(inside).then(() => freed).then(() => run(sockets)),
  ]);
}

function isNamed(file: string, names: readonly string[]): boolean {
  return names.some((name) =>
    name.endsWith("*") ? file.startsWith(`tests/${name.slice(0, -1)}`) : file === `tests/${name}_test.ts`
  );
}
