/**
 * Which test files run beside which, and which of them look at real time. Three processes at a time keep two cores busy
 * while some wait for a program that they started, and yet no test is to notice it:
 *
 * - Those to which a port matters run one at a time, and nothing with sockets meanwhile, which could be given that port.
 * - Those that choose a port which the system gives to nobody run one at a time, beside all others.
 * - All others run as a lane is free.
 *
 * Files that no port matters to share a process with others, because most of their time is the start of a process and the
 * loading of modules. `ALONE` says which have one of their own, and why.
 *
 * @module
 */

const LANES = 3;
/** How many files share a process at most. Deno takes longer for each file, the more it has loaded. */
const GROUP_SIZE = 10;

/** Where `tests/<name>_test.ts` runs: in the first row that names it, else in `sockets`. `*` stands for any end. */
const ROWS = {
  /** They come back to a port that they were given, or expect nobody there. */
  ports: [
    "adapter_*",
    "client_reconnect",
    "connect_errors",
    "examples_folder",
    "examples_python_bridge",
    "server_restart",
    "session_closing",
  ],
  /** They choose a port by `freePort`, and take it a little later or once more. */
  chosen: ["bench", "getting_started_page", "interop", "interop_recipes", "tutorial_page"],
  /** They have sockets with any free port, or start a runtime; as may all that are named nowhere. */
  sockets: ["wire_streams"],
  /** They have no sockets. The programs that they start are compilers, and a Python that encodes. */
  inside: [
    "accept_carriers",
    "architecture",
    "assert",
    "bench_results",
    "checks",
    "client_comeback",
    "client_queue",
    "client_sending",
    "compression_codecs",
    "config",
    "contract_types",
    "declared_errors",
    "encryption_ed25519",
    "encryption_handshake",
    "encryption_noise",
    "events",
    "fair_yield",
    "fault_log",
    "format_bytes",
    "id_map",
    "imports",
    "interop_golden",
    "ip_networks",
    "junit",
    "link_channel",
    "local_address",
    "logger_file",
    "memory_faults",
    "memory_lines",
    "message",
    "message_port",
    "middleware",
    "moving_picture",
    "pages",
    "plain_ip",
    "public_api",
    "ready_middleware",
    "release",
    "resume_cuts",
    "resume_model",
    "runtime_check",
    "server_pending",
    "server_shut_out",
    "session_deliveries",
    "session_failures",
    "session_frame_source",
    "session_frame_writer",
    "session_heartbeat",
    "session_ids",
    "session_peculiarities",
    "session_queue",
    "session_recovery",
    "session_resume",
    "session_room",
    "session_timer_wheel",
    "session_useless",
    "streams_events",
    "streams_flow",
    "streams_hostile",
    "streams_loop",
    "streams_model",
    "streams_own_errors",
    "streams_states",
    "streams_types",
    "streams_wire",
    "test_plan",
    "testing_frames",
    "testing_resume",
    "testing_simulate",
    "to_streams",
    "types",
    "waiters",
    "web_socket_channel",
    "web_socket_frames",
    "wire_*",
    "worker_payload",
    "worker_pool",
  ],
} as const;

/** Which files of the last two rows have a process of their own, by the reason. `*` stands for any end. */
export const ALONE: Readonly<Record<string, readonly string[]>> = {
  "starts programs or threads, which would count as left open by another file, or outlive it": [
    "accept_carriers",
    "bench_results",
    "browser_bundle",
    "cli_completions",
    "cli_process",
    "client_servers",
    "consumer",
    "encryption",
    "encryption_identity",
    "encryption_meeting",
    "encryption_trust",
    "examples_*",
    "from_python",
    "handshake_leaks",
    "logger_file",
    "message_port",
    "message_port_worker",
    "opentelemetry_collector",
    "pairs*",
    "proxy_protocol",
    "public_api",
    "robustness",
    "server_accept",
    "stdio",
    "tls",
    "web_socket_client",
    "web_socket_config",
    "web_socket_hostile",
    "web_socket_requests",
    "web_socket_tls",
    "wire_streams",
    "wireshark",
    "worker_payload",
    "worker_pool",
    "worker_route",
  ],
  "changes a global, a class that others use, or the environment": [
    "browser",
    "fake_timers",
    "inspect_cost",
    "plugins_misbehaviour",
    "session_useless",
    "streams_flow",
    "testing_simulate",
    "web_socket_standard",
    "wire_decoder",
    "wire_resync",
  ],
  "listens for what the process as a whole reports, such as a rejection that nobody handles": [
    "resume_model",
    "streams_hostile",
    "testing_resume",
  ],
  "failed on Bun once, when others had run in the process before it; why is not known": [
    "streams_files",
  ],
  "measures the memory or the time of the process": ["cli_bench", "tls_ending", "wire_decoder_time"],
  "takes so long that a group with it would be the last to end": [
    "cli_doctor",
    "resume_cuts",
    "session_compression",
    "session_resume",
    "streams_model",
  ],
};

/** They take long and come first, so that no lane waits long for the others at the end. */
const LONG = [
  "bench",
  "browser",
  "handshake_leaks",
  "interop",
  "pairs",
  "resume_*",
  "wire_*",
  "wireshark",
  "testing_resume",
  "worker_route",
];

/**
 * Who looks at real time or waits a while, and why a busy machine does not upset it. `tests/test_plan_test.ts` finds who is
 * missing here. Not listed: time limits of whole tests and files, see `CONTRIBUTING.md`, and programs that are no tests.
 */
export const REAL_TIME: Readonly<Record<string, string>> = {
  "adapter_deno_test.ts":
    "keeps the loop busy for half a millisecond a turn; what is asserted depends on its turns, not on the time",
  "adapter_stop_reading_test.ts":
    "looks whether a count still grows: too early a look sees less, which is what it wants",
  "adapter_streams_test.ts": "waits 10 ms to find that a full stream takes nothing: late, it only waits longer",
  "adapter_web_socket_test.ts":
    "waits until WebSockets are closed, which takes milliseconds, for at most 5 s: whatever is open then is found as a leak",
  "browser/main.ts": "kills a program that hangs after ten minutes, where it needs one",
  "browser/page/client.ts":
    "measures how far apart the timers of a page in the background come; or stands still for seconds",
  "browser/pages.ts": "the text of a page, whose timers come when the clock shows a multiple of some seconds",
  "browser/run.ts": "says how long each scenario took",
  "browser/throttled.ts":
    "timers that come every 2 s, with a heartbeat of 1 s and limits of 4 s and more; late, all of them are",
  "cli_bench_test.ts": "ends a measurement after 1 ms, or later; pings and requests for 20 ms, however many those are",
  "cli_doctor_test.ts": "a peer that sends a byte each 10 ms, or later, while nobody is to wait for its end",
  "client_reconnect_test.ts": "kills a program that hangs after 50 s, where it needs one",
  "conformance.ts":
    "pauses of up to 100 ms find that nothing happens, and late they only last longer; a timer of 20 ms is " +
    "never early; the best of 40 rounds shows that Nagle's algorithm, 40 ms in each, is off; what hangs fails after 50 s",
  "connect_errors_test.ts": "a wrong server is found out within 40 s, where the time limit would be 50 s",
  "echo_worker.ts": "answers after 30 ms, of the 500 that its caller allows, while that stands still for 700",
  "encryption_records_test.ts": "says itself what time it is, by seconds ahead: it would have to be late by as many",
  "encryption_turns_test.ts":
    "ten turns of the event loop let everything run in memory: on a busy machine they are as many, and last longer",
  "encryption_test.ts": "a decision that takes 20 ms, or longer",
  "examples_plugins_test.ts": "finds that an entry of a log has a time of this hour",
  "from_python_test.ts": "a time stamp is that of this minute: the test lasts no longer than that",
  "handshake_leaks_test.ts":
    "peers that leave after 5 ms and ends that give up after 50, or later; the rest within 20 s",
  "interop_recipes_test.ts": "kills a Python program that hangs after 50 s, where it needs two",
  "interop_test.ts": "takes a seed from the clock",
  "logger_file_test.ts": "another process writes 100 lines within 50 s, where it needs a fraction of one",
  "logger_test.ts": "waits one turn of the event loop",
  "message_test.ts": "waits 5 ms for a rejection that nobody handles: late, it only waits longer",
  "middleware_outgoing_test.ts":
    "lets a turn of the event loop pass, in which a rejection that nobody handles would end it",
  "pairs/talk.ts": "takes a time stamp",
  "pairs/program.ts": "ends a program that hangs after 50 s, where it needs one",
  "processes/waiting.ts": "limits of 20 s and more, given by its callers, for programs that answer within one",
  "robustness_test.ts": "handlers that take 5 or 20 ms, or longer; a thread that starts within 50 s",
  "server_accept_test.ts": "is busy for 50 ms, or longer, so that connections after that wait for their turn",
  "server_client_test.ts": "a handler that takes 0.1 ms, or longer: what is counted is messages, not time",
  "server_pending_test.ts": "waits one turn of the event loop",
  "session_resume_test.ts": "waits for turns of the event loop, and a while for what must not happen",
  "session_support.ts": "waits one turn of the event loop",
  "stdio_child.ts": "waits until for 50 ms nothing more is taken, or longer",
  "stdio_test.ts": "limits of 50 s for programs that answer within one; waits until for 100 ms nothing more is taken",
  "tls_ending_test.ts":
    "reads 3 ms late, or later; a peer whose write stalls for 1 s counts as stopped, which is as good",
  "types_test.ts": "is compiled, not run",
  "wire_decoder_time_test.ts":
    "compares two times of the process' own work, ten times as much for ten times the bytes, and " +
    "allows thirty",
  "wire_streams_test.ts": "waits 5 ms to find that nothing happens: late, it only waits longer",
  "worker_payload_test.ts": "a timer that keeps the program alive",
  "workers/job.ts": "an error in a later turn of the event loop",
};

/** What runs how. */
export type Plan = Record<keyof typeof ROWS, string[]>;

/**
 * Sorts test files.
 *
 * @param files Their paths.
 */
export function planOf(files: readonly string[]): Plan {
  const plan: Plan = { ports: [], chosen: [], sockets: [], inside: [] };
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
  const names = [...Object.values(ROWS).flat(), ...Object.values(ALONE).flat(), ...LONG];
  return names.filter((name) => !files.some((file) => isNamed(file, [name])));
}

/**
 * Divides files into those that share a process. What takes long comes first.
 *
 * @param row The files of the row `inside` or `sockets`, in the order of {@linkcode planOf}.
 */
export function groupsOf(row: readonly string[]): string[][] {
  const alone = row.filter((file) => isNamed(file, Object.values(ALONE).flat()));
  const shared = row.filter((file) => !alone.includes(file));
  // Few files are divided among the lanes.
  const groups = Math.max(Math.ceil(shared.length / GROUP_SIZE), Math.min(shared.length, LANES));
  // In turns, so that those that take long and come first are spread over the groups.
  const together = Array.from({ length: groups }, (_, at) => shared.filter((_, index) => index % groups === at));
  const long = alone.filter((file) => isNamed(file, LONG));
  const single = (file: string): string[] => [file];
  return [...long.map(single), ...together, ...alone.filter((file) => !long.includes(file)).map(single)];
}

/**
 * Runs `test` for each group of files that share a process, three groups at a time where they may.
 *
 * @param files All files of a run.
 * @param test Runs the files of a group in one process; it never rejects.
 */
export async function runPlan(
  files: readonly string[],
  test: (group: readonly string[]) => Promise<void>,
): Promise<void> {
  const plan = planOf(files);
  const [ports, chosen] = [plan.ports, plan.chosen].map((row) => row.map((file) => [file]));
  const [inside, sockets] = [plan.inside, plan.sockets].map(groupsOf);
  const run = async (...rows: string[][][]): Promise<void> => {
    for (const row of rows) {
      for (let group = row.shift(); group !== undefined; group = row.shift()) await test(group);
    }
  };
  const freed = run(ports);
  const others = Array.from({ length: LANES - 1 }, () => run(inside).then(() => freed).then(() => run(sockets)));
  await Promise.all([freed.then(() => run(chosen, sockets, inside)), ...others]);
}

function isNamed(file: string, names: readonly string[]): boolean {
  return names.some((name) =>
    name.endsWith("*") ? file.startsWith(`tests/${name.slice(0, -1)}`) : file === `tests/${name}_test.ts`
  );
}
