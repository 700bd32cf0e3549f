/**
 * The other libraries: where each runs, what it is compared with, and whether it can be had here.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { installPeers } from "./peers/install.ts";
import { install, PYTHON } from "../tests/interop/install.ts";
import { RELEASES } from "../tests/interop/releases.ts";
import type { Runtime } from "./options.ts";
import type { Place } from "./results.ts";
import type { Roles } from "./sample.ts";
import type { PeerName } from "./subject.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** The workloads in which peers are measured. */
export const PEER_WORKLOADS: ReadonlySet<WorkloadName> = new Set<WorkloadName>([
  "rtt",
  "pipelined",
  "burst",
  "stress",
  "broadcast",
  "connect",
  "idle",
  "streams",
]);

/** Releases of Python's Veltix, the newest that the tests know among them. */
export const PYTHON_RELEASES: readonly string[] = [...new Set(["1.6.3", "2.0.0", RELEASES.at(-1)!.name])];

/** Another library. */
export interface PeerInfo {
  readonly name: PeerName;
  /** Where its processes run. */
  readonly place: Place;
  /** The runtimes on which the library is compared with it. */
  readonly against: readonly Runtime[];
  /** Whether it is measured in streams as well as in messages, or only in them. @default not at all */
  readonly streams?: "too" | "only";
}

const EVERYWHERE: readonly Runtime[] = ["node", "deno", "bun"];

/** All of them, in the order of the tables. */
export const PEERS: readonly PeerInfo[] = [
  { name: "ws", place: "node", against: ["node"], streams: "too" },
  { name: "socket.io", place: "node", against: ["node"] },
  { name: "deno-websocket", place: "deno", against: ["deno"] },
  { name: "bun-websocket", place: "bun", against: ["bun"] },
  { name: "nats", place: "node", against: EVERYWHERE },
  { name: "http2", place: "node", against: ["node"], streams: "only" },
  { name: "grpc", place: "node", against: ["node"], streams: "only" },
  ...PYTHON_RELEASES.map((release): PeerInfo => ({
    name: `python-${release}`,
    place: "python",
    against: EVERYWHERE,
  })),
];

/** Their names. */
export const PEER_NAMES: ReadonlySet<string> = new Set(PEERS.map(({ name }) => name));

/** Whether a peer is measured in a workload. */
export function takesPart({ streams }: PeerInfo, workload: WorkloadName): boolean {
  return PEER_WORKLOADS.has(workload) && (workload === "streams" ? streams !== undefined : streams !== "only");
}

/** Whether the subject of a sample is another library. */
export function isPeer(subject: string): boolean {
  return PEER_NAMES.has(subject);
}

/** The release of a Python peer; undefined for the others. */
export function pythonRelease({ name }: PeerInfo): string | undefined {
  return name.startsWith("python-") ? name.slice("python-".length) : undefined;
}

/** Why a peer can't be measured here; undefined if it can. Installs what has to be. */
export async function problemOf(peer: PeerInfo): Promise<string | undefined> {
  const release = pythonRelease(peer);
  try {
    if (release !== undefined) await install(release);
    else if (peer.place === "node") {
      const problem = installPeers();
      if (problem !== undefined) return problem;
    }
    if (peer.name === "nats" && spawnSync("nats-server", ["--version"]).error) {
      return "there is no nats-server on the path";
    }
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

/** The two processes of a sample of Python's Veltix. */
export async function pythonRoles(release: string): Promise<Roles> {
  const path = [await install(release), fileURLToPath(new URL("../tests/interop", import.meta.url))];
  const env = { PYTHONPATH: path.join(delimiter), PYTHONDONTWRITEBYTECODE: "1" };
  const script = (name: string) => fileURLToPath(new URL(`./subjects/python/${name}.py`, import.meta.url));
  return {
    server: (config) => [PYTHON, script("server"), JSON.stringify(config)],
    client: (config) => [PYTHON, script("client"), JSON.stringify(config)],
    env,
  };
}
