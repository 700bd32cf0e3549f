/**
 * One sample: one workload with one subject on one runtime, in a server process and a client process of their own.
 *
 * @module
 */

import { limited } from "../tests/processes/waiting.ts";
import type { ClientConfig } from "./client.ts";
import type { Options } from "./options.ts";
import { Child, openFileLimit } from "./processes.ts";
import type { CommandLine } from "./processes.ts";
import type { ServerConfig } from "./server.ts";
import { commandLine } from "./runtimes.ts";
import type { Program } from "./runtimes.ts";
import type { SubjectConfig } from "./subjects/load.ts";
import type { Outcome, Pace } from "./workload.ts";
import { SERVERLESS } from "./workloads/all.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** No sample takes longer than this; the long workloads take what they need besides. */
const TIME_LIMIT = 120_000;

const SERVER = new URL("./server.ts", import.meta.url);
const CLIENT = new URL("./client.ts", import.meta.url);

/** The two processes of a sample: their command lines for a configuration. */
export interface Roles {
  readonly server: (config: ServerConfig) => CommandLine;
  readonly client: (config: ClientConfig) => CommandLine;
  /** Added to the environment of both. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How long samples take. */
export function paceOf({ quick, minutes }: Pick<Options, "quick" | "minutes">): Pace {
  return quick
    ? { warmUp: 150, measure: 250, connections: 1000, share: 0.2, minutes }
    : { warmUp: 500, measure: 1000, connections: 10_000, share: 1, minutes };
}

/** A subject of ours: both processes run the same files on a runtime. */
export function rolesOn(program: Program): Roles {
  return {
    server: (config) => commandLine(program, SERVER, JSON.stringify(config)),
    client: (config) => commandLine(program, CLIENT, JSON.stringify(config)),
  };
}

/** A server on one runtime, and a client on another one. */
export function rolesBetween(server: Program, client: Program): Roles {
  return { server: rolesOn(server).server, client: rolesOn(client).client };
}

/** Runs one sample and returns what it measured. Rejects when anything is lost, fails or takes too long. */
export async function runSample(
  roles: Roles,
  workload: WorkloadName,
  subject: SubjectConfig,
  pace: Pace,
  said?: (text: string) => void,
): Promise<Outcome> {
  const children: Child[] = [];
  const start = (command: CommandLine) => {
    const child = new Child(command, roles.env);
    children.push(child);
    return child;
  };
  const limit = TIME_LIMIT + (workload === "mixed" ? 60_000 * pace.minutes : 0);
  const measure = async () => {
    const server = SERVERLESS.has(workload) ? undefined : start(roles.server({ ...subject, workload }));
    const port = await server?.result() as number | undefined ?? 0;
    const files = openFileLimit();
    const openFiles = Number.isFinite(files) ? files : null;
    const client = start(roles.client({ ...subject, workload, pace, port, openFiles }));
    const outcome = await client.result(async (command) => {
      server?.send(command);
      return await server?.result();
    }, said);
    return outcome as Outcome;
  };
  const measured = measure();
  try {
    return await limited(`"${workload}" is done`, limit, measured);
  } finally {
    await Promise.all(children.map((child) => child.kill()));
    await measured.catch(() => {});
  }
}
