/**
 * What the tests of the logger share.
 *
 * @module
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogStream } from "@veltix/core/logger";

/** A stream that keeps what it gets. */
export class Kept implements LogStream {
  readonly isTTY: boolean | undefined;
  text = "";

  constructor(isTTY?: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }

  /** The lines, without the last break. */
  get lines(): string[] {
    return this.text === "" ? [] : this.text.replace(/\n$/, "").split("\n");
  }
}

/** A time, and how a line shows it wherever this runs. */
export const NOON: number = new Date(2026, 0, 31, 4, 3, 2, 1).getTime();
export const NOON_TEXT = "04:03:02.001";

/** Runs `fn` with a clock that stands still. */
export function atNoon(fn: () => void): void {
  const { now } = Date;
  Date.now = () => NOON;
  try {
    fn();
  } finally {
    Date.now = now;
  }
}

/** Runs `fn` and returns what it said on the console meanwhile, each line with the method's name before it. */
export async function onConsole(fn: () => void | Promise<void>): Promise<string[]> {
  const said: string[] = [];
  const names = ["debug", "info", "log", "warn", "error"] as const;
  const methods = names.map((name) => console[name]);
  for (const name of names) console[name] = (...data: unknown[]) => void said.push(`${name}: ${data.join(" | ")}`);
  try {
    await fn();
  } finally {
    names.forEach((name, index) => console[name] = methods[index]);
  }
  return said;
}

/** Runs `fn` with a new folder, which is gone afterwards. */
export async function inFolder(fn: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "veltix-log-"));
  try {
    await fn(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The files of a folder with their text. */
export function filesOf(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).sort().map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}
