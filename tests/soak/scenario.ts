/**
 * What a scenario is, and how it tells what came of it.
 *
 * @module
 */

import type { RuntimeName } from "../../scripts/runtimes.ts";
import type { Child } from "./processes.ts";

/** How a scenario runs. */
export interface Context {
  /** The quick form, for every change, in place of the whole one. */
  readonly short: boolean;
  /** Where everything random comes from. */
  readonly seed: number;
  /** Which check fails and why. */
  readonly verdict: Verdict;
  /** The attacks to show. @default all */
  readonly attacks?: readonly string[];
  /** The parts of a scenario to run. @default all */
  readonly parts?: readonly string[];
  /** The runtime under test. */
  readonly runtime: RuntimeName;
  /**
   * Starts a role of a scenario as a process of the runtime under test, or of `runtime` where that is there. `file` is the
   * scenario's own `import.meta.url`.
   */
  start(file: string, role: string, config?: unknown, runtime?: RuntimeName): Promise<Child>;
  /** The runtimes that are there. */
  readonly runtimes: readonly RuntimeName[];
  /** Tells at once what came of one part. */
  say(good: boolean, line: string): void;
  /** Tells what came of one attack, at once. */
  tell(attacked: Attacked): void;
}

/** What came of one attack. */
export interface Attacked {
  /** Its name on the command line. */
  readonly attack: string;
  /** What the attackers did. */
  readonly does: string;
  /** The most that they could make the server hold, in words. */
  readonly formula: string;
  /** Whether everything held. */
  readonly ok: boolean;
  /** What 99 of 100 pings of innocent clients did not exceed, in milliseconds. */
  readonly p99: number;
  /** By how much the server's memory grew, in bytes. */
  readonly grown: number;
  /** All figures, for a human. */
  readonly line: string;
}

/** One thing that must hold under load. */
export interface Scenario {
  /** Its name on the command line. */
  readonly name: string;
  /** How long it may take, in milliseconds. @default a minute in the quick form, else a quarter of an hour */
  readonly limit?: { readonly short: number; readonly full: number };
  /** Runs it; returns its figures. What does not hold goes to the verdict, what cannot go on is thrown. */
  run(context: Context): Promise<string>;
}

/** Gathers what does not hold. */
export class Verdict {
  /** A sentence for each. */
  readonly failures: string[] = [];

  /** Notes `failure` unless `holds`. */
  check(holds: boolean, failure: string): void {
    if (!holds) this.failures.push(failure);
  }
}
