/**
 * Implements the orderly end: GOAWAY asks the peer to start nothing new and to leave. Its content says why, when
 * connecting again is worthwhile, and how long the sender waits. A server that shuts a client out adds a message.
 *
 * @module
 */

import { SystemCode } from "../../wire/frame.ts";
import type { Feature, FeaturePart } from "../feature.ts";
import type { Parting, PeerParting } from "../parting.ts";
import { decodeJson } from "../../base/json.ts";
import { integerMember, member, type PeerObject, printable, stringMember } from "../../base/untrusted.ts";

/** The time that a peer waits if its GOAWAY does not say, in milliseconds: the default of `drain`. */
const UNSAID_DRAIN = 5_000;
/** The largest `retryAfter` and `drain` that a peer can ask for, in milliseconds: one day. */
const LONGEST = 24 * 3_600_000;
/** The most bytes of the content of a GOAWAY, which holds two texts and a few numbers. */
const MAX_BYTES = 4_096;

/** The feature `goaway`: a side that receives GOAWAY finishes and half-closes, so that the other can wait for that. */
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
  // GOAWAY is sent after all messages, so that nothing but answers follows it.
  leave(reason, how, host): void {
    host.sender.control("goaway", SystemCode.GOAWAY, 0, goAwayContent(reason, how), true);
  },
};

/** Returns the content of a GOAWAY. Its `code` defaults to `reason`. */
function goAwayContent(reason: string, { code, drain, final, message, retryAfter }: Parting): string {
  return JSON.stringify({ code: code ?? reason, message, final, retryAfter, drain: Math.ceil(drain) });
}

/** Reads the content of a GOAWAY. A member that is missing or malformed has its default. */
function readGoAway(content: Uint8Array): PeerParting {
  let words: PeerObject = {};
  try {
    words = (decodeJson(content, { maxBytes: MAX_BYTES }) ?? {}) as PeerObject;
  } catch {
    // The peer goes away even if its reason cannot be read.
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
