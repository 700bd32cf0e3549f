/**
 * What each of Python's five benchmarks is given, and the numbers in it that a command line may change.
 *
 * @module
 */

import type { Count } from "../payloads.ts";
import type { PythonResult } from "./records.ts";

/** The sockets that the library can be told to take. */
export type TransportChoice = "auto" | "deno" | "bun" | "node";

/** Some players who send so often. */
export interface Game {
  readonly players: number;
  /** Ticks a second. */
  readonly tickRate: number;
}

/** The numbers of the five. */
export interface FormNumbers {
  /** Pings of `latency`. @default 50000 */
  readonly latencyIterations?: number | undefined;
  /** The games of `fps`. @default 64 players at 64 Hz, and 128 at 20 Hz */
  readonly games?: readonly Game[] | undefined;
  /** Seconds of a game. @default 5 */
  readonly fpsSeconds?: number | undefined;
  /** Messages of `burst`. @default 10000 */
  readonly burstCount?: number | undefined;
  /** Bytes of such a message, from 4. @default 64 */
  readonly burstPayload?: number | undefined;
  /** Clients of `stress`. @default 100 */
  readonly stressClients?: number | undefined;
  /** Messages of each of them. @default 100 */
  readonly stressMessages?: number | undefined;
}

/** What a benchmark gets. */
export interface FormContext {
  readonly config: { readonly core: TransportChoice };
  readonly pace: {
    /** Milliseconds of a short measurement: pauses are at most twice as long. */
    readonly measure: number;
    /** Most connections at a time. */
    readonly connections: number;
    /** The part of pings, and of the time of games, that is measured. At most 1. */
    readonly share: number;
  };
  /** Other numbers than Python's. @default Python's */
  readonly numbers?: FormNumbers | undefined;
  /** Ends it early. @default never */
  readonly signal?: AbortSignal | undefined;
  /** Throws unless exactly `sent` messages came, each once and in order. */
  confirm(sent: number, count: Count): void;
  /** Takes the result. */
  python(result: PythonResult): void;
}

/** Measures, and returns the figures by name. */
export type FormBench = (context: FormContext) => Promise<Record<string, number>>;
