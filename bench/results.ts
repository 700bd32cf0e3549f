/**
 * The samples of a run, and medians of them.
 *
 * @module
 */

import type { Runtime } from "./options.ts";
import { aggregate } from "../src/cli/bench/python_form/aggregate.ts";
import type { PythonForm, PythonResult } from "../src/cli/bench/python_form/records.ts";
import { median } from "../src/cli/bench/statistics.ts";
import type { Figures } from "./workload.ts";
import type { WorkloadName } from "./workloads/all.ts";

/** Where a sample ran. */
export type Place = Runtime | MixedPlace | "python";

/** Two runtimes: that of the server and that of the client. */
export type MixedPlace = `${Runtime}-${Runtime}`;

/** What one sample measured. */
export interface Sample {
  readonly runtime: Place;
  readonly workload: WorkloadName;
  /** The subject with its sockets, such as "raw" or "raw/node". */
  readonly subject: string;
  readonly figures: Figures;
}

/** A sample that failed. */
export interface Failure {
  readonly runtime: Place;
  readonly workload: string;
  readonly subject: string;
  readonly message: string;
  /** A stack, or what a process wrote to standard error. It is not saved: it names files of the machine. */
  readonly detail?: string;
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
  /** What was left out and why, and the like, and which samples it is about. */
  readonly notes = new Map<string, Set<string>>();
  /** Messages that were counted by serial number. */
  counted = 0;
  readonly #python = new Map<string, PythonResult[]>();

  /** Adds results in the form of Python's benchmark; `who` is such as "veltix on node" or "python 2.0.0". */
  addPython(who: string, results: readonly PythonResult[]): void {
    if (results.length === 0) return;
    this.#python.set(who, [...this.#python.get(who) ?? [], ...results]);
  }

  /** Adds a note; `who` is such as "node raw". */
  note(text: string, who: string): void {
    this.notes.set(text, (this.notes.get(text) ?? new Set()).add(who));
  }

  /** The results in the form of Python's benchmark, over all rounds. */
  get python(): Readonly<Record<string, PythonForm>> {
    return Object.fromEntries([...this.#python].map(([who, results]) => [who, aggregate(results)]));
  }

  /** The subjects that have samples, each once. */
  get subjects(): readonly string[] {
    return [...new Set(this.samples.map((sample) => sample.subject))];
  }

  /** A figure over all rounds; undefined if it was not measured. */
  summary(runtime: Place, subject: string, figure: string): Summary | undefined {
    return summarize(this.samples, runtime, subject, figure);
  }

  /** What is saved. */
  toJSON(): object {
    const { samples, notes, counted, python } = this;
    const failures = this.failures.map(({ detail: _, ...failure }) => failure);
    const told = [...notes].map(([text, who]) => ({ text, who: [...who] }));
    return { counted, notes: told, samples, failures, python };
  }
}

/** A figure over all rounds of some samples; undefined if it was not measured. */
export function summarize(
  samples: readonly Sample[],
  runtime: Place,
  subject: string,
  figure: string,
): Summary | undefined {
  const values = samples
    .filter((sample) => sample.runtime === runtime && sample.subject === subject)
    .map((sample) => sample.figures[figure])
    .filter((value) => value !== undefined);
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), rounds: values.length };
}
