/**
 * Reads the values of arguments and options that are typed.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import { isPeerObject, type PeerObject } from "../base/untrusted.ts";
import { FIRST_APPLICATION_CODE } from "../wire/frame.ts";
import { CommandError, ExitCode } from "./exit_codes.ts";

/** The longest time and the largest number that can be given. */
const MOST = 0x7fffffff;

/** Reads a whole number of milliseconds from 1, for commander. */
export function milliseconds(text: string): number {
  return count(text);
}

/** Reads a whole number from 1, for commander. */
export function count(text: string): number {
  return whole(text, 1, MOST);
}

/** Reads a port, for commander; 0 stands for a free one. */
export function port(text: string): number {
  return whole(text, 0, 65_535);
}

/** Reads the code of a message type, for commander. */
export function messageCode(text: string): number {
  return whole(text, FIRST_APPLICATION_CODE, 0xffff);
}

/** Reads a number of seconds above 0, for commander. */
export function seconds(text: string): number {
  const value = /^\d*\.?\d+$/.test(text) ? Number(text) : 0;
  if (value > 0 && value * 1000 <= MOST) return value;
  throw new InvalidArgumentError("It must be a number of seconds above 0.");
}

/** Adds a value to those that were given before, for an option that can be repeated. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...before ?? [], text];
}

/** Reads JSON that was typed, or with `@FILE` that is in a file. */
export function jsonOf(what: string, text: string): unknown {
  const source = text.startsWith("@") ? readText(text.slice(1)) : text;
  try {
    return JSON.parse(source);
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `${what} must be JSON: ${(cause as Error).message}`, { cause });
  }
}

/** Reads a JSON object from a file, whose members are options of a Server or a Client. */
export function configOf(path: string | undefined): PeerObject {
  if (path === undefined) return {};
  const value = jsonOf(`The configuration in ${path}`, `@${path}`);
  if (isPeerObject(value)) return value;
  throw new CommandError(ExitCode.USAGE, `The configuration in ${path} must be a JSON object`);
}

/** Reads a text file that an option names. */
export function readText(path: string): string;
export function readText(path: string | undefined): string | undefined;
export function readText(path: string | undefined): string | undefined {
  return path === undefined ? undefined : reading(path, () => readFileSync(path, "utf8"));
}

/** Reads a file that an option names. */
export function readBytes(path: string): Uint8Array {
  return reading(path, () => new Uint8Array(readFileSync(path)));
}

function reading<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    if ((cause as Error).name === "NotCapable") throw cause;
    throw new CommandError(ExitCode.USAGE, `Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}

function whole(text: string, least: number, most: number): number {
  const value = /^(?:\d+|0x[\da-f]+)$/i.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
}
