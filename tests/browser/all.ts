/**
 * All scenarios.
 *
 * @module
 */

import { CUTS } from "./cuts.ts";
import { LIVES } from "./lives.ts";
import { PRESSURE } from "./pressure.ts";
import type { Scenario } from "./scenario.ts";
import { TALK } from "./talk.ts";
import { THROTTLED } from "./throttled.ts";

/** All scenarios, in the order in which they are run. */
export const SCENARIOS: readonly Scenario[] = [...TALK, ...CUTS, ...LIVES, ...PRESSURE, ...THROTTLED];
