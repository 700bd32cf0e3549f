/**
 * What was seen, as lines for people and as JSON. Texts of peers have no control characters in them, whatever they sent.
 *
 * @module
 */

import { hexOf } from "../../base/hex.ts";
import { printable } from "../../base/untrusted.ts";
import type { Style } from "../output.ts";
import { checkOf, codeName, digestOf, flagNames } from "./header_fields.ts";
import { hexDump } from "./hex.ts";
import { textOf } from "./payload.ts";
import type { Seen, SeenDamage, SeenFrame } from "./seen.ts";

/** How much is shown. */
export interface DescribeOptions {
  /** The most characters of a payload. */
  readonly maxPayload: number;
  /** True to show the bytes. */
  readonly hex: boolean;
  /** True to show every field of a header, and offsets. */
  readonly fields: boolean;
  /** Puts a text into a style. */
  readonly style: (style: Style, text: string) => string;
}

/** The most bytes of damage that are shown without `--hex`. */
const SHOWN_DAMAGE = 64;
/** The most bytes that `--hex` shows of one frame, unless more are asked for. */
const SHOWN_BYTES = 65_536;

/** Returns the lines about something that was seen, without its time. */
export function describe(seen: Seen, options: DescribeOptions): string[] {
  const { fields, hex, style } = options;
  const arrow = seen.from === "client" ? style("cyan", "→") : style("magenta", "←");
  const place = fields ? style("dim", `@${seen.offset} `) : "";
  const line = (kind: Style, what: string, rest: string): string =>
    `${arrow} ${place}${style(kind, what)}${rest === "" ? "" : ` ${rest}`}`;
  switch (seen.type) {
    case "note":
      return [line("dim", "note", style("dim", printable(seen.text)))];
    case "handshake": {
      const text = shorten(printableText(JSON.stringify(seen.message)), Math.max(options.maxPayload, 1000));
      const lines = [line("blue", `handshake ${seen.step}`, `${seen.bytes.length} B ${text}`)];
      return hex ? [...lines, ...dump(seen, SHOWN_BYTES, options)] : lines;
    }
    case "unreadable":
      return [
        line("dim", "unreadable", `${seen.bytes.length} B, ${printable(seen.what)}`),
        ...(hex ? dump(seen, SHOWN_BYTES, options) : []),
      ];
    case "damage":
      return [
        line("red", "damage", `${seen.bytes.length} B at ${seen.offset}: ${printable(seen.reason)}`),
        ...dump(seen, hex ? SHOWN_BYTES : SHOWN_DAMAGE, options),
      ];
    case "frame":
      return frameLines(seen, options, line);
  }
}

function frameLines(
  seen: SeenFrame,
  options: DescribeOptions,
  line: (kind: Style, what: string, rest: string) => string,
): string[] {
  const { fault, kind, payload: { bytes, compressed, meta, release, trouble, value } } = seen;
  const { code, flags = 0, id } = seen.fields;
  const { fields, hex, maxPayload, style } = options;
  const marks = flagNames(flags).filter((name) => /^(META|COMPRESSED|END|0x)/.test(name));
  const parts = [
    codeName(code) === undefined ? `type ${code}` : "",
    hasId(seen) ? `id ${id}` : "",
    marks.join(" "),
    compressed === undefined ? `${bytes.length} B` : `${compressed} B → ${bytes.length} B`,
    meta === undefined ? "" : `meta ${shorten(printableText(JSON.stringify(meta)), maxPayload)}`,
    value === undefined ? "" : style("bold", String(value)),
    release === undefined ? "" : `release ${printable(release)}`,
    value === undefined && release === undefined ? payloadText(bytes, maxPayload) : "",
    trouble === undefined ? "" : style("red", printable(trouble)),
    fault === undefined ? "" : style("red", printable(fault)),
  ];
  const lines = [line(styleOf(kind), kind, parts.filter((part) => part !== "").join(" "))];
  if (fields) lines.push(style("dim", `    ${headerText(seen)}`));
  if (hex) lines.push(...dump(seen, SHOWN_BYTES, options));
  return lines;
}

function styleOf(kind: string): Style {
  if (kind === "error" || kind === "cancel" || kind === "stop") return "yellow";
  if (kind === "request" || kind === "open") return "green";
  return ["message", "reply", "piece", "end"].includes(kind) ? "bold" : "dim";
}

/** In the native protocol, 0 means that there is no id. */
function hasId({ fields: { id }, protocol }: SeenFrame): boolean {
  return !(protocol.name === "native" && id === 0);
}

/** Every field of a header in the order of its bytes. */
function headerText({ bytes, fields, protocol }: SeenFrame): string {
  const { check, code, digest, flags, id, sentAt, size } = fields;
  const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;
  const name = codeName(code);
  const texts: Record<string, string | undefined> = {
    magic: protocol.magic && `magic ${protocol.magic}`,
    check: check === undefined ? undefined : `check ${hex(check, 2)}${check === checkOf(bytes) ? "" : " (wrong)"}`,
    flags: flags === undefined
      ? undefined
      : `flags ${hex(flags, 2)}${flags === 0 ? "" : ` (${flagNames(flags).join(" ")})`}`,
    code: `code ${code}${name === undefined ? "" : ` (${name})`}`,
    size: `size ${size}`,
    id: `id ${id}`,
    digest: `${protocol.integrity === "sha256" ? "sha256" : "crc32"} ${digest}${
      digest === digestOf(protocol, bytes) ? "" : " (wrong)"
    }`,
    timestamp: sentAt === undefined ? undefined : `time ${timeText(sentAt)}`,
  };
  return Object.entries(protocol.layout).filter(([, at]) => at >= 0).sort(([, a], [, b]) => a - b)
    .map(([field]) => texts[field]).join("  ");
}

/** A clock of a stranger may show anything. */
function timeText(sentAt: number): string {
  return sentAt <= 8.64e15 ? new Date(sentAt).toISOString() : String(sentAt);
}

/** Returns a payload as one line. */
export function payloadText(bytes: Uint8Array, most: number): string {
  const found = textOf(bytes);
  if (found.format === "empty") return "";
  if (found.format === "bytes") {
    const part = hexOf(bytes.subarray(0, Math.ceil(most / 2)));
    return `0x${shorten(part, most)}${2 * bytes.length > part.length && part.length <= most ? "…" : ""}`;
  }
  if (found.format === "json") return shorten(printableText(found.text), most);
  return JSON.stringify(shorten(printableText(found.text), most));
}

/** Returns text of any length on one line, with a mark where it was broken. */
function printableText(text: string): string {
  return text.replaceAll(/\r?\n/g, "⏎").replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "?");
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** Returns the lines of bytes, or one that says why there are none. */
function dump(
  { bytes, hidden, offset }: { bytes: Uint8Array; hidden?: boolean; offset: number },
  most: number,
  { style }: DescribeOptions,
): string[] {
  if (hidden === true) return [style("dim", "    its bytes may hold secrets: --secrets shows them")];
  const lines = hexDump(bytes.subarray(0, most), offset).map((line) => style("dim", `    ${line}`));
  return bytes.length <= most ? lines : [...lines, style("dim", `    … ${bytes.length - most} more bytes`)];
}

/** Returns something that was seen, for JSON. */
export function jsonOf(seen: Seen): Record<string, unknown> {
  const { from, offset, type } = seen;
  switch (type) {
    case "note":
      return { type, from, offset, text: seen.text };
    case "handshake":
      return { type, from, offset, length: seen.bytes.length, step: seen.step, message: seen.message };
    case "unreadable":
      return { type, from, offset, length: seen.bytes.length, what: seen.what };
    case "damage":
      return { type, from, offset, length: seen.bytes.length, reason: seen.reason, ...bytesOf(seen) };
    case "frame": {
      const { bytes, fault, fields, kind, payload, protocol } = seen;
      const found = textOf(payload.bytes);
      return {
        type,
        from,
        offset,
        length: bytes.length,
        protocol: protocol.name,
        kind,
        ...fields,
        flagNames: fields.flags === undefined ? undefined : flagNames(fields.flags),
        name: codeName(fields.code),
        value: payload.value,
        release: payload.release,
        meta: payload.meta,
        compressed: payload.compressed,
        json: found.format === "json" ? found.value : undefined,
        text: found.format === "text" ? found.text : undefined,
        hex: found.format === "bytes" ? hexOf(payload.bytes) : undefined,
        trouble: payload.trouble,
        fault,
      };
    }
  }
}

/** Returns the bytes of damage, or that they are left out because they may hold secrets. */
function bytesOf({ bytes, hidden }: SeenDamage): Record<string, unknown> {
  return hidden ? { hidden } : { hex: hexOf(bytes) };
}
