/**
 * The workloads by name.
 *
 * @module
 */

import { fps } from "../../src/cli/bench/python_form/fps.ts";
import { latency } from "../../src/cli/bench/python_form/latency.ts";
import { memory } from "../../src/cli/bench/python_form/memory.ts";
import { pythonBurst } from "../../src/cli/bench/python_form/burst.ts";
import { pythonStress } from "../../src/cli/bench/python_form/stress.ts";
import type { Workload } from "../workload.ts";
import { broadcast } from "./broadcast.ts";
import { burst } from "./burst.ts";
import { compression } from "./compression.ts";
import { connect } from "./connect.ts";
import { decode } from "./decode.ts";
import { growth } from "./growth.ts";
import { idle } from "./idle.ts";
import { large } from "./large.ts";
import { logger } from "./logger.ts";
import { million } from "./million.ts";
import { mixed } from "./mixed.ts";
import { pipelined } from "./pipelined.ts";
import { rtt } from "./rtt.ts";
import { secure, secureIdle } from "./secure.ts";
import { silent } from "./silent.ts";
import { streams } from "./streams.ts";
import { stress } from "./stress.ts";
import { webSocket, webSocketIdle } from "./web_socket.ts";
import { workers } from "./workers.ts";

/** Those that run unless others are named, in this order. */
export const WORKLOADS = {
  rtt,
  pipelined,
  burst,
  stress,
  broadcast,
  idle,
  connect,
  growth,
  decode,
  silent,
  logger,
  workers,
  streams,
  memory,
  latency,
  fps,
} as const satisfies Record<string, Workload>;

/** Those that run when they are named. */
export const LONG_WORKLOADS = {
  million,
  mixed,
  secure,
  secure_idle: secureIdle,
  websocket: webSocket,
  websocket_idle: webSocketIdle,
  compression,
  large,
} as const satisfies Record<string, Workload>;

/** Those that run with another one: Python's benchmarks of a name that a workload of ours has, too. */
export const COMPANIONS = {
  burst: "python_burst",
  stress: "python_stress",
} as const;

/** All of them. */
export const ALL_WORKLOADS = {
  ...WORKLOADS,
  ...LONG_WORKLOADS,
  python_burst: pythonBurst,
  python_stress: pythonStress,
} as const satisfies Record<string, Workload>;

/** The name of a workload. */
export type WorkloadName = keyof typeof ALL_WORKLOADS;

/** The workloads that run in the client process alone. */
export const SERVERLESS: ReadonlySet<WorkloadName> = new Set<WorkloadName>([
  "decode",
  "logger",
  "workers",
  "memory",
  "latency",
  "fps",
  "compression",
  "python_burst",
  "python_stress",
]);
