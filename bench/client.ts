/**
 * The client process of a measurement. Started with a {@linkcode ClientConfig} as JSON; it runs one workload, asking the
 * server through the orchestrator, and tells its figures.
 *
 * @module
 */

import process from "node:process";
import { fail, listen, tell } from "./channel.ts";
import { confirmCount } from "../src/cli/bench/payloads.ts";
import type { PythonResult } from "../src/cli/bench/python_form/records.ts";
import type { ServerCommand, ServerReport } from "./server.ts";
import { loadStreams } from "./streams/load.ts";
import type { StreamPeer } from "./streams/subject.ts";
import type { Peer } from "./subject.ts";
import { loadSubject } from "./subjects/load.ts";
import type { SubjectConfig } from "./subjects/load.ts";
import type { Context, Outcome, Pace, Workload } from "./workload.ts";
import { ALL_WORKLOADS, SERVERLESS } from "./workloads/all.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** What the client process is to do. */
export interface ClientConfig extends SubjectConfig {
  readonly workload: WorkloadName;
  readonly pace: Pace;
  /** Port of the server process; 0 if there is none. */
  readonly port: number;
  /** How many files a process may have open; null for any number. */
  readonly openFiles: number | null;
}

const config: ClientConfig = JSON.parse(process.argv[2]);
const answers: ((report: ServerReport) => void)[] = [];
listen((value) => answers.shift()?.(value as ServerReport));

try {
  const has = !SERVERLESS.has(config.workload);
  const subject = has && config.workload !== "streams" ? await loadSubject(config) : undefined;
  const python: PythonResult[] = [];
  const notes: string[] = [];
  let counted = 0;
  const context: Context = {
    config,
    pace: config.pace,
    port: config.port,
    openFiles: config.openFiles ?? Infinity,
    async connect(receive = () => {}): Promise<Peer> {
      if (subject === undefined) throw new Error(`Cannot connect: "${config.workload}" runs without a server`);
      return await subject.connect(config.port, receive);
    },
    async streams(): Promise<{ peer: StreamPeer; items: boolean }> {
      const streams = await loadStreams(config);
      return { peer: await streams.connect(config.port), items: streams.items };
    },
    server(command: ServerCommand): Promise<ServerReport> {
      tell({ type: "ask", value: command });
      return new Promise((resolve) => answers.push(resolve));
    },
    confirm(sent, count): void {
      confirmCount(sent, count);
      counted += sent;
    },
    python: (result) => void python.push(result),
    note: (text) => void notes.push(text),
    say: (text) => tell({ type: "say", text }),
  };
  const workload: Workload = ALL_WORKLOADS[config.workload];
  const figures = await workload(context);
  tell({ type: "result", value: { figures, python, counted, notes } satisfies Outcome });
} catch (error) {
  fail(error);
}
