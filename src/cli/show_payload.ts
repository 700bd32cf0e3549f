/**
 * Shows payloads in a terminal: text as text, JSON as JSON, everything else as hexadecimal digits. What a peer wrote does
 * nothing to the terminal.
 *
 * @module
 */

import { hexOf } from "../base/hex.ts";
import { readable } from "../base/untrusted.ts";
import { parseJson } from "./json_text.ts";

/** How a payload is shown: `auto` finds out by what it is. */
export type PayloadForm = "auto" | "hex" | "json" | "text";

/** The choices of options that say how payloads are shown. */
export const PAYLOAD_FORMS: readonly PayloadForm[] = ["auto", "text", "json", "hex"];

/** A payload that was recognized. */
export interface ShownPayload {
  /** What it is. */
  readonly kind: "empty" | "hex" | "json" | "text";
  /** The text, the value, or the hexadecimal digits; `null` if it is empty. */
  readonly value: unknown;
  /** It for people. */
  readonly text: string;
}

/** The bytes of a text: no control characters but breaks and tabs. */
const BINARY = /(?![\n\r\t])\p{Cc}/u;
/** The longest payload that is tried as JSON, in bytes. */
const MOST_JSON = 1_048_576;

/** Returns how a payload is shown. */
export function shownPayload(content: Uint8Array, form: PayloadForm = "auto"): ShownPayload {
  if (content.length === 0) return { kind: "empty", value: null, text: "" };
  if (form === "hex") return asHex(content);
  if (form === "text") {
    const text = new TextDecoder().decode(content);
    return { kind: "text", value: text, text: readable(text) };
  }
  const text = utf8(content);
  if (text === undefined) return asHex(content);
  const json = text.length > MOST_JSON ? undefined : parseJson(text);
  if (json !== undefined) return { kind: "json", value: json, text: readable(JSON.stringify(json)) };
  if (BINARY.test(text)) return asHex(content);
  return { kind: "text", value: text, text: readable(text) };
}

/** Returns a payload on one line of at most so many characters. */
export function payloadLine({ text }: ShownPayload, columns: number): string {
  const line = text.replaceAll("\n", "⏎").replaceAll("\t", " ");
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}

function asHex(content: Uint8Array): ShownPayload {
  const hex = hexOf(content);
  return { kind: "hex", value: hex, text: hex };
}

function utf8(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}
