/**
 * The samples of a run, and medians of them.
 *
 * @module
 */

import type { Runtime } from "./options.ts";
import { median } from "./statistics.ts";
import type { Figures } from "./workload.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** What one sample measured. */
export interface Sample {
  readonly runtime: Runtime;
  readonly workload: WorkloadName;
  /** The subject with its sockets, such as "raw" or "raw/node". */
  readonly subject: string;
  readonly figures: Figures;
}

/** A sample that failed. */
export interface Failure {
  readonly runtime: Runtime;
  readonly workload: WorkloadName;
  readonly subject: string;
  readonly message: string;
}

/** A figure over the rounds. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Rounds that measured it. */
  readonly rounds: number;
}

/** All samples of a run. */
export class Results {
  readonly samples: Sample[] = [];
  readonly failures: Failure[] = [];

  /** The subjects that have samples, each once. */
  get subjects(): readonly string[] {
    return [...new Set(this.samples.map((sample) => sample.subject))];
  }

  /** A figure over all rounds; undefined if it was not measured. */
  summary(runtime: Runtime, subject: string, figure: string): Summary | undefined {
    const values = this.samples
      .filter((sample) => sample.runtime === runtime && sample.subject === subject)
      .map((sample) => sample.figures[figure])
      .filter((value) => value !== undefined);
    if (values.length === 0) return undefined;
    return { median: median(values), min: Math.min(...values), max: Math.max(...values), rounds: values.length };
  }
}
