/**
 * Converts the errors of a runtime's sockets into {@linkcode ConnectionError}s. The system's own name of the error
 * (`.code`, such as `ECONNREFUSED`) decides, because it is the same on Deno, Bun and Node, while classes and texts
 * differ.
 *
 * @module
 */

import { ConnectionError, type ConnectionErrorCode, VeltixError } from "../errors.ts";
import type { Endpoint } from "../base/address.ts";
import { addressText } from "../base/address.ts";

type Meaning = readonly [code: ConnectionErrorCode, state: string];

const IN_USE: Meaning = ["address-in-use", "the address is in use"];
const NO_ADDRESS: Meaning = ["address-unavailable", "the address is not available here"];
const DENIED: Meaning = ["permission-denied", "permission denied"];
const REFUSED: Meaning = ["refused", "the connection was refused"];
const RESET: Meaning = ["reset", "the connection was reset"];
const TIMED_OUT: Meaning = ["timed-out", "the connection timed out"];
const UNREACHABLE: Meaning = ["unreachable", "the network or host is unreachable"];
const UNRESOLVABLE: Meaning = ["unresolvable", "the host name cannot be resolved"];

function meaningOf(code: unknown): Meaning | undefined {
  switch (code) {
    case "EADDRINUSE":
      return IN_USE;
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
    case "EINVAL":
    case "ENAMETOOLONG":
      return NO_ADDRESS;
    case "EACCES":
    case "EPERM":
      return DENIED;
    case "ECONNREFUSED":
      return REFUSED;
    case "ECONNABORTED":
    case "ECONNRESET":
    case "ENOTCONN":
    case "EPIPE":
    case "ERR_STREAM_DESTROYED":
      return RESET;
    case "ETIMEDOUT":
      return TIMED_OUT;
    case "EHOSTDOWN":
    case "EHOSTUNREACH":
    case "ENETDOWN":
    case "ENETUNREACH":
      return UNREACHABLE;
    case "EAI_AGAIN":
    case "EAI_FAIL":
    case "EAI_NODATA":
    case "EAI_NONAME":
    case "ENOTFOUND":
      return UNRESOLVABLE;
    default:
      return undefined;
  }
}

function convert(failure: string, error: unknown, special?: Meaning): VeltixError {
  if (error instanceof VeltixError) return error;
  const { code, message, name } = (error ?? {}) as { code?: unknown; message?: unknown; name?: unknown };
  const denied = name === "NotCapable" ? DENIED : undefined; // An error of Deno's permissions has no system code.
  const [stable, state] = special ?? meaningOf(code) ?? denied ?? ["network-error", String(message ?? error)];
  return new ConnectionError(stable, `${failure}: ${state}`, { cause: error });
}

// A lookup may fail with codes that mean something else for sockets: EINVAL for a name that is too long, ECONNREFUSED
// while no name server answers. Deno, and Bun when listening, report a failed lookup without a code. Deno throws a
// URIError for characters that no name has. Each runtime has a different error for a NUL.
function isLookup(error: unknown, at: Endpoint): boolean {
  if ("path" in at) return false;
  const { code, message, name, syscall } = (error ?? {}) as Record<string, unknown>;
  return syscall === "getaddrinfo" || String(code).startsWith("DNS_") || name === "URIError" ||
    at.hostname.includes("\0") ||
    code === undefined && /failed to lookup address|^Failed to listen at/i.test(String(message));
}

function meaningAt(at: Endpoint, error: unknown, missing: Meaning): Meaning | undefined {
  if ((error as { code?: unknown })?.code === "ENOENT") return missing;
  return isLookup(error, at) ? UNRESOLVABLE : undefined;
}

/**
 * Returns the error with which `connect` rejects.
 *
 * @param to The endpoint to connect to.
 * @param error What the runtime threw.
 */
export function connectError(to: Endpoint, error: unknown): VeltixError {
  return convert(
    `Cannot connect to "${addressText(to)}"`,
    error,
    meaningAt(to, error, ["refused", "no socket is there"]),
  );
}

/**
 * Returns the error with which `listen` rejects.
 *
 * @param at The endpoint to listen at.
 * @param error What the runtime threw.
 */
export function listenError(at: Endpoint, error: unknown): VeltixError {
  const missing: Meaning = ["address-unavailable", "the folder does not exist"];
  return convert(`Cannot listen at "${addressText(at)}"`, error, meaningAt(at, error, missing));
}

/**
 * Returns the error of an open connection or a listener that broke.
 *
 * @param failure What failed, such as `Cannot read from "127.0.0.1:80"`.
 * @param error What the runtime threw.
 */
export function brokenError(failure: string, error: unknown): VeltixError {
  return convert(failure, error);
}

/**
 * Returns an error like one of the system, for adapters that detect a state themselves.
 *
 * @param code The system's name, such as `ECONNRESET`.
 */
export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
