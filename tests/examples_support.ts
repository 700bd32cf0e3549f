/**
 * Starts the programs of the examples, as a user does on this runtime.
 *
 * @module
 */

import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { Child } from "./processes/child.ts";

/** A program of the examples. Disposing of it kills it, if it still runs. */
export class Program extends Child {
  /**
   * Starts a program on this runtime.
   *
   * @param script Its path below `examples`.
   * @param args Its arguments.
   */
  constructor(script: string, ...args: string[]) {
    const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
    super(process.execPath, [...flags, `examples/${script}`, ...args], ROOT);
  }
}

/** The exit code of a program that {@linkcode Program.interrupt} has ended gently. */
export const INTERRUPTED: number | null = "Deno" in globalThis ? null : 0;
