/**
 * Results in Python's form as text: a column for each subject, a row for each field.
 *
 * @module
 */

import { aligned } from "../units.ts";
import { FIELDS, type PythonBench, type PythonForm } from "./records.ts";

/** The table; empty without results. */
export function pythonTable(results: Readonly<Record<string, PythonForm>>): string {
  const subjects = Object.keys(results);
  const rows = (Object.keys(FIELDS) as PythonBench[]).flatMap((bench) => rowsOf(bench, Object.values(results)));
  return rows.length === 0 ? "" : aligned([["benchmark", "field", ...subjects], ...rows]);
}

function rowsOf(bench: PythonBench, forms: readonly PythonForm[]): string[][] {
  if (bench !== "fps") return fieldRows(bench, bench, forms.map((form) => form[bench]));
  const games = new Set(forms.flatMap(({ fps }) => fps?.map(({ players }) => players) ?? []));
  return [...games].flatMap((players) => {
    const values = forms.map(({ fps }) => fps?.find((game) => game.players === players));
    return fieldRows(bench, `fps ${players}`, values);
  });
}

function fieldRows(
  bench: PythonBench,
  title: string,
  columns: readonly (Readonly<Record<string, unknown>> | undefined)[],
): string[][] {
  if (columns.every((values) => values === undefined)) return [];
  return [...Object.keys(FIELDS[bench]), "backend"].map((field) => [
    title,
    field,
    ...columns.map((values) => text(values?.[field])),
  ]);
}

function text(value: unknown): string {
  if (value === undefined) return "–";
  return typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 4 }) : String(value);
}
