/**
 * What is tried in each browser, against each runtime.
 *
 * @module
 */

import type { Stage, Way } from "./stage.ts";

/** Something that must work. */
export interface Scenario {
  /** A sentence about behaviour. */
  readonly name: string;
  /** The ways by which it is tried. */
  readonly ways: readonly Way[];
  /** Those by which it is tried among all tests, too, because that takes a moment only. @default none */
  readonly quick?: readonly Way[];
  /** True if it takes minutes, and is tried only when that is asked for. */
  readonly long?: boolean;
  /** Throws if it does not work. */
  run(stage: Stage, way: Way): Promise<void>;
}
