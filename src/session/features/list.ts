/**
 * Lists the features of this library. No other module imports a feature.
 *
 * @module
 */

import { type Feature, FeatureSet, type FeatureTerms } from "../feature.ts";
import { contract } from "./contract.ts";
import { credit } from "./credit.ts";
import { goAway } from "./goaway.ts";
import { metadata } from "./metadata.ts";
import { streams } from "./streams/feature.ts";

export { contractNote } from "./contract.ts";

/**
 * Returns the features of a Server or a Client. Payloads pass through them in this order when they are sent, so the one that
 * compresses them comes last. Features that an option asks for are imported when they are needed.
 */
export async function featuresOf({ compression: terms, limits, resume: kept }: FeatureTerms): Promise<Feature[]> {
  const features: Feature[] = [credit, goAway, streams, contract, metadata];
  if (kept !== undefined) {
    const { resume } = await import("./resume.ts");
    features.push(resume(kept));
  }
  if (terms !== undefined) {
    const { compression } = await import("./compression/compression.ts");
    features.push(compression(terms, limits.maxMessageSize));
  }
  return features;
}

/**
 * Returns what a Server or a Client offers.
 *
 * @param extra Features in addition to those of the library.
 * @throws {TypeError} What a {@linkcode FeatureSet} throws.
 */
export async function featureSetOf(terms: FeatureTerms, extra: readonly Feature[]): Promise<FeatureSet> {
  return new FeatureSet([...await featuresOf(terms), ...extra], terms);
}
