/**
 * Sessions survive their connections: whatever cuts them, everything comes once and in order. The parts are picked with
 * `--part`.
 *
 * @module
 */

import type { Context, Scenario } from "./scenario.ts";
import { load } from "./resume/load.ts";

/** See the module. */
export const resume: Scenario = {
  name: "resume",
  limit: { short: 120_000, full: 1_800_000 },
  run: (context: Context) => load(context, "node"),
};
