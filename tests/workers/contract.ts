/**
 * What the tests of worker routes and their workers have in common.
 *
 * @module
 */

// Not all of `mod.ts`, as each thread of each test loads it anew; `note.ts` imports what a program's worker would.
import { bytes, json, text } from "../../src/message/codecs.ts";
import { messageType } from "../../src/message/message_type.ts";

/** What to do. */
export interface Job {
  readonly do:
    | "abort"
    | "connect"
    | "double"
    | "exit"
    | "look"
    | "loop"
    | "meta"
    | "nothing"
    | "reject"
    | "stick"
    | "thread"
    | "throw"
    | "throw later"
    | "wait";
  readonly value?: unknown;
}

export const JOB = messageType(200, "job", json<Job>(), json<unknown>());
export const BLOB = messageType(201, "blob", bytes, bytes);
export const NOTE = messageType(202, "note", text);

/** Lets this thread stand still, without a turn, until it sees what another one did; meanwhile it leaves the core to others. */
export function standStillUntil(seen: () => boolean): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (!seen()) Atomics.wait(never, 0, 0, 2);
}
