/**
 * The content of a frame, opened as far as it can be: metadata split off, compressed bytes inflated.
 *
 * @module
 */

import { parseJson } from "../json_text.ts";
import type { CompressionCodec } from "../../compression_seam.ts";
import { Flag, SystemCode } from "../../wire/frame.ts";
import { get16, get32, viewOf } from "../../wire/integers.ts";
import { isNative, type Protocol } from "../../wire/protocols.ts";
import { helloVersion } from "../../wire/python/hello_frames.ts";
import { splitMetadata } from "../../wire/received_metadata.ts";
import type { HeaderFields } from "./header_fields.ts";

/** What a frame carries. */
export interface Payload {
  /** The payload, inflated and without metadata. */
  readonly bytes: Uint8Array;
  /** The metadata, with the `deadline` among it; `undefined` if there is none. */
  readonly meta: Readonly<Record<string, string>> | undefined;
  /** The number that a system frame carries: credit, offset, window, in bytes. */
  readonly value: number | undefined;
  /** The release that a HELLO names. */
  readonly release: string | undefined;
  /** The size of the content on the wire if it is compressed, in bytes; `undefined` if it is not. */
  readonly compressed: number | undefined;
  /** Why it cannot be opened further; `undefined` if it could. */
  readonly trouble: string | undefined;
}

/** The largest payload that is inflated, in bytes. */
const MOST = 64 * 1024 * 1024;

/** Opens the content of a frame. Whatever is wrong with it is in `trouble`. */
export function openPayload(
  protocol: Protocol,
  { code, flags = 0 }: HeaderFields,
  content: Uint8Array,
  codec: CompressionCodec | undefined,
): Payload {
  let bytes = content;
  let meta: Record<string, string> | undefined;
  let trouble: string | undefined;
  const compressed = (flags & Flag.COMPRESSED) !== 0;
  if (compressed) {
    const opened = inflate(content, codec);
    if (typeof opened === "string") trouble = opened;
    else bytes = opened;
  }
  if ((flags & Flag.META) !== 0 && trouble === undefined) {
    try {
      const split = splitMetadata(bytes);
      const { deadline, names } = split.meta;
      meta = { ...names };
      if (deadline !== undefined) meta.deadline = String(deadline);
      bytes = split.content;
    } catch (error) {
      trouble = (error as Error).message;
    }
  }
  return {
    bytes,
    meta,
    value: isNative(protocol) ? valueOf(code, content) : undefined,
    release: code === SystemCode.HELLO || code === SystemCode.HELLO_ACK ? releaseOf(content) : undefined,
    compressed: compressed ? content.length : undefined,
    trouble,
  };
}

function inflate(content: Uint8Array, codec: CompressionCodec | undefined): Uint8Array | string {
  if (content.length < 5) return "its compressed content holds nothing";
  const size = get32(content, 0);
  if (codec === undefined) return `it is compressed (${size} bytes), and the codec is not known`;
  if (size > MOST) return `it announces ${size} bytes`;
  return codec.inflate(content.subarray(4), size) ?? `it does not inflate to the ${size} bytes that it announces`;
}

function valueOf(code: number, content: Uint8Array): number | undefined {
  if ((code === SystemCode.CREDIT || code === SystemCode.WINDOW) && content.length === 4) return get32(content, 0);
  return code === SystemCode.ACK && content.length === 8 ? Number(viewOf(content).getBigUint64(0)) : undefined;
}

function releaseOf(content: Uint8Array): string | undefined {
  return helloVersion(content) ??
    (content.length >= 2 ? new TextDecoder().decode(content.subarray(2, 2 + get16(content, 0))) : undefined);
}

/** What a payload is, as far as its bytes show. */
export type PayloadText =
  | { readonly format: "empty" }
  | { readonly format: "bytes" }
  | { readonly format: "json"; readonly text: string; readonly value: unknown }
  | { readonly format: "text"; readonly text: string };

/** Returns a payload as text, if it is UTF-8 without control characters but breaks and tabs. */
export function textOf(bytes: Uint8Array): PayloadText {
  if (bytes.length === 0) return { format: "empty" };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { format: "bytes" };
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]/.test(text)) return { format: "bytes" };
  const value = parseJson(text);
  return value === undefined ? { format: "text", text } : { format: "json", text, value };
}
