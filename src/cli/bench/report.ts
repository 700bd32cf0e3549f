/**
 * A run as text.
 *
 * @module
 */

import type { BenchFile } from "./bench_file.ts";
import { pythonTable } from "./python_form/table.ts";
import type { PythonForm } from "./python_form/records.ts";
import { written } from "./series.ts";
import { greatest, interval, least, median, ROUNDS_TO_TELL } from "./statistics.ts";
import { aligned } from "./units.ts";

/** What Python's README publishes for 3.3.0 and its asynchronous sockets, in the names of its benchmark. */
const PUBLISHED: PythonForm = {
  memory: { client_cost_avg_kb: 57 },
  latency: { avg_ms: 0.056 },
  fps: [{ players: 64, tick_rate: 64, msg_per_sec: 4_490 }],
  burst: { count: 10_000, payload_bytes: 64, send_throughput: 56_675, recv_throughput: 44_146 },
  stress: { num_clients: 100, throughput: 110_216 },
};

const PUBLISHED_NOTE =
  "* as published in the README of Python's Veltix 3.3.0: async, Python 3.14.8, another machine with 12 cores";

/** The figures as text, with a table in Python's form where one of the five was measured. */
export function reportText(file: BenchFile): string {
  const { errors, machine, notes, python, series, target, veltix } = file;
  const { cores, cpu, os, versions } = machine;
  const measured = target === null ? "itself" : `${target.address}, protocol ${target.protocol}`;
  const lines = [`veltix ${veltix} on ${versions.join(", ")}, ${cpu}, ${cores} cores, ${os}`, `measured: ${measured}`];
  const benches = Object.keys(python) as (keyof PythonForm)[];
  if (benches.length > 0) {
    const published = Object.fromEntries(benches.map((bench) => [bench, PUBLISHED[bench]])) as PythonForm;
    lines.push("", pythonTable({ veltix: python, "Python 3.3.0 *": published }), "", PUBLISHED_NOTE);
  }
  if (series.length > 0) lines.push("", seriesTable(file));
  for (const [name, messages] of Object.entries(errors)) {
    for (const [text, count] of Object.entries(messages)) lines.push("", `${name}: ${count} failed: ${text}`);
  }
  if (notes.length > 0) lines.push("", ...notes);
  return lines.join("\n");
}

/** The figures: medians with their intervals. */
function seriesTable({ series }: BenchFile): string {
  const rows = series.map(({ name, unit, values }) => {
    const range = interval(values);
    const text = (value: number): string => written(value, unit);
    return [
      name,
      text(median(values)),
      values.length < ROUNDS_TO_TELL ? "" : `${text(range.low)} … ${text(range.high)}`,
      values.length < 2 ? "" : `${text(least(values))} … ${text(greatest(values))}`,
      String(values.length),
    ];
  });
  return aligned([["figure", "median", "95 % interval", "least … greatest", "rounds"], ...rows]);
}
