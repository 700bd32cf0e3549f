/**
 * All scenarios in one browser, against the runtime that runs this program. Prints one line of JSON for each.
 *
 *     deno run -A tests/browser/run.ts BROWSER [--long] [--only part of a name]
 *
 * @module
 */

import { parseArgs } from "node:util";
import { SCENARIOS } from "./all.ts";
import { BROWSER_NAMES, findBrowsers } from "./find.ts";
import { Stage } from "./stage.ts";

/** What became of a scenario. */
export interface Outcome {
  /** The browser and its version. */
  readonly browser: string;
  readonly scenario: string;
  readonly way: string;
  readonly milliseconds: number;
  /** Why it failed, if it did. */
  readonly error?: string;
}

if (import.meta.main) {
  const { positionals: [name], values: { long: lasting = false, only = "" } } = parseArgs({
    allowPositionals: true,
    options: { long: { type: "boolean" }, only: { type: "string" } },
  });
  const [found] = findBrowsers(BROWSER_NAMES.filter((known) => known === name));
  if (found === undefined) throw new TypeError(`Unknown browser "${name}": there are ${BROWSER_NAMES.join(", ")}`);
  await using stage = await Stage.set(found);
  for (const scenario of SCENARIOS.filter(({ long, name }) => name.includes(only) && (lasting || !long))) {
    for (const way of scenario.ways) {
      const start = performance.now();
      const error = await scenario.run(stage, way).then(() => undefined, (error) => String(error?.stack ?? error));
      const milliseconds = Math.round(performance.now() - start);
      const { version: browser } = stage.browser;
      const outcome: Outcome = { browser, scenario: scenario.name, way, milliseconds, error };
      console.log(JSON.stringify(outcome));
    }
  }
}
