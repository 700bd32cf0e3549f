/**
 * What a workload is, and what the client process gives it.
 *
 * @module
 */

import type { ServerCommand, ServerReport } from "./server.ts";
import type { Peer } from "./subject.ts";
import type { SubjectConfig } from "./subjects/load.ts";

/** What a workload measured, by figure name (see `goals.ts`). */
export type Figures = Record<string, number>;

/** How long to measure. */
export interface Pace {
  /** Warm-up before each figure, in milliseconds. */
  readonly warmUp: number;
  /** Measured time of each figure, in milliseconds. */
  readonly measure: number;
}

/** Given to a workload in the client process. */
export interface Context {
  readonly config: SubjectConfig;
  readonly pace: Pace;
  /** Port of the server process; 0 if there is none. */
  readonly port: number;
  /** Opens a connection; `receive` gets the one-way messages. */
  connect(receive?: (content: Uint8Array) => void): Promise<Peer>;
  /** Asks the server process. */
  server(command: ServerCommand): Promise<ServerReport>;
}

/** One workload: runs in the client process, against a server process of the same subject. */
export type Workload = (context: Context) => Promise<Figures>;
