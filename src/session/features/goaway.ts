/**
 * The orderly end: GOAWAY asks the peer to start nothing new and to leave. Its content says why, when coming back is worth
 * it, how long the sender waits, and, where a server shuts a client out, its words for that.
 *
 * @module
 */

import { SystemCode } from "../../wire/frame.ts";
import type { Feature, FeaturePart } from "../feature.ts";
import type { Parting, PeerParting } from "../parting.ts";
import { decodeJson } from "../../base/json.ts";
import { integerMember, member, type PeerObject, printable, stringMember } from "../../base/untrusted.ts";

/** How long a peer that goes away may take where it does not say, in milliseconds: the default of `drain`. */
const UNSAID_DRAIN = 5_000;
/** A peer can't ask to be left alone, or to be waited for, for more than a day, in milliseconds. */
const LONGEST = 24 * 3_600_000;
/** The most bytes of it: two texts and numbers. */
const MAX_BYTES = 4_096;

/** The feature `goaway`: a side that is told finishes and half-closes, so that the other can wait for that. */
export const goAway: Feature = {
  name: "goaway",
  codes: [SystemCode.GOAWAY],
  offer: () => ({}),
  attach: () => PART,
};

const PART: FeaturePart = {
  control(frame, host): boolean {
    if (frame.code !== SystemCode.GOAWAY || !host.leave(readGoAway(frame.content))) return false;
    host.inbox.permits(frame);
    return true;
  },
  // It comes after all messages, so that nothing but answers follows it.
  leave(reason, how, host): void {
    host.sender.control("goaway", SystemCode.GOAWAY, 0, goAwayContent(reason, how), true);
  },
};

/** The content of a GOAWAY; `reason` stands for a code of its own. */
function goAwayContent(reason: string, { code, drain, final, message, retryAfter }: Parting): string {
  return JSON.stringify({ code: code ?? reason, message, final, retryAfter, drain: Math.ceil(drain) });
}

/** Reads the content of a GOAWAY; what is missing or malformed has its default. */
function readGoAway(content: Uint8Array): PeerParting {
  let words: PeerObject = {};
  try {
    words = (decodeJson(content, { maxBytes: MAX_BYTES }) ?? {}) as PeerObject;
  } catch {
    // It goes away all the same.
  }
  if (typeof words !== "object") words = {};
  const code = printable(stringMember(words, "code") ?? "no reason given");
  const retryAfter = integerMember(words, "retryAfter", 0, LONGEST);
  const message = stringMember(words, "message");
  const final = member(words, "final") === true;
  const drain = Math.min(integerMember(words, "drain", 1, 0x7fffffff) ?? UNSAID_DRAIN, LONGEST);
  const refusal = message === undefined && !final
    ? undefined
    : { code, message: printable(message ?? "no reason given"), retryAfter, final };
  return { code, retryAfter: retryAfter ?? 0, drain, refusal };
}
