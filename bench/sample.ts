/**
 * One sample: one workload with one subject on one runtime, in a server process and a client process of their own.
 *
 * @module
 */

import type { ClientConfig } from "./client.ts";
import type { Options } from "./options.ts";
import { Child } from "./processes.ts";
import { commandLine } from "./runtimes.ts";
import type { Program } from "./runtimes.ts";
import type { SubjectConfig } from "./subjects/load.ts";
import type { Figures, Pace } from "./workload.ts";
import { SERVERLESS } from "./workloads/all.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** No sample takes longer than this. */
const TIME_LIMIT = 60_000;

const SERVER = new URL("./server.ts", import.meta.url);
const CLIENT = new URL("./client.ts", import.meta.url);

/** How long samples take. */
export function paceOf(options: Options): Pace {
  return options.quick ? { warmUp: 150, measure: 250 } : { warmUp: 500, measure: 1000 };
}

/** Runs one sample and returns what it measured. Rejects when anything is lost, fails or takes too long. */
export async function runSample(
  program: Program,
  workload: WorkloadName,
  subject: SubjectConfig,
  pace: Pace,
): Promise<Figures> {
  const children: Child[] = [];
  const start = (script: URL, config: SubjectConfig) => {
    const child = new Child(commandLine(program, script, JSON.stringify(config)));
    children.push(child);
    return child;
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not finished after ${TIME_LIMIT} ms`)), TIME_LIMIT);
  });
  const measure = async () => {
    const server = SERVERLESS.has(workload) ? undefined : start(SERVER, subject);
    const port = await server?.result() as number | undefined ?? 0;
    const config: ClientConfig = { ...subject, workload, pace, port };
    const client = start(CLIENT, config);
    const figures = await client.result(async (command) => {
      await server?.send(command);
      return await server?.result();
    });
    return figures as Figures;
  };
  try {
    return await Promise.race([measure(), late]);
  } finally {
    clearTimeout(timer);
    await Promise.all(children.map((child) => child.kill()));
  }
}
