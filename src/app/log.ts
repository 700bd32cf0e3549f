/**
 * Lines of the log of a Server or a Client.
 *
 * Whatever a line is about, a peer may have written a part of it. So every line is made fit to be shown before a logger gets
 * it, and an error that a peer causes comes as its text alone, without its stack.
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
 * The message is always a single line without control characters. What a peer caused comes as a message alone. With a failure
 * of the program's own, what was thrown comes as data, as it is: its text may quote a peer.
 */
export interface Log {
  /**
   * Logs each frame that is sent or received. Used only by a logger whose `level` is `"trace"` when the Server or Client is made:
   * others would be asked for each message, and `console.trace` prints a stack.
   */
  trace?(message: string, ...data: unknown[]): void;
  /** What the logger lets through, where it says that; only `"trace"` means something here. */
  readonly level?: unknown;
  /** Logs what helps to find a fault: who connects, who leaves and who is refused. */
  debug?(message: string, ...data: unknown[]): void;
  /** Logs what an operator wants to know: a server listens or is closed. */
  info?(message: string, ...data: unknown[]): void;
  /** Logs something that went wrong and was handled. */
  warn(message: string, ...data: unknown[]): void;
  /** Logs a failure. */
  error(message: string, ...data: unknown[]): void;
}

/** The most characters of an error's own text in a line: more than any text of the library's. */
const MOST = 2_000;
/** How many causes of causes the default logger shows. */
const MAX_CAUSES = 8;
const INDENT = "\n    ";

/** The default logger. It finds the console's methods when it writes: a program may have replaced them. */
export const CONSOLE: Log = {
  warn: (message, ...data) => console.warn(consoleText(message, data)),
  error: (message, ...data) => console.error(consoleText(message, data)),
};

/** Whether an error tells what a peer sent, so that its stack would lead nowhere. Never throws. */
export function isPeerFault(error: unknown): error is VeltixError {
  try {
    return error instanceof ProtocolError || error instanceof UnreadableError || error instanceof HandshakeError ||
      error instanceof RemoteError;
  } catch {
    // A proxy can make it throw.
    return false;
  }
}

/** Writes a line about an error. A logger that fails is let be: there is nobody left to tell. */
export function writeLine(log: Log, level: "warn" | "error", error: unknown): void {
  if (isPeerFault(error)) guarded(() => log[level](faultText(error)));
  else guarded(() => log[level](messageOf(error), error));
}

/** Writes a line about what goes on, made only if the logger takes it. */
export function writeNote(log: Log, level: "trace" | "debug" | "info" | "warn" | "error", text: () => string): void {
  if (log[level] !== undefined) guarded(() => log[level]!(clipped(text())));
}

/** A peer's fault in a line. */
function faultText(error: VeltixError): string {
  if (!(error instanceof RemoteError)) return clipped(error.message);
  return `The peer answered with an error: ${excerpt(error.message)} (${excerpt(error.code)})`;
}

/** What was thrown, in a line. */
function messageOf(error: unknown): string {
  return clipped(error instanceof Error ? String(error.message) : show(error));
}

/** A text as a line that is not too long. */
function clipped(text: string): string {
  const more = text.length - MOST;
  return oneLine(more <= 0 ? text : `${text.slice(0, MOST)}… (${more} more characters)`);
}

/** A line, and below it what was thrown: the console would print that as it is. */
function consoleText(message: string, [error]: readonly unknown[]): string {
  try {
    if (error instanceof Error) return stackText(error, 0);
    if (typeof error === "object" && error !== null) return `${message}: ${clipped(JSON.stringify(error))}`;
  } catch {
    // Anything can be thrown, also what can't be looked at.
  }
  return message;
}

/** An error with its stack and its causes. Its frames are indented more than anything that its message can hold. */
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

/** The lines of a stack after the message, which may look like one. */
function framesOf(stack: unknown, message: string): string[] {
  if (typeof stack !== "string") return [];
  const at = stack.indexOf(message);
  const rest = at < 0 ? stack : stack.slice(at + message.length);
  return rest.split("\n").map((line) => line.trim()).filter((line) => line.startsWith("at "));
}

/** Calls a logger that may fail. */
function guarded(log: () => unknown): void {
  try {
    const result = log();
    if (isThenable(result)) Promise.resolve(result).then(undefined, () => {});
  } catch {
    // There is nobody left to tell.
  }
}
