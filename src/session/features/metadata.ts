/**
 * Implements metadata beside payloads: names and texts on messages, requests, openings of streams and answers.
 *
 * @module
 */

import { FIRST_APPLICATION_CODE, Flag, isPiece } from "../../wire/frame.ts";
import { type SplitContent, splitMetadata } from "../../wire/received_metadata.ts";
import type { Feature, FeaturePart } from "../feature.ts";

/** The feature `meta`, which has no parameters. */
export const metadata: Feature = {
  name: "meta",
  flags: Flag.META,
  offer: () => ({}),
  check(flags, code): string | undefined {
    if ((flags & Flag.META) === 0) return undefined;
    if (code < FIRST_APPLICATION_CODE) return "a system frame has no metadata";
    return isPiece(flags) ? "a piece of a stream has no metadata" : undefined;
  },
  attach(_ours, _theirs, { sender }): FeaturePart {
    sender.takesMetadata = true;
    return PART;
  },
};

const PART: FeaturePart = {
  decode: ({ content, flags }): SplitContent | undefined =>
    (flags & Flag.META) === 0 ? undefined : splitMetadata(content),
};
