/**
 * The command line of the benchmark.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { SocketKind } from "./floor/sockets.ts";
import type { SubjectName } from "./subject.ts";
import type { TransportChoice } from "./subjects/veltix.ts";
import { ALL_WORKLOADS, LONG_WORKLOADS, WORKLOADS } from "./workloads/all.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** The runtimes that are measured. */
export const RUNTIMES = ["node", "deno", "bun"] as const;

/** One of them. */
export type Runtime = (typeof RUNTIMES)[number];

/** What the guard measures unless told otherwise: the workloads that have a floor which says something. */
export const GUARDED: readonly WorkloadName[] = ["rtt", "pipelined", "burst", "stress", "broadcast", "idle", "connect"];

/** What to measure, and how. */
export interface Options {
  readonly workloads: readonly WorkloadName[];
  readonly runtimes: readonly Runtime[];
  /** Samples of each subject; medians are taken over them. */
  readonly rounds: number;
  /** The same for the workloads `secure` and `websocket`, whose subjects are compared in pairs. */
  readonly pairs: number;
  readonly quick: boolean;
  /** The floors' sockets; the first is the one that ratios are taken against. */
  readonly floors: readonly SocketKind[];
  /** Undefined: the floor that the goal names, and the library. */
  readonly subjects: readonly SubjectName[] | undefined;
  readonly core: TransportChoice;
  /** Measure other libraries, too. */
  readonly peers: boolean;
  /** How long the workload `mixed` takes. */
  readonly minutes: number;
  /** Compare the ratios with those kept. */
  readonly guard: boolean;
  /** Where to save the results as JSON. */
  readonly save: string | undefined;
  /** Two saved results to compare in place of measuring. */
  readonly compare: readonly [before: string, after: string] | undefined;
}

/** The help text. */
export const USAGE = `deno task bench [options]

  --only NAMES      workloads, separated by commas: ${Object.keys(WORKLOADS).join(",")};
                    and, only if they are named, ${Object.keys(LONG_WORKLOADS).join(",")}
  --runtime NAMES   ${RUNTIMES.join(",")}
  --rounds N        samples of each subject (default 3; secure, websocket: 15)
  --quick           short samples, one round unless --rounds is given (secure, websocket: 3)
  --floor KINDS     the floor's sockets: native, node or both; the ratio is to the first (default native)
  --subjects NAMES  raw,batch,webstreams,veltix,resume,batched (default: the floor that the goal names, and
                    veltix; for streams webstreams, too: the floor behind Web Streams)
  --core NAME       the library's sockets: auto, deno, bun or node (default auto)
  --peers           other libraries, too: ws, Socket.IO, WebSockets of Bun and Deno, NATS, HTTP/2, gRPC, Python's
                    Veltix
  --minutes N       how long the workload mixed takes (default 10)
  --save FILE       save the results as JSON
  --compare A B     compare two saved results in place of measuring
  --guard           fail where a ratio to the floor is more than 25 % worse than the one in bench/results.json
  --help            show this text
`;

/** Reads the command line; undefined asks for the help. Throws a `TypeError` for what it does not know. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: args.includes("--compare"),
    options: {
      only: { type: "string" },
      runtime: { type: "string" },
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      floor: { type: "string", default: "native" },
      subjects: { type: "string" },
      core: { type: "string", default: "auto" },
      peers: { type: "boolean", default: false },
      minutes: { type: "string", default: "10" },
      save: { type: "string" },
      compare: { type: "boolean", default: false },
      guard: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError(`Cannot read --rounds "${values.rounds}"`);
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new TypeError(`Cannot read --minutes "${values.minutes}"`);
  const [before, after, ...more] = positionals;
  if (values.compare && (after === undefined || more.length > 0)) {
    throw new TypeError(`Cannot read --compare: it takes two files, not ${positionals.length}`);
  }
  const [core] = listOf("core", values.core, ["auto", "deno", "bun", "node"] as const);
  return {
    workloads: workloadsOf(values.only, values.guard),
    runtimes: listOf("runtime", values.runtime, RUNTIMES),
    rounds,
    pairs: values.rounds !== undefined ? rounds : values.quick ? 3 : 15,
    quick: values.quick,
    floors: listOf("floor", values.floor, ["native", "node"] as const),
    subjects: values.subjects === undefined
      ? undefined
      : listOf("subjects", values.subjects, ["raw", "batch", "webstreams", "veltix", "resume", "batched"] as const),
    core,
    peers: values.peers,
    minutes,
    guard: values.guard,
    save: values.save,
    compare: values.compare ? [before, after] : undefined,
  };
}

function workloadsOf(only: string | undefined, guard: boolean): readonly WorkloadName[] {
  if (only !== undefined) return listOf("only", only, Object.keys(ALL_WORKLOADS) as WorkloadName[]);
  return guard ? GUARDED : Object.keys(WORKLOADS) as WorkloadName[];
}

/** The names in `text`, each once and in its order; all of `known` if there is no text. */
function listOf<Name extends string>(
  option: string,
  text: string | undefined,
  known: readonly Name[],
): readonly Name[] {
  if (text === undefined) return known;
  return [...new Set(text.split(","))].map((name) => {
    const found = known.find((candidate) => candidate === name);
    if (found === undefined) throw new TypeError(`Cannot read --${option}: "${name}" is none of ${known.join(", ")}`);
    return found;
  });
}
