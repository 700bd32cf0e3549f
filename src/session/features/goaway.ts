/**
 * What a GOAWAY says: why, when coming back is worth it, how long the sender waits, and, where a server shuts a client out,
 * its words for that.
 *
 * @module
 */

import type { Refusal } from "../../errors.ts";
import { decodeJson } from "../../base/json.ts";
import { integerMember, member, type PeerObject, printable, stringMember } from "../../base/untrusted.ts";

/** How long a peer that goes away may take where it does not say, in milliseconds: the default of `drain`. */
const UNSAID_DRAIN = 5_000;
/** A peer can't ask to be left alone, or to be waited for, for more than a day, in milliseconds. */
const LONGEST = 24 * 3_600_000;
/** The most bytes of it: two texts and numbers. */
const MAX_BYTES = 4_096;

/** The words of a server that shuts a client out; each may be left out. */
export interface PartingWords {
  /** Why, for programs. */
  readonly code?: string;
  /** Why, for people. */
  readonly message?: string;
  /** Whether coming back is pointless. */
  readonly final?: boolean;
}

/** How a connection is left. */
export interface Parting extends PartingWords {
  /** How long handlers, pending requests and unsent bytes may take, in milliseconds. */
  readonly drain: number;
  /** When the peer may come back, in milliseconds. */
  readonly retryAfter?: number | undefined;
}

/** What was read. */
export interface GoAway {
  /** Why, in the peer's words. */
  readonly code: string;
  /** When it may be asked again, in milliseconds; 0 where it did not say. */
  readonly retryAfter: number;
  /** How long it waits, in milliseconds. */
  readonly drain: number;
  /** Its words, where it shuts this side out. */
  readonly refusal: Refusal | undefined;
}

/** The content of a GOAWAY; `reason` stands for a code of its own. */
export function goAwayContent(reason: string, { code, drain, final, message, retryAfter }: Parting): string {
  return JSON.stringify({ code: code ?? reason, message, final, retryAfter, drain: Math.ceil(drain) });
}

/** Reads the content of a GOAWAY; what is missing or malformed has its default. */
export function readGoAway(content: Uint8Array): GoAway {
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
