/**
 * The workloads by name.
 *
 * @module
 */

import type { Workload } from "../workload.ts";
import { broadcast } from "./broadcast.ts";
import { burst } from "./burst.ts";
import { connect } from "./connect.ts";
import { decode } from "./decode.ts";
import { growth } from "./growth.ts";
import { idle } from "./idle.ts";
import { logger } from "./logger.ts";
import { pipelined } from "./pipelined.ts";
import { rtt } from "./rtt.ts";
import { silent } from "./silent.ts";
import { stress } from "./stress.ts";
import { workers } from "./workers.ts";

/** In the order in which they run. */
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
} as const satisfies Record<string, Workload>;

/** The name of a workload. */
export type WorkloadName = keyof typeof WORKLOADS;

/** The workloads that run in the client process alone. */
export const SERVERLESS: ReadonlySet<WorkloadName> = new Set<WorkloadName>(["decode", "logger", "workers"]);
