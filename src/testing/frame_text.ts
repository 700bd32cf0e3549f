/**
 * Frames as text for people.
 *
 * @module
 */

import { hexOf } from "../base/hex.ts";
import { Flag, type Frame, isPiece, SystemCode } from "../wire/frame.ts";

/** The names of the system codes. */
const SYSTEM: ReadonlyMap<number, string> = new Map(Object.entries(SystemCode).map(([name, code]) => [code, name]));

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The most bytes, and the most characters, of a payload that are shown. */
const SHOWN = 64;
const LONGEST = 256;

/** Returns what a frame is, as text: its kind, its code and its id. */
export function headOf(
  { code, flags, requestId }: Frame,
  nameOf: (code: number) => string | undefined = () => undefined,
  id: string = requestId === 0 ? "" : ` #${requestId}`,
): string {
  const system = SYSTEM.get(code);
  if (system !== undefined) return `${system}${id}`;
  const name = nameOf(code);
  const kind = (flags & Flag.ERROR) !== 0
    ? "error"
    : isPiece(flags)
    ? (flags & Flag.END) !== 0 ? "last piece" : "piece"
    : (flags & Flag.STREAM) !== 0
    ? "open"
    : (flags & Flag.REPLY) !== 0
    ? "reply"
    : (flags & Flag.REQUEST) !== 0
    ? "request"
    : "message";
  return `${kind} ${code}${name === undefined ? "" : ` ${name}`}${id}`;
}

/**
 * Returns bytes as text. JSON of an object or an array is left as it is, and other text is quoted. Anything else is
 * shown as hexadecimal digits.
 */
export function payloadText(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return hexText(bytes);
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f]/.test(text)) return hexText(bytes);
  if (text.length > LONGEST) return `${JSON.stringify(text.slice(0, LONGEST))}… ${bytes.length} bytes`;
  return isJson(text) ? text : JSON.stringify(text);
}

function hexText(bytes: Uint8Array): string {
  const more = bytes.length > SHOWN ? `… ${bytes.length} bytes` : "";
  return `0x${hexOf(bytes.subarray(0, SHOWN))}${more}`;
}

function isJson(text: string): boolean {
  if (!/^[{[]/.test(text) || text.includes("\n")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Returns a frame as one line. */
export function frameText(frame: Frame): string {
  return `${headOf(frame)} ${payloadText(frame.content)}`.trimEnd();
}
