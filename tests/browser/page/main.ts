/**
 * The program of the pages. The test calls its functions by name, with arguments and results as JSON.
 *
 * @module
 */

import { CALLS } from "./calls.ts";

/** Calls a function of the page. Resolves with JSON that has its result as `value`, or what it threw as `error`. */
async function veltix(name: keyof typeof CALLS, args: never[]): Promise<string> {
  try {
    const call = CALLS[name] as (...args: never[]) => unknown;
    return JSON.stringify({ value: await call(...args) ?? null });
  } catch (error) {
    return JSON.stringify({ error: (error as Error)?.stack ?? String(error) });
  }
}

Object.assign(globalThis, { veltix });
