/**
 * Writes the log lines of a Server or a Client.
 *
 * A part of any line may come from a peer. So every line is made safe to display before a logger gets it. For an error
 * that a peer causes, the logger gets only the text, without a stack.
 *
 * @module
 */

import { show } from "../base/checks.ts";
import { HandshakeError, ProtocolError, RemoteError, type VeltixError } from "../errors.ts";
import { isThenable } from "../base/thenable.ts";
import { UnreadableError } from "../base/unreadable.ts";
import { excerpt, oneLine } from "../base/untrusted.ts";

/**
 * A logger: anything with these methods, such as `console`. The default writes warnings and errors only.
 *
 * The message is always a single line without control characters. If a peer caused the line, there is only a message.
 * For a failure of the program, the value that was thrown is passed as data, unchanged. Its text may contain what a
 * peer wrote.
 *
 * @category Options
 */
export interface Log {
  /**
   * Logs each frame that is sent or received. Called only if the `level` of the logger is `"trace"` when the Server or
   * Client is created. Otherwise it would be called for each message of a logger such as `console`, whose `trace`
   * prints a stack.
   */
  trace?(message: string, ...data: unknown[]): void;
  /** The lowest level that the logger writes, if it has one. Only `"trace"` makes a difference. */
  readonly level?: unknown;
  /** Logs what helps to find a fault, such as the clients that connect, leave and are refused. */
  debug?(message: string, ...data: unknown[]): void;
  /** Logs what an operator wants to know, such as that a server listens or is closed. */
  info?(message: string, ...data: unknown[]): void;
  /** Logs something that went wrong and was handled. */
  warn(message: string, ...data: unknown[]): void;
  /** Logs a failure. */
  error(message: string, ...data: unknown[]): void;
}

/** The most characters of an error's message in a line. No message of the library is longer. */
const MOST = 2_000;
/** The most nested causes that the default logger writes. */
const MAX_CAUSES = 8;
const INDENT = "\n    ";

/** The default logger. It looks up the console's methods with each line, as a program may have replaced them. */
export const CONSOLE: Log = {
  warn: (message, ...data) => console.warn(consoleText(message, data)),
  error: (message, ...data) => console.error(consoleText(message, data)),
};

/** Returns whether an error is about what a peer sent, so that its stack would not help. Never throws. */
export function isPeerFault(error: unknown): error is VeltixError {
  try {
    return error instanceof ProtocolError || error instanceof UnreadableError || error instanceof HandshakeError ||
      error instanceof RemoteError;
  } catch {
    // `instanceof` throws for some proxies.
    return false;
  }
}

/** Writes a line about an error. Errors of the logger are ignored. */
export function writeLine(log: Log, level: "warn" | "error", error: unknown): void {
  if (isPeerFault(error)) guarded(() => log[level](faultText(error)));
  else guarded(() => log[level](messageOf(error), error));
}

/** Writes a line about what happens. `text` is called only if the logger has the method for it. */
export function writeNote(log: Log, level: "trace" | "debug" | "info" | "warn" | "error", text: () => string): void {
  if (log[level] !== undefined) guarded(() => log[level]!(clipped(text())));
}

/** Returns the line about an error that a peer caused. */
function faultText(error: VeltixError): string {
  if (!(error instanceof RemoteError)) return clipped(error.message);
  return `The peer answered with an error: ${excerpt(error.message)} (${excerpt(error.code)})`;
}

/** Returns the line about any value that was thrown. */
function messageOf(error: unknown): string {
  return clipped(error instanceof Error ? String(error.message) : show(error));
}

/** Returns a text as one line of limited length. */
function clipped(text: string): string {
  const more = text.length - MOST;
  return oneLine(more <= 0 ? text : `${text.slice(0, MOST)}… (${more} more characters)`);
}

/**
 * Returns a line, followed by the value that was thrown. The console itself would print that value unchanged, with what
 * a peer may have written.
 */
function consoleText(message: string, [error]: readonly unknown[]): string {
  try {
    if (error instanceof Error) return stackText(error, 0);
    if (typeof error === "object" && error !== null) return `${message}: ${clipped(JSON.stringify(error))}`;
  } catch {
    // Anything can be thrown, even an object whose members cannot be read.
  }
  return message;
}

/**
 * Returns an error with its stack and its causes. The frames of its stack are indented more than the lines of its
 * message, so that a message cannot imitate them.
 */
function stackText(error: Error, depth: number): string {
  const { name, message, stack, cause, code } = error as Error & { readonly code?: unknown };
  const tag = typeof code === "string" ? ` [${excerpt(code)}]` : "";
  const lines = String(message).slice(0, MOST).split("\n").map((line) => oneLine(line.trim()));
  let text = `${excerpt(String(name))}${tag}: ${lines.join(INDENT)}`;
  if (!isPeerFault(error)) {
    for (const frame of framesOf(stack, String(message))) text += `${INDENT}    ${oneLine(frame)}`;
  }
  if (cause === undefined || depth === MAX_CAUSES) return text;
  const below = cause instanceof Error ? stackText(cause, depth + 1) : messageOf(cause);
  return `${text}${INDENT}Caused by: ${below}`;
}

/** Returns the frames of a stack. The message before them is skipped, as its lines may look like frames. */
function framesOf(stack: unknown, message: string): string[] {
  if (typeof stack !== "string") return [];
  const at = stack.indexOf(message);
  const rest = at < 0 ? stack : stack.slice(at + message.length);
  return rest.split("\n").map((line) => line.trim()).filter((line) => line.startsWith("at "));
}

/** Calls a logger, and ignores its errors. */
function guarded(log: () => unknown): void {
  try {
    const result = log();
    if (isThenable(result)) Promise.resolve(result).then(undefined, () => {});
  } catch {
    // There is no other place to report it.
  }
}
