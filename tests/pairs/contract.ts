/**
 * What the two programs of a pair share: their message types, the names of their checks, and how a check is reported: one
 * line of JSON for each.
 *
 * @module
 */

import { bytes, json, messageTypes, text } from "@veltix/core";

/** What they say to each other. */
export const TYPES = messageTypes({
  echo: [bytes, bytes],
  add: [json<{ a: number; b: number }>(), json<number>()],
  fail: [text, text],
  who: [text, text],
  /** The answer has the metadata of the request, and how much time it had. */
  trace: [text, json<{ left: number }>()],
  /** Never answered in time. */
  stuck: [text, text],
  shout: text,
  count: json<number>(),
  /** The client tells the server what to do, and gets what came of it. */
  command: [json<Command>(), json<unknown>()],
}, { from: 300 });

/** What a client can tell the server to do. */
export type Command =
  | { readonly do: "id" | "ping" | "ask" | "shout" | "counted" | "expired" | "close" }
  | { readonly do: "reason"; readonly id: number };

/** How many messages go each way to see their order. */
export const COUNT = 10_000;

/** The client's checks, in order. */
export const CLIENT_CHECKS = [
  "handshake",
  "echo of 0 bytes",
  "echo of 1 byte",
  "echo of 64 KiB",
  "echo of 5 MiB",
  "request",
  "remote error",
  "metadata there and back",
  "deadline",
  "client pings server",
  "server pings client",
  "server asks client",
  "broadcast with except",
  "16 MiB are refused at the sender",
  "10,000 messages in order both ways",
  "a frame of 16 MiB closes with message-too-large",
  "client closes: manual here, going-away there",
  "server closes: going-away here",
] as const;

/** The server's checks, in order. */
export const SERVER_CHECKS = ["listens", "server closes: server-closed here", "nothing unexpected"] as const;

/** What became of a check. */
export interface Result {
  readonly check: string;
  readonly ok: boolean;
  readonly error?: string;
  /** Where the server listens, of its first check. */
  readonly port?: number;
}

/** Takes results. */
export type Report = (result: Result) => void;

/** Runs checks one after another, and reports each; the first that fails ends the program's work. */
export class Checks {
  /** The one that runs. */
  current = "start";
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** Runs one. */
  async run(check: string, body: () => Promise<{ port: number } | void> | void): Promise<void> {
    this.current = check;
    try {
      this.#report({ check, ok: true, ...await body() });
    } catch (error) {
      this.#report({ check, ok: false, error: (error as Error)?.stack ?? String(error) });
      throw error;
    }
  }
}
