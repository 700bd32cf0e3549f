/**
 * Lists the features of this library. No other module imports a feature.
 *
 * @module
 */

import type { Feature } from "../feature.ts";
import { contract } from "./contract.ts";
import { credit } from "./credit.ts";
import { goAway } from "./goaway.ts";
import { metadata } from "./metadata.ts";
import { streams } from "./streams/feature.ts";

export { contractNote } from "./contract.ts";

/** All features that are offered. */
export const FEATURES: readonly Feature[] = [credit, goAway, streams, contract, metadata];
