/**
 * The process of a browser, which never outlives this one.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { limited, sleep } from "../processes/waiting.ts";

/** How long a browser may take to start, and to end when it was asked to, in milliseconds. */
const START_LIMIT = 40_000;
const END_LIMIT = 5_000;

/**
 * Starts a program in a process group of its own, and kills the whole group at the end of standard input: when this
 * process closes it, or is killed itself.
 */
const GUARD = '"$@" </dev/null & cat >/dev/null; kill -9 0';

/** A browser that runs, with a profile of its own. */
export interface Program {
  /** The address for commands, which it has printed. */
  readonly address: string;
  /** Asks it to end by `ask`, kills what is left, and removes its profile. Never rejects. */
  end(ask: () => Promise<unknown>): Promise<void>;
}

/**
 * Starts a browser, and waits until it takes commands.
 *
 * @param path The program.
 * @param args Returns its arguments, given the folder of its profile.
 * @param listening Matches the line that has the address for commands.
 */
export async function startProgram(
  path: string,
  args: (profile: string) => readonly string[],
  listening: RegExp,
): Promise<Program> {
  const profile = mkdtempSync(join(tmpdir(), "veltix-profile-"));
  const child = spawn("sh", ["-c", GUARD, "sh", path, ...args(profile)], {
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
    // What a browser keeps beside its profile is no business of the user's own.
    env: {
      ...process.env,
      HOME: profile,
      XDG_CONFIG_HOME: profile,
      XDG_CACHE_HOME: profile,
      DBUS_SESSION_BUS_ADDRESS: "",
    },
  });
  const gone = new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("close", () => resolve());
  });
  const end = async (ask: () => Promise<unknown>): Promise<void> => {
    await limited("The end of the browser", END_LIMIT, ask()).catch(() => {});
    child.stdin.end();
    await gone;
    await removed(profile);
  };
  let printed = "";
  const address = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => reject(new Error(`The browser ended: ${printed.trim().slice(-2_000)}`)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      printed = (printed + text).slice(-20_000);
      const found = listening.exec(printed)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  try {
    return { address: await limited(`The start of ${path}`, START_LIMIT, address), end };
  } catch (error) {
    await end(() => Promise.resolve());
    throw error;
  }
}

/** Removes a profile. A process that was killed may have a file of it for a moment longer. */
async function removed(profile: string): Promise<void> {
  for (let left = 20;; left--) {
    try {
      rmSync(profile, { recursive: true, force: true });
      return;
    } catch (error) {
      if (left === 0) throw error;
      await sleep(50);
    }
  }
}
