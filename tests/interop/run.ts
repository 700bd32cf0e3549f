/**
 * Runs the checks on the runtime it is started with, tells of each as one line of JSON, and ends with the line `done`. What to
 * check is one JSON argument, an `Order`.
 *
 * @module
 */

import { VeltixError } from "@veltix/core";
import process from "node:process";
import { limited } from "../processes/waiting.ts";
import { CLIENT_CHECKS, pythonServer } from "./as_client.ts";
import { pythonClients, SERVER_CHECKS } from "./as_server.ts";
import type { Check } from "./check.ts";
import { killAtRandom } from "./kills.ts";
import { type Release, releaseNamed } from "./releases.ts";

/** How long one check may take, in milliseconds. */
const CHECK_LIMIT = 90_000;

/** Which side is Python's. */
export type Role = "server" | "client";

/** What one process is to check. */
export interface Order {
  readonly releases: readonly string[];
  readonly roles: readonly Role[];
  /** How many messages the bulk checks send each way. */
  readonly messages: number;
  /** How many Python programs to kill, and where the moments come from. */
  readonly kills: number;
  readonly seed: number;
}

/** What came of one check. */
export interface Outcome {
  readonly release: string;
  /** What Python was. */
  readonly role: Role | "both";
  readonly check: string;
  readonly state: "ok" | "failed" | "none";
  /** What failed, or why there is nothing to check. */
  readonly note?: string;
  readonly milliseconds: number;
}

/** Runs all checks of one release in one role; tells of each as it is done. */
export async function runChecks(
  release: Release,
  role: Role,
  messages: number,
  tell: (outcome: Outcome) => void,
): Promise<void> {
  if (role === "server") {
    await using context = await pythonServer(release, messages);
    await runAll(release, role, CLIENT_CHECKS, context, tell);
  } else {
    await using context = await pythonClients(release, messages);
    await runAll(release, role, SERVER_CHECKS, context, tell);
  }
}

async function runAll<Context extends { readonly errors: unknown[] }>(
  release: Release,
  role: Role,
  checks: readonly Check<Context>[],
  context: Context,
  tell: (outcome: Outcome) => void,
): Promise<void> {
  for (const { name, concerns, without, run } of checks) {
    if (concerns?.(release) === false) continue;
    const about = { release: release.name, role, check: name };
    const note = without?.(release);
    if (note !== undefined) {
      tell({ ...about, state: "none", note, milliseconds: 0 });
      continue;
    }
    const start = performance.now();
    const spent = (): number => Math.round(performance.now() - start);
    try {
      await limited(name, CHECK_LIMIT, run(context));
      const errors = context.errors.splice(0).filter((error) => !((release.tears || release.loses) && isSkip(error)));
      if (errors.length > 0) throw new AggregateError(errors, `an error event: ${errors[0]}`);
      tell({ ...about, state: "ok", milliseconds: spent() });
    } catch (error) {
      tell({ ...about, state: "failed", note: textOf(error), milliseconds: spent() });
    }
  }
}

/** What is said of a torn stream that was put together again. */
function isSkip(error: unknown): boolean {
  return error instanceof VeltixError && error.code === "corrupt" && error.message.startsWith("Skipped");
}

if (import.meta.main) {
  const { releases, roles, messages, kills, seed } = JSON.parse(process.argv[2]) as Order;
  const tell = (outcome: Outcome): void => console.log(JSON.stringify(outcome));
  const chosen = releases.map(releaseNamed);
  for (const release of chosen) {
    for (const role of roles) {
      // What cannot even begin has not been checked.
      await runChecks(release, role, messages, tell).catch((error) => {
        tell({ release: release.name, role, check: "start", state: "failed", note: textOf(error), milliseconds: 0 });
      });
    }
  }
  if (kills > 0) {
    const start = performance.now();
    const outcome = await killAtRandom(chosen, kills, seed).then(
      () => ({ state: "ok" as const }),
      (error) => ({ state: "failed" as const, note: textOf(error) }),
    );
    const milliseconds = Math.round(performance.now() - start);
    tell({ release: "all", role: "both", check: "kills", ...outcome, milliseconds });
  }
  // Whoever started this sees whether it ends by itself.
  console.log("done");
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
