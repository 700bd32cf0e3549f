/**
 * Formats the lines of a log: `[14:23:45.123] INFO  [server.ts:45] Server listening on 0.0.0.0:8080`, as Python's
 * `veltix` writes them.
 *
 * What is logged often comes from outside. It must not pass for a line of its own or command the terminal. Further
 * lines of an entry are therefore indented by four spaces or more, and control characters are shown as escapes.
 *
 * @module
 */

import { getTextFormatter, type LogRecord, sanitizeControlSequences, type TextFormatter } from "@logtape/logtape";
import { baseName } from "./caller.ts";
import { LEVEL_STYLES, type LogLevel } from "./levels.ts";

/** What a line shows besides the message. */
export interface LineOptions {
  readonly colors: boolean;
  readonly timestamp: boolean;
  readonly level: boolean;
  readonly caller: boolean;
}

/** A record of LogTape with this package's own level. */
export interface LogEntry extends LogRecord {
  readonly properties: { readonly level: LogLevel };
}

type Inspect = (value: unknown, options?: { colors?: boolean }) => string;

const RESET = "\x1b[0m";
const INDENT = "\n    ";
const ESCAPE_ALL = { sgr: "escape", newlines: "escape" } as const;
/**
 * Matches line and paragraph separators, characters that change the direction of text or are invisible, and halves of
 * surrogate pairs. None of them are control characters by their class. Joiners are left alone, because scripts and
 * emoji need them.
 */
const DECEPTIVE = /(?![\u200c\u200d])[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** The most characters of an error's text that are shown. */
const MAX_MESSAGE = 10_000;
/** How many causes of causes are shown, and how many errors of an `AggregateError`. */
const MAX_NESTED = 8;

/** Returns whether a value is an error. Never throws, not even for a proxy that does. */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

/** Returns the function that formats an entry, its last line break included. Its times are local. */
export function lineFormatter({ colors, timestamp, level, caller }: LineOptions): TextFormatter {
  return getTextFormatter({
    timestamp: timestamp ? "time" : "none",
    timeZone: null,
    sanitize: ESCAPE_ALL,
    sourceLocation: caller && (({ file, line }) => `${baseName(file)}:${line}`),
    value: renderValue,
    format({ timestamp, message, sourceLocation, record }): string {
      const { label, color } = LEVEL_STYLES[(record as LogEntry).properties.level];
      let line = timestamp ? `[${timestamp}] ` : "";
      if (level) line += `${label} `;
      if (sourceLocation) line += `[${sourceLocation}] `;
      line += message.replace(DECEPTIVE, escaped);
      return colors ? `${color}${line}${RESET}` : line;
    },
  });
}

/**
 * Formats a value after the message: on the same line, or an error below it. Never throws, whatever the value's own
 * methods do.
 */
function renderValue(value: unknown, inspect: Inspect): string {
  try {
    if (isError(value)) return renderError(value);
    if (typeof value === "string") return ` ${oneLine(value)}`;
    return ` ${inspect(value, { colors: false }).split(/\r?\n/).map(oneLine).join(INDENT)}`;
  } catch {
    return " (a value that cannot be shown)";
  }
}

/** Formats an error with its stack, then what caused it. */
function renderError(error: Error, prefix: string = "", depth: number = 0): string {
  const { name, message, stack, cause, code, errors } = error as Error & { code?: unknown; errors?: unknown };
  const tag = typeof code === "string" ? ` [${code}]` : "";
  let text = INDENT + oneLine(`${prefix}${name}${tag}${message === "" ? "" : ": "}${clipped(message)}`);
  for (const frame of framesOf(stack, message)) text += `${INDENT}    ${oneLine(frame)}`;
  const nested: [prefix: string, error: unknown][] = Array.isArray(errors)
    ? errors.slice(0, MAX_NESTED).map((one, index) => [`Error ${index + 1} of ${errors.length}: `, one])
    : [];
  if (cause !== undefined) nested.push(["Caused by: ", cause]);
  if (depth >= MAX_NESTED) return text;
  for (const [prefix, one] of nested) {
    text += isError(one) ? renderError(one, prefix, depth + 1) : INDENT + oneLine(`${prefix}${clipped(String(one))}`);
  }
  return text;
}

/** Returns the lines of a stack after the message. The message may contain what looks like such lines. */
function framesOf(stack: unknown, message: string): string[] {
  if (typeof stack !== "string") return [];
  const at = stack.indexOf(message);
  const rest = at < 0 ? stack : stack.slice(at + message.length);
  return rest.split("\n").map((line) => line.trim()).filter((line) => line.startsWith("at "));
}

/** Shortens a text that may quote anything, at any length. */
function clipped(text: string): string {
  const more = text.length - MAX_MESSAGE;
  return more <= 0 ? text : `${text.slice(0, MAX_MESSAGE)}… (${more} more characters)`;
}

function escaped(char: string): string {
  const code = char.codePointAt(0)!.toString(16);
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
}

function oneLine(text: string): string {
  return sanitizeControlSequences(text, ESCAPE_ALL);
}
