/**
 * What a scenario is, and how it tells what came of it.
 *
 * @module
 */

import type { Child } from "./processes.ts";

/** How a scenario runs. */
export interface Context {
  /** The quick form, for every change, in place of the whole one. */
  readonly short: boolean;
  /** Where everything random comes from. */
  readonly seed: number;
  /** Which check fails and why. */
  readonly verdict: Verdict;
  /** Starts a role of a scenario as a process of the runtime under test. `file` is the scenario's own `import.meta.url`. */
  start(file: string, role: string, config?: unknown): Promise<Child>;
}

/** One thing that must hold under load. */
export interface Scenario {
  /** Its name on the command line. */
  readonly name: string;
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
