/**
 * Implements streams: requests that have pieces of bytes in both directions before they are answered. Each direction has
 * a window of its own, so that a stream that nobody reads holds up nothing else.
 *
 * @module
 */

import { integerMember, type PeerObject } from "../../../base/untrusted.ts";
import { FIRST_APPLICATION_CODE, Flag, SystemCode } from "../../../wire/frame.ts";
import type { Feature } from "../../feature.ts";
import { StreamsPart } from "./part.ts";
import type { StreamTerms } from "./table.ts";

/** What a piece costs at least, in bytes. It limits how many small pieces wait. */
const LEAST = 256;

/** The feature `streams`. Its parameters are {@linkcode StreamTerms}. */
export const streams: Feature = {
  name: "streams",
  flags: Flag.STREAM | Flag.END,
  codes: [SystemCode.WINDOW, SystemCode.STOP],
  offer({ limits: { maxStreams, streamWindow } }): PeerObject | undefined {
    return { window: streamWindow, max: maxStreams, least: LEAST };
  },
  check(flags, code, id): string | true | undefined {
    if (code < FIRST_APPLICATION_CODE) {
      if ((flags & (Flag.STREAM | Flag.END)) !== 0) return "a system frame has a flag of streams";
      if (code !== SystemCode.WINDOW && code !== SystemCode.STOP) return undefined;
      if ((flags & ~Flag.REPLY) !== 0) return "WINDOW or STOP has a flag other than REPLY";
      return id === 0 ? "WINDOW or STOP has the id 0" : true;
    }
    if ((flags & Flag.STREAM) === 0) return (flags & Flag.END) === 0 ? undefined : "END is set without STREAM";
    if ((flags & Flag.ERROR) !== 0) return "STREAM and ERROR are both set";
    return id === 0 ? "a frame of a stream has the id 0" : true;
  },
  attach(ours, theirs, host): StreamsPart {
    const own = ours as unknown as StreamTerms;
    const terms = termsOf(theirs);
    // Most peers have the same terms. An idle connection then keeps no object of its own for them.
    const same = terms.window === own.window && terms.max === own.max && terms.least === own.least;
    return new StreamsPart(own, same ? own : terms, host);
  },
};

/** Returns the terms that a peer offered. A parameter that is missing or malformed has its default. */
function termsOf(parameters: PeerObject): StreamTerms {
  const window = integerMember(parameters, "window", 1, 0x7fffffff) ?? 65_536;
  return {
    window,
    max: integerMember(parameters, "max", 0, 0xffffffff) ?? 128,
    least: integerMember(parameters, "least", 0, Math.floor(window / 4)) ?? Math.min(LEAST, Math.floor(window / 4)),
  };
}
