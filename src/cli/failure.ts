/**
 * What the command line says about an error, and its exit code.
 *
 * @module
 */

import { ConfigError, ConnectionError, HandshakeError, ProtocolError, RemoteError, TimeoutError } from "../errors.ts";
import { oneLine, readable } from "../base/untrusted.ts";
import { CommandError, ExitCode } from "./exit_codes.ts";
import { Interruption } from "./terminal.ts";

/** An error as it is told. */
export interface Failure {
  /** The code of the error. If it has none: `"usage"` for a wrong use of the command, otherwise `"failed"`. */
  readonly code: string;
  /** What went wrong, for people, on one line. A peer may have written a part of it, so it has no control characters. */
  readonly message: string;
  /** Where it happened. */
  readonly stack: string | undefined;
}

/** Returns how an error is told. */
export function failureOf(error: unknown): Failure {
  const { code, message, name, stack } = (error ?? {}) as Partial<
    Record<"code" | "message" | "name" | "stack", unknown>
  >;
  const text = typeof message === "string" && message !== "" ? message : String(error);
  return {
    code: typeof code === "string" ? oneLine(code) : exitCodeOf(error) === ExitCode.USAGE ? "usage" : "failed",
    message: unbroken(permissionText(name, text) ?? causeText(error) ?? text),
    // The stack begins with the message.
    stack: typeof stack === "string" ? readable(stack.replace(text, () => unbroken(text))) : undefined,
  };
}

/** Returns a text as one line: a line that a peer begins must not look like one of the command. */
function unbroken(text: string): string {
  return oneLine(text.trimEnd().replace(/[\r\n\u2028\u2029]+/g, " "));
}

/** Returns the same for an error that a missing permission has caused. */
function causeText(error: unknown): string | undefined {
  const { cause } = (error ?? {}) as { readonly cause?: unknown };
  const { message, name } = (cause ?? {}) as { readonly message?: unknown; readonly name?: unknown };
  return name === "NotCapable" && typeof message === "string" ? permissionText(name, message) : undefined;
}

/** Returns what a missing permission of Deno means; `undefined` for other errors. */
function permissionText(name: unknown, message: string): string | undefined {
  const [, what, kind] = message.match(/Requires (.+?), run again with the --allow-(\w+) flag/) ?? [];
  if (what === undefined && name !== "NotCapable") return undefined;
  if (what === undefined) return `Deno does not allow it: ${message}`;
  return `Deno does not allow ${what}: start it with --allow-${kind}, or with -A for all permissions`;
}

/** Returns the exit code for an error. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof TimeoutError) return ExitCode.TIMEOUT;
  if (error instanceof RemoteError) return ExitCode.REMOTE;
  if (error instanceof ConnectionError || error instanceof HandshakeError || error instanceof ProtocolError) {
    return ExitCode.NO_CONNECTION;
  }
  if (error instanceof ConfigError || error instanceof RangeError) return ExitCode.USAGE;
  return ExitCode.FAILED;
}

/** Returns the exit code of a command that was interrupted. A reader that has left is no failure. */
export function exitCodeOfInterruption(reason: unknown): ExitCode {
  const by = reason instanceof Interruption ? reason.by : "SIGINT";
  return by === "SIGPIPE" ? ExitCode.OK : by === "SIGTERM" ? ExitCode.TERMINATED : ExitCode.INTERRUPTED;
}
