/**
 * Which test files run beside which. Two at a time use two cores, and yet no test is to notice it:
 *
 * - Those that watch a real clock run alone.
 * - Those to which a port matters run one at a time, and nothing with sockets meanwhile, which could be given that port.
 * - All others run two at a time.
 *
 * @module
 */

/** They measure time, or find by real time that nothing happens. */
const ALONE = named("adapter_\\w+|connect_errors|logger_file|robustness|server_client|wire_decoder_time");

/** They come back to a port, choose a free one and take it a little later, or expect nobody there. */
const PORTS = named(
  "bench|client_reconnect|examples_python_chat|interop|interop_recipes|server_restart|session_closing",
);

/** They have no sockets. The programs that they start are compilers, and a Python that encodes. */
const INSIDE = named(
  "bench_results|client_queue|config|events|format_bytes|id_map|imports|interop_golden|memory_faults|message|public_api",
  "session_(deliveries|failures|heartbeat|ids|outbox|peculiarities|recovery|timer_wheel)",
  "types|types_compile|wire_(?!decoder_time|streams)\\w+|worker_(payload|pool)",
);

interface Plan {
  readonly alone: string[];
  readonly ports: string[];
  readonly inside: string[];
  /** All others. */
  readonly sockets: string[];
}

/** Sorts test files. What takes long comes first, so that neither lane waits long for the other at the end. */
function planOf(files: readonly string[]): Plan {
  const plan: Plan = { alone: [], ports: [], inside: [], sockets: [] };
  for (const file of files) {
    const kind = ALONE.test(file) ? "alone" : PORTS.test(file) ? "ports" : INSIDE.test(file) ? "inside" : "sockets";
    plan[kind].push(file);
  }
  const long = (file: string): number => Number(/types_compile|wire_|pairs|worker_route/.test(file));
  for (const row of Object.values(plan) as string[][]) row.sort((a, b) => long(b) - long(a));
  return plan;
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

function named(...names: string[]): RegExp {
  return new RegExp(`^tests/(${names.join("|")})_test\\.ts$`);
}
