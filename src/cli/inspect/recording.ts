/**
 * Recorded conversations as JSON Lines. `docs/inspect.md` describes the form.
 *
 * @module
 */

import { decodeBase64, encodeBase64 } from "../../base/base64.ts";
import { isPeerObject } from "../../base/untrusted.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import { parseJson } from "../json_text.ts";
import type { Sender } from "./seen.ts";

/** The version of the form. */
const VERSION = 1;

/** One line after the first one. `time` is in milliseconds from the beginning. */
export type RecordLine =
  & { readonly time: number; readonly connection: number }
  & (
    | { readonly type: "open"; readonly client: string; readonly server: string }
    | {
      readonly type: "data";
      readonly from: Sender;
      readonly bytes: Uint8Array;
      /** What was complete with these bytes, for people. Nothing reads it. */
      readonly seen?: readonly string[];
    }
    | { readonly type: "end"; readonly from: Sender }
    | { readonly type: "close"; readonly error?: string | undefined }
  );

/** Returns the first line of a record. */
export function recordHead(started: Date, target: string): string {
  return `${JSON.stringify({ type: "record", version: VERSION, started: started.toISOString(), target })}\n`;
}

/** Returns a line of a record. */
export function recordText(line: RecordLine): string {
  const written = line.type === "data" ? { ...line, bytes: encodeBase64(line.bytes) } : line;
  return `${JSON.stringify({ ...written, time: Math.round(line.time * 1000) / 1000 })}\n`;
}

/** Returns whether a file is a record. */
export function isRecord(bytes: Uint8Array): boolean {
  const [first] = new TextDecoder().decode(bytes.subarray(0, 1000)).split("\n", 1);
  return /^\{.*"type":"record"/.test(first);
}

/**
 * Reads a record.
 *
 * @throws {CommandError} It is none, or of a later version, or a line is damaged.
 */
export function readRecord(text: string): RecordLine[] {
  const [first, ...lines] = text.split("\n").filter((line) => line.trim() !== "");
  const head = parseJson(first ?? "");
  if (!isPeerObject(head) || head.type !== "record") throw wrong("it does not begin with the line of a record");
  if (head.version !== VERSION) throw wrong(`it has version ${head.version}, and this program reads ${VERSION}`);
  return lines.map((line, i) => {
    const value = parseJson(line);
    const number = i + 2;
    if (!isPeerObject(value) || typeof value.time !== "number" || typeof value.connection !== "number") {
      throw wrong(`line ${number} is damaged`);
    }
    const { type, from } = value;
    const directed = type === "data" || type === "end";
    if (!directed && type !== "open" && type !== "close" || directed && from !== "client" && from !== "server") {
      throw wrong(`line ${number} is damaged`);
    }
    if (type !== "data") return value as unknown as RecordLine;
    try {
      return { ...value, bytes: decodeBase64(value.bytes as string) } as unknown as RecordLine;
    } catch (cause) {
      throw wrong(`the bytes of line ${number} are not base64`, cause);
    }
  });
}

function wrong(what: string, cause?: unknown): CommandError {
  return new CommandError(ExitCode.USAGE, `Cannot read the record: ${what}`, { cause });
}
