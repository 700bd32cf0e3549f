/**
 * The file of a run: written by `--save`, read by `--compare`, which also takes a file that Python's `veltix.benchmark`
 * saved.
 *
 * @module
 */

import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CommandError, ExitCode } from "../exit_codes.ts";
import type { Machine } from "./machine.ts";
import type { PythonForm, PythonResult } from "./python_form/records.ts";
import { resultsOf } from "./python_form/saved.ts";
import { figuresOf, type Series } from "./series.ts";

/** The form of the file, with its version. */
const FORMAT = "veltix bench 1";

/** How it was measured, such as rounds, sizes, and connections. */
export type Settings = Readonly<Record<string, unknown>>;

/** A run. */
export interface BenchFile {
  readonly format: typeof FORMAT;
  /** The version of the package. */
  readonly veltix: string;
  /** When it began, by ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  /** The server that was measured; `null` for the package itself. */
  readonly target: { readonly address: string; readonly protocol: string } | null;
  readonly settings: Settings;
  /** True if the run was ended before it was complete. */
  readonly interrupted: boolean;
  readonly series: readonly Series[];
  /** Operations that failed, by figure and by what they said. */
  readonly errors: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What a reader of the figures needs to know. */
  readonly notes: readonly string[];
  /** The five in the form of Python's benchmark. */
  readonly python: PythonForm;
}

/** What a comparison needs of a file. */
export interface Compared {
  /** What it is called in a table: its date, or Python's version. */
  readonly title: string;
  readonly machine: string | undefined;
  /** The load of a core when the run began: from 0.5 on, other programs took a part of the machine. */
  readonly load: number;
  readonly settings: Settings;
  readonly series: readonly Series[];
}

/** Makes a run of all but its format. */
export function benchFile(file: Omit<BenchFile, "format">): BenchFile {
  return { format: FORMAT, ...file };
}

/** Returns what a comparison needs of a run. */
export function comparedOf({ date, machine, series, settings, target, veltix }: BenchFile): Compared {
  const { cores, cpu, load, os, versions } = machine;
  const place = target === null ? "" : `, ${target.address}`;
  return {
    title: date.slice(0, 16).replace("T", " "),
    machine: `veltix ${veltix} on ${versions.join(", ")}, ${cpu}, ${cores} cores, ${os}${place}`,
    load: load / cores,
    settings,
    series,
  };
}

/**
 * Checks that a file can be written before anything is measured.
 *
 * @throws {CommandError} Its folder is missing, or nobody may write there.
 */
export function checkWritable(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `Cannot save ${path}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Writes a run.
 *
 * @throws {CommandError} It cannot be written.
 */
export function saveBench(path: string, file: BenchFile): void {
  try {
    writeFileSync(path, `${JSON.stringify(file, null, 2)}\n`);
  } catch (cause) {
    throw new CommandError(ExitCode.FAILED, `Cannot save ${path}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Reads a run of ours, or one of Python's.
 *
 * @throws {CommandError} It cannot be read, or is neither.
 */
export function readBench(path: string): Compared {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  const file = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  if (file.format === FORMAT && isBench(file)) return comparedOf(file);
  if (typeof file.results === "object" && file.results !== null) {
    const results = resultsOf({ results: file.results as Readonly<Record<string, unknown>> });
    if (results.length > 0) return comparedToPython(file, results);
  }
  throw new CommandError(
    ExitCode.USAGE,
    `Cannot compare with ${path}: neither "veltix bench --save" nor Python's veltix.benchmark wrote it`,
  );
}

function isBench(file: Readonly<Record<string, unknown>>): file is BenchFile & Readonly<Record<string, unknown>> {
  const { date, machine, series, settings, target, veltix } = file as Partial<BenchFile>;
  return typeof veltix === "string" && typeof date === "string" &&
    typeof machine === "object" && machine !== null && Array.isArray(machine.versions) &&
    typeof machine.load === "number" && typeof machine.cores === "number" &&
    typeof settings === "object" && settings !== null &&
    (target === null || typeof target?.address === "string") &&
    Array.isArray(series) && series.every(isSeries);
}

function isSeries(value: unknown): value is Series {
  const { name, unit, values } = (value ?? {}) as Partial<Series>;
  return typeof name === "string" && typeof unit === "string" && Array.isArray(values) && values.length > 0 &&
    values.every((value) => Number.isFinite(value));
}

function comparedToPython(file: Readonly<Record<string, unknown>>, results: readonly PythonResult[]): Compared {
  const { python } = (file.system ?? {}) as Readonly<Record<string, unknown>>;
  return {
    title: `Python's ${file.veltix_version ?? ""}`.trim(),
    load: 0,
    machine: python === undefined ? undefined : `Python ${python}`,
    settings: {},
    // A file of Python's has medians, and no rounds.
    series: results.flatMap(figuresOf).map(({ name, unit, value }) => ({ name, unit, values: [value] })),
  };
}
