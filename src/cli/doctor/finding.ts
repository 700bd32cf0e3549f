/**
 * What `doctor` finds out, a step at a time.
 *
 * @module
 */

import { failureOf } from "../failure.ts";

/** The steps, in the order in which they are made. Which of them are made depends on the address and the options. */
export type StepName =
  | "address"
  | "dns"
  | "tcp"
  | "greeting"
  | "tls"
  | "trust"
  | "websocket"
  | "origin"
  | "encryption"
  | "handshake"
  | "credentials"
  | "ping"
  | "clock";

/** What came of one step. */
export interface Finding {
  readonly step: StepName;
  /** `warning`: clients can connect, but something is not as it should be. `skipped`: there was nothing to find out. */
  readonly status: "failed" | "ok" | "skipped" | "warning";
  /** What was found, for people. */
  readonly detail: string;
  /** What to do about it. */
  readonly advice?: string | undefined;
}

/** Returns that a step went well. */
export function ok(step: StepName, detail: string): Finding {
  return { step, status: "ok", detail };
}

/** Returns that a step failed. */
export function failed(step: StepName, detail: string, advice?: string): Finding {
  return { step, status: "failed", detail, advice };
}

/** Returns that clients can connect, but something is not as it should be. */
export function warning(step: StepName, detail: string, advice?: string): Finding {
  return { step, status: "warning", detail, advice };
}

/** Returns that there was nothing to find out. */
export function skipped(step: StepName, detail: string): Finding {
  return { step, status: "skipped", detail };
}

/** Returns the text of an error without the address, which the steps name once. */
export function reasonOf(error: unknown): string {
  return failureOf(error).message.replace(/^(?:Cannot (?:connect to "[^"]*"|agree with the server))?: /, "");
}
