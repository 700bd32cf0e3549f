/**
 * Lists the features of this library. No other module imports a feature.
 *
 * @module
 */

import type { Feature, FeatureTerms } from "../feature.ts";
import { compression } from "./compression/compression.ts";
import { contract } from "./contract.ts";
import { credit } from "./credit.ts";
import { goAway } from "./goaway.ts";
import { metadata } from "./metadata.ts";
import { resume } from "./resume.ts";
import { streams } from "./streams/feature.ts";

export { contractNote } from "./contract.ts";

/**
 * Returns the features of a Server or a Client. Payloads pass through them in this order when they are sent, so the one that
 * compresses them comes last.
 */
export function featuresOf({ compression: terms, limits, resume: kept }: FeatureTerms): readonly Feature[] {
  const features: Feature[] = [credit, goAway, streams, contract, metadata];
  if (kept !== undefined) features.push(resume(kept));
  if (terms !== undefined) features.push(compression(terms, limits.maxMessageSize));
  return features;
}
