/**
 * What a workload is, and what the client process gives it.
 *
 * @module
 */

import type { FormContext } from "../src/cli/bench/python_form/context.ts";
import type { PythonResult } from "../src/cli/bench/python_form/records.ts";
import type { ServerCommand, ServerReport } from "./server.ts";
import type { StreamPeer } from "./streams/subject.ts";
import type { Peer } from "./subject.ts";
import type { SubjectConfig } from "./subjects/load.ts";

/** What a workload measured, by figure name (see `goals.ts`). */
export type Figures = Record<string, number>;

/** How long to measure, and how much. */
export interface Pace {
  /** Warm-up before each figure, in milliseconds. */
  readonly warmUp: number;
  /** Measured time of each figure, in milliseconds. */
  readonly measure: number;
  /** Most connections at a time: workloads that want more leave that part out, or make do with these. */
  readonly connections: number;
  /** The part of the full number of messages, or of the full time, where a workload has one. At most 1. */
  readonly share: number;
  /** How long the workload `mixed` takes. */
  readonly minutes: number;
}

/** All that a client process tells at its end. */
export interface Outcome {
  readonly figures: Figures;
  /** Results in the form of Python's benchmark. */
  readonly python: readonly PythonResult[];
  /** Messages that were counted by serial number: each came once and in order. */
  readonly counted: number;
  /** What a reader of the figures needs to know, such as what was left out. */
  readonly notes: readonly string[];
}

/** Given to a workload in the client process. */
export interface Context extends FormContext {
  readonly config: SubjectConfig;
  readonly pace: Pace;
  /** Port of the server process; 0 if there is none. */
  readonly port: number;
  /** How many files this process may have open. */
  readonly openFiles: number;
  /** Opens a connection; `receive` gets the one-way messages. */
  connect(receive?: (content: Uint8Array) => void): Promise<Peer>;
  /** Opens a connection for streams; `items` tells whether it has items, too. */
  streams(): Promise<{ readonly peer: StreamPeer; readonly items: boolean }>;
  /** Asks the server process. */
  server(command: ServerCommand): Promise<ServerReport>;
  /** Adds a note for readers of the figures. */
  note(text: string): void;
  /** Shows a line while the workload runs. */
  say(text: string): void;
}

/** One workload: runs in the client process, against a server process of the same subject. */
export type Workload = (context: Context) => Promise<Figures>;
