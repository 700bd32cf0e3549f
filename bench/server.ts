/**
 * The server process of a measurement. Started with a {@linkcode ServerConfig} as JSON; it tells its port, then answers
 * {@linkcode ServerCommand}s.
 *
 * @module
 */

import process from "node:process";
import { fail, listen, tell } from "./channel.ts";
import type { Count } from "../src/cli/bench/payloads.ts";
import { Payloads, SerialCheck } from "../src/cli/bench/payloads.ts";
import { loadStreams } from "./streams/load.ts";
import type { Served } from "./subject.ts";
import { loadSubject, type SubjectConfig } from "./subjects/load.ts";
import { cpuMicros, memoryUse } from "../src/cli/bench/usage.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** What the server process is to serve. */
export interface ServerConfig extends SubjectConfig {
  readonly workload: WorkloadName;
}

/** What a client process asks of its server, through the orchestrator. */
export type ServerCommand =
  | {
    /** From now on count one-way messages and confirm each pass by sending its last message back. */
    readonly type: "count";
    readonly senders: number;
    readonly ring: number;
    readonly size: number;
    /** Messages of a pass, from all senders together. */
    readonly pass: number;
  }
  | {
    /** From now on answer each one-way message with so many broadcasts. */
    readonly type: "broadcast";
    readonly messages: number;
    readonly ring: number;
    readonly size: number;
  }
  | {
    /** Nothing changes. */
    readonly type: "report";
    /** Also the resident memory, which takes a garbage collection. */
    readonly memory?: boolean;
  };

/** The server's answer to every command. */
export interface ServerReport {
  /** CPU time used so far, in microseconds. */
  readonly cpu: number;
  /** Resident memory in bytes, that of a broker included; 0 if not asked for. */
  readonly memory: number;
  /** What the garbage collector holds, in bytes; 0 if not asked for. */
  readonly heap: number;
  /** Connections opened so far. */
  readonly connected: number;
  /** One-way messages since the last `count`. */
  readonly count: Count;
}

let check = new SerialCheck(0, 0, 0);
let connected = 0;
let message: (content: Uint8Array) => boolean = () => false;

let served: Served | undefined;

listen((value) => {
  try {
    tell({ type: "result", value: obey(value as ServerCommand) });
  } catch (error) {
    fail(error);
  }
});

try {
  const config: ServerConfig = JSON.parse(process.argv[2]);
  if (config.workload === "streams") {
    tell({ type: "result", value: await (await loadStreams(config)).serve() });
  } else {
    const subject = await loadSubject(config);
    served = await subject.serve({ connected: () => void connected++, message: (content) => message(content) });
    tell({ type: "result", value: served.port });
  }
} catch (error) {
  fail(error);
}

function obey(command: ServerCommand): ServerReport {
  if (command.type === "count") message = counter(command);
  if (command.type === "broadcast") message = broadcaster(command);
  const wanted = command.type === "report" && command.memory === true;
  const { resident, heap } = wanted ? memoryUse() : { resident: 0, heap: 0 };
  const memory = wanted ? resident + (served?.helperMemory?.() ?? 0) : 0;
  return { cpu: cpuMicros(), memory, heap, connected, count: check.count() };
}

function counter(command: ServerCommand & { type: "count" }): (content: Uint8Array) => boolean {
  const serials = new SerialCheck(command.senders, command.ring, command.size);
  const pass = command.pass;
  let left = pass;
  check = serials;
  return (content) => {
    serials.take(content);
    if (--left > 0) return false;
    left = pass;
    return true;
  };
}

function broadcaster(command: ServerCommand & { type: "broadcast" }): (content: Uint8Array) => boolean {
  const payloads = new Payloads(command.size, 0, command.ring);
  return () => {
    for (let i = 0; i < command.messages; i++) served!.broadcast(payloads.next());
    return false;
  };
}
