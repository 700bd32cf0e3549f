/**
 * What a file that Python's benchmark saved says.
 *
 * @module
 */

import { FIELDS, type PythonBench, type PythonResult } from "./records.ts";

/** Returns the results in a file: up to 1.9 it has an object for each benchmark, since then a list. Others are left out. */
export function resultsOf(saved: { readonly results: Readonly<Record<string, unknown>> }): PythonResult[] {
  return Object.entries(saved.results).flatMap(([name, found]) => {
    const bench = name.replace(/_\d+$/, "") as PythonBench;
    if (!Object.hasOwn(FIELDS, bench)) return [];
    const list = (Array.isArray(found) ? found : [found]) as (PythonResult["values"] | null)[];
    return list.filter((values) => typeof values === "object" && values !== null).map((values) => ({ bench, values }));
  });
}
