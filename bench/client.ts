/**
 * The client process of a measurement. Started with a {@linkcode ClientConfig} as JSON; it runs one workload, asking the
 * server through the orchestrator, and tells its figures.
 *
 * @module
 */

import process from "node:process";
import { fail, listen, tell } from "./channel.ts";
import type { ServerCommand, ServerReport } from "./server.ts";
import type { Peer } from "./subject.ts";
import { loadSubject } from "./subjects/load.ts";
import type { SubjectConfig } from "./subjects/load.ts";
import type { Context, Pace, Workload } from "./workload.ts";
import { SERVERLESS, WORKLOADS } from "./workloads/all.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** What the client process is to do. */
export interface ClientConfig extends SubjectConfig {
  readonly workload: WorkloadName;
  readonly pace: Pace;
  /** Port of the server process; 0 if there is none. */
  readonly port: number;
}

const config: ClientConfig = JSON.parse(process.argv[2]);
const answers: ((report: ServerReport) => void)[] = [];
listen((value) => answers.shift()?.(value as ServerReport));

try {
  const subject = SERVERLESS.has(config.workload) ? undefined : await loadSubject(config);
  const context: Context = {
    config,
    pace: config.pace,
    port: config.port,
    async connect(receive = () => {}): Promise<Peer> {
      if (subject === undefined) throw new Error(`Cannot connect: "${config.workload}" runs without a server`);
      return await subject.connect(config.port, receive);
    },
    server(command: ServerCommand): Promise<ServerReport> {
      tell({ type: "ask", value: command });
      return new Promise((resolve) => answers.push(resolve));
    },
  };
  const workload: Workload = WORKLOADS[config.workload];
  tell({ type: "result", value: await workload(context) });
} catch (error) {
  fail(error);
}
