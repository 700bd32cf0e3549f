/**
 * The samples of a run in their order: within a workload floor, library and peers take turns, so that whatever the machine
 * does meanwhile meets all of them.
 *
 * @module
 */

import { FLOOR_OF } from "./goals.ts";
import type { Options, Runtime } from "./options.ts";
import { type PeerInfo, PEERS, problemOf, PYTHON_RELEASES, pythonRelease, pythonRoles, takesPart } from "./peers.ts";
import { benchesOf, runPythonSuite } from "./python_form/suite.ts";
import type { Place } from "./results.ts";
import type { Program } from "./runtimes.ts";
import { paceOf, type Roles, rolesBetween, rolesOn, runSample } from "./sample.ts";
import type { SubjectName } from "./subject.ts";
import type { SubjectConfig } from "./subjects/load.ts";
import { BARE_WEB_SOCKETS } from "./web_socket_table.ts";
import type { Outcome, Pace } from "./workload.ts";
import { COMPANIONS } from "./workloads/all.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** One thing to do. */
export interface Step {
  readonly place: Place;
  readonly workload: WorkloadName | "veltix.benchmark";
  /** The subject with its sockets, such as "raw" or "raw/node". */
  readonly subject: string;
  /** Does it; `said` gets what there is to tell meanwhile. */
  run(said: (text: string) => void): Promise<Outcome>;
}

/** All of a run, and what is left out of it. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly skipped: readonly { readonly text: string; readonly who: string }[];
}

/** Makes the plan; installs what peers need. */
export async function planOf(options: Options, programs: readonly Program[]): Promise<Plan> {
  const skipped: { text: string; who: string }[] = [];
  const peers: PeerInfo[] = [];
  for (const peer of options.peers ? PEERS : []) {
    if (!peer.against.some((runtime) => options.runtimes.includes(runtime))) continue;
    if (!options.workloads.some((workload) => takesPart(peer, workload))) continue;
    const without = peer.place !== "python" && !programs.some(({ name }) => name === peer.place);
    const problem = without ? `it runs on ${peer.place}, which --runtime leaves out` : await problemOf(peer);
    if (problem === undefined) peers.push(peer);
    else skipped.push({ text: `skipped: ${problem}`, who: peer.name });
  }
  const steps: Step[] = [];
  for (const workload of options.workloads) {
    const own = await Promise.all(programs.map(async (program) => [
      ...stepsOf(options, program, workload),
      ...await peerSteps(options, peers.filter(({ place }) => place === program.name), program, workload),
    ]));
    own.push(await peerSteps(options, peers.filter(({ place }) => place === "python"), undefined, workload));
    if (isPaired(workload)) steps.push(...pairedSteps(options, programs, workload));
    else for (const round of own) for (let i = 0; i < options.rounds; i++) steps.push(...round);
  }
  const benches = benchesOf(options.workloads);
  for (const release of benches.length > 0 && options.peers ? PYTHON_RELEASES : []) {
    const name = `python-${release}`;
    if (!peers.some((peer) => peer.name === name)) continue;
    const run: Step["run"] = () => runPythonSuite(release, benches, paceOf(options));
    const suite: Step = { place: "python", workload: "veltix.benchmark", subject: name, run };
    steps.push(...Array.from({ length: options.rounds }, () => suite));
  }
  return { steps, skipped };
}

/** The floors and the library on one runtime, one round. */
function stepsOf(options: Options, program: Program, workload: WorkloadName): Step[] {
  const companion = (COMPANIONS as Partial<Record<WorkloadName, WorkloadName>>)[workload];
  const steps = subjectsOf(options, program.name, workload).map((subject) => step(options, program, workload, subject));
  if (companion !== undefined && steps.some(({ subject }) => subject === "veltix")) {
    steps.push(step(options, program, companion, { subject: "veltix", sockets: "native", core: options.core }));
  }
  return steps;
}

/** The workloads whose subjects are compared in pairs. */
type PairedWorkload = "secure" | "secure_idle" | "websocket" | "websocket_idle";

/** Returns whether the subjects of a workload are compared in pairs. */
function isPaired(workload: WorkloadName): workload is PairedWorkload {
  return ["secure", "secure_idle", "websocket", "websocket_idle"].includes(workload);
}

/**
 * The steps of the workloads `secure` and `websocket`, which have `secure_idle` and `websocket_idle` in them: each round has
 * all subjects in turn. A server of Deno with clients of Bun, and the other way round, are measured in plain and encrypted.
 */
function pairedSteps(options: Options, programs: readonly Program[], wanted: PairedWorkload): Step[] {
  const steps: Step[] = [];
  const add = (
    place: Place,
    roles: Roles,
    workload: PairedWorkload,
    rounds: number,
    names: readonly SubjectName[],
  ) => {
    for (let i = 0; i < rounds; i++) {
      for (const name of names) {
        const subject = { subject: name, sockets: "native", core: options.core } as const;
        steps.push({
          place,
          workload,
          subject: name,
          run: (said) => runSample(roles, workload, subject, pairedPace(options.quick, paceOf(options)), said),
        });
      }
    }
  };
  const pairs = options.pairs;
  const few = Math.ceil(pairs / 5);
  for (const program of programs) {
    const { name } = program;
    const roles = rolesOn(program);
    const webSockets = [BARE_WEB_SOCKETS[name], "veltix-websocket", "veltix"] as const;
    if (wanted === "secure") add(name, roles, "secure", pairs, ["veltix", "noise", "tls", "node:tls"]);
    if (wanted.startsWith("secure")) add(name, roles, "secure_idle", few, ["veltix", "noise"]);
    if (wanted === "websocket") add(name, roles, "websocket", pairs, webSockets);
    if (wanted.startsWith("websocket")) add(name, roles, "websocket_idle", few, webSockets);
  }
  if (wanted !== "secure") return steps;
  const [deno, bun] = (["deno", "bun"] as const).map((name) => programs.find((program) => program.name === name));
  if (deno === undefined || bun === undefined) return steps;
  add("deno-bun", rolesBetween(deno, bun), "secure", pairs, ["veltix", "noise"]);
  add("bun-deno", rolesBetween(bun, deno), "secure", pairs, ["veltix", "noise"]);
  return steps;
}

/** Many short rounds say more than a few long ones. */
function pairedPace(quick: boolean, pace: Pace): Pace {
  return quick ? pace : { ...pace, warmUp: 300, measure: 400 };
}

function step(options: Options, program: Program, workload: WorkloadName, subject: SubjectConfig): Step {
  return {
    place: program.name,
    workload,
    subject: labelOf(subject),
    run: (said) => runSample(rolesOn(program), workload, subject, paceOf(options), said),
  };
}

async function peerSteps(
  options: Options,
  peers: readonly PeerInfo[],
  program: Program | undefined,
  workload: WorkloadName,
): Promise<Step[]> {
  return await Promise.all(
    peers.filter((peer) => takesPart(peer, workload)).map(async (peer): Promise<Step> => {
      const subject: SubjectConfig = { subject: peer.name, sockets: "native", core: options.core };
      const release = pythonRelease(peer);
      const roles = release !== undefined ? await pythonRoles(release) : rolesOn(program!);
      const run: Step["run"] = (said) => runSample(roles, workload, subject, paceOf(options), said);
      return { place: peer.place, workload, subject: peer.name, run };
    }),
  );
}

function subjectsOf(options: Options, runtime: Runtime, workload: WorkloadName): SubjectConfig[] {
  const floor = FLOOR_OF[workload];
  const own: readonly SubjectName[] = workload === "streams" ? ["webstreams", "veltix"] : ["veltix"];
  const all = options.subjects ?? (floor === "none" ? own : [floor, ...own]);
  const names = all.filter((name) => name !== "webstreams" || workload === "streams");
  return names.filter((name) => floor !== "none" || name === "veltix").flatMap((subject): SubjectConfig[] => {
    if (subject === "veltix") return [{ subject, sockets: "native", core: options.core }];
    const kinds = runtime === "node" ? ["native"] as const : options.floors;
    return kinds.map((sockets) => ({ subject, sockets, core: options.core }));
  });
}

function labelOf({ subject, sockets }: SubjectConfig): string {
  return sockets === "node" ? `${subject}/node` : subject;
}
