/**
 * What a run has measured so far.
 *
 * @module
 */

import type { LoadResult } from "./load.ts";
import { aggregate } from "./python_form/aggregate.ts";
import type { PythonForm, PythonResult } from "./python_form/records.ts";
import { figuresOf, type Series } from "./series.ts";
import type { Unit } from "./units.ts";

/** A generator whose timers come later than this, in milliseconds, is too busy for its rate. */
const LATE = 10;

/** Figures, errors and notes. */
export class Findings {
  readonly #series = new Map<string, { readonly name: string; readonly unit: Unit; readonly values: number[] }>();
  readonly #errors = new Map<string, Map<string, number>>();
  readonly #notes = new Set<string>();
  readonly #python: PythonResult[] = [];

  /** The figures, in the order in which they were first measured. */
  get series(): readonly Series[] {
    return [...this.#series.values()];
  }

  /** Operations that failed, by figure and by what they said. */
  get errors(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return Object.fromEntries([...this.#errors].map(([name, errors]) => [name, Object.fromEntries(errors)]));
  }

  /** What a reader of the figures needs to know. */
  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /** The results in Python's form, over all rounds. */
  get python(): PythonForm {
    return aggregate(this.#python);
  }

  /** True while nothing was measured. */
  get isEmpty(): boolean {
    return this.#series.size === 0 && this.#errors.size === 0;
  }

  /** Adds a round of a figure. */
  add(name: string, unit: Unit, value: number): void {
    const series = this.#series.get(name) ?? { name, unit, values: [] };
    this.#series.set(name, series);
    series.values.push(value);
  }

  /** Adds a result in Python's form, and its figures. */
  addPython(result: PythonResult): void {
    this.#python.push(result);
    for (const { name, unit, value } of figuresOf(result)) this.add(name, unit, value);
  }

  /** Adds a round of pings or requests. */
  addLoad(name: string, rate: number | undefined, result: LoadResult): void {
    const { done, elapsed, errors, late, times, waiting } = result;
    for (const [text, count] of errors) this.#addError(name, text, count);
    if (waiting > 0) {
      this.note(`${name}: the rate was too high: some were still waiting to be sent at the end of a round`);
    }
    if (late.percentile(99) > LATE) {
      this.note(
        `${name}: this machine was too busy to keep the timetable: the server may be better than these figures`,
      );
    }
    if (done === 0) return;
    this.add(`${name}: p50`, "µs", 1000 * times.percentile(50));
    this.add(`${name}: p90`, "µs", 1000 * times.percentile(90));
    this.add(`${name}: p99`, "µs", 1000 * times.percentile(99));
    if (times.count >= 1_000) this.add(`${name}: p99.9`, "µs", 1000 * times.percentile(99.9));
    this.add(`${name}: longest`, "µs", 1000 * times.greatest);
    this.add(rate === undefined ? name : `${name}: reached`, "/s", 1000 * done / elapsed);
  }

  /** Adds a note. The same one is kept once. */
  note(text: string): void {
    this.#notes.add(text);
  }

  #addError(name: string, text: string, count: number): void {
    const errors = this.#errors.get(name) ?? new Map<string, number>();
    this.#errors.set(name, errors.set(text, (errors.get(text) ?? 0) + count));
  }
}
