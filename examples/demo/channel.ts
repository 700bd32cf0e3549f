/**
 * How the processes of the demonstration are led: commands come by standard input, reports go out by standard output,
 * each a line of JSON. Where standard input ends, the leader is gone and the process ends too.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import type { Tally } from "./contract.ts";

/** What each client does, one step after another; no step begins before all clients are through with the one before. */
export const STEPS = ["stream", "requests", "pings", "burst"] as const;

/** One of {@linkcode STEPS}. */
export type Step = typeof STEPS[number];

/** What a process is told. */
export type Command = Step | "close";

/** What a process tells. */
export type Report =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "connected"; readonly protocol: string }
  | { readonly type: "status"; readonly status: Status }
  | { readonly type: "done"; readonly step: Step }
  | { readonly type: "failed"; readonly message: string };

/** How far a client is, and what it found. Times are milliseconds. */
export interface Status {
  /** Messages, requests, replies, pings and pongs sent, without the burst. */
  readonly sent: number;
  /** Messages of the burst sent: they go to the server, and to nobody else. */
  readonly burstSent: number;
  /** The same received: each line from each of the others. */
  readonly received: number;
  /** Messages that did not come, here or at the server. */
  readonly lost: number;
  /** Messages that came twice, or after a later one, here or at the server. */
  readonly disordered: number;
  /** How often its cable was cut, and its session went on over another connection. */
  readonly cuts: number;
  /** Of all round trips so far; `undefined` before the first. */
  readonly roundTrip?: { readonly p50: number; readonly p99: number };
  /** The step's, 0 to 1. */
  readonly progress: number;
  /** What came from each other client, by its number. */
  readonly inflows: Readonly<Record<number, InflowStatus>>;
  /** Requests, by whether the answer was right. */
  readonly answers: { readonly right: number; readonly wrong: number };
  /** What the server counted, and messages a second. */
  readonly burst?: Tally & { readonly rate: number };
}

/** What a client received of another's stream. */
export interface InflowStatus {
  /** The file's, or that of the first pass that differs; empty before the first pass ends. */
  readonly sha256: string;
  /** Passes that are over. */
  readonly passes: number;
  /** Whether the last one is. */
  readonly complete: boolean;
}

/** What a client process is started with. */
export interface ClientSetup {
  /** Its number. */
  readonly number: number;
  /** The numbers of the other clients. */
  readonly others: readonly number[];
  /** The server's port. */
  readonly port: number;
  /** The file. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its SHA-256 in hexadecimal. */
  readonly sha256: string;
}

/** Tells the leader. */
export function tell(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** Tells the leader what went wrong and ends the process. */
export function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.stdout.write(`${JSON.stringify({ type: "failed", message } satisfies Report)}\n`, () => process.exit(1));
}

/** Calls `follow` with each command, one after the other; any error ends the process. */
export function followCommands(follow: (command: Command) => Promise<void>): void {
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  let last = Promise.resolve();
  const input = createInterface({ input: process.stdin });
  input.on("line", (text) => last = last.then(() => follow(JSON.parse(text))).catch(fail));
  input.on("close", () => process.exit());
}
