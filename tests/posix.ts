/**
 * Tests of what Windows does not have. They are skipped there, so that it shows in the counts.
 *
 * @module
 */

import { describe, it } from "@std/testing/bdd";
import process from "node:process";

/** Whether sockets have paths of files, and programs hear signals. On Windows a signal ends a program at once. */
export const POSIX: boolean = process.platform !== "win32";

/** A test of a socket that has the path of a file, or of a signal. */
export const itOnPosix: typeof it.skip = POSIX ? it : it.skip;

/** Several of them. */
export const describeOnPosix: typeof describe.skip = POSIX ? describe : describe.skip;
