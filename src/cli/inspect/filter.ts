/**
 * Which of what was seen is shown.
 *
 * @module
 */

import { CommandError, ExitCode } from "../exit_codes.ts";
import { FRAME_KINDS } from "./header_fields.ts";
import type { Seen, Sender } from "./seen.ts";

/** The filters as they are typed. */
export interface FilterOptions {
  readonly code?: string | undefined;
  readonly kind?: string | undefined;
  readonly direction?: string | undefined;
  readonly grep?: string | undefined;
}

/** What `--kind` takes beside the kinds of frames. */
const OTHER_KINDS = ["handshake", "damage", "unreadable", "note"];

/**
 * Returns the filter that was asked for.
 *
 * @throws {CommandError} An option is wrong.
 */
export function filterOf({ code, direction, grep, kind }: FilterOptions): (seen: Seen) => boolean {
  const codes = code === undefined ? undefined : rangesOf(code);
  const kinds = kind === undefined ? undefined : new Set(kind.split(","));
  for (const name of kinds ?? []) {
    const known: readonly string[] = [...FRAME_KINDS, ...OTHER_KINDS];
    if (!known.includes(name)) throw usage(`--kind "${name}" is none of ${known.join(", ")}`);
  }
  if (direction !== undefined && direction !== "client" && direction !== "server") {
    throw usage(`--direction must be client (what the client sends) or server, not "${direction}"`);
  }
  const pattern = grep === undefined ? undefined : patternOf(grep);
  return (seen) => {
    if (direction !== undefined && seen.from !== direction as Sender) return false;
    if (kinds !== undefined) {
      if (!kinds.has(seen.type === "frame" ? seen.kind : seen.type)) {
        return false;
      }
    } else if (seen.type === "damage") return true;
    if (codes !== undefined) {
      if (seen.type !== "frame" || !codes.some(([from, to]) => from <= seen.fields.code && seen.fields.code <= to)) {
        return false;
      }
    }
    return pattern === undefined || pattern.test(searched(seen));
  };
}

function searched(seen: Seen): string {
  if (seen.type === "note") return seen.text;
  if (seen.type === "handshake") return JSON.stringify(seen.message);
  if (seen.type !== "frame") return "";
  const meta = seen.payload.meta === undefined ? "" : JSON.stringify(seen.payload.meta);
  return new TextDecoder().decode(seen.payload.bytes) + meta;
}

function rangesOf(text: string): [from: number, to: number][] {
  return text.split(",").map((part) => {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    if (from === undefined) throw usage(`--code "${part}" is no type code: write 200, 200,201 or 200-299`);
    return [Number(from), Number(to)];
  });
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text, "u");
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `--grep: ${(cause as Error).message}`, { cause });
  }
}

function usage(message: string): CommandError {
  return new CommandError(ExitCode.USAGE, message);
}
