/**
 * The payload of a message that a command sends, and what goes with it.
 *
 * @module
 */

import { type Command, Option } from "commander";
import type { Metadata } from "../wire/metadata.ts";
import { concat } from "../base/concat.ts";
import { CommandError, ExitCode } from "./exit_codes.ts";
import type { Terminal } from "./terminal.ts";
import { collect, jsonOf, messageCode, readBytes } from "./values.ts";

/** The options as they are typed. */
export interface PayloadOptions {
  readonly text?: boolean | undefined;
  readonly jsonPayload?: boolean | undefined;
  readonly hex?: boolean | undefined;
  readonly file?: string | undefined;
  readonly meta?: readonly string[] | undefined;
}

/** Adds the code, the payload and their options to a command. */
export function withPayload(command: Command): Command {
  return command
    .argument("<code>", "the code of the message type", messageCode)
    .argument("[payload]", "the payload; - reads the standard input")
    .addOption(new Option("--text", "the payload is text (the default)").conflicts(["jsonPayload", "hex", "file"]))
    .addOption(new Option("--json-payload", "the payload is JSON, which is checked").conflicts(["hex", "file"]))
    .addOption(new Option("--hex", "the payload is hexadecimal digits").conflicts("file"))
    .option("--file <file>", "the payload is in this file")
    .option("--meta <name=value>", "metadata beside the payload; repeatable", collect);
}

/**
 * Reads the payload of a message.
 *
 * @throws {CommandError} It is not what the options say, or there are two.
 */
export async function payloadOf(
  typed: string | undefined,
  options: PayloadOptions,
  terminal: Terminal,
): Promise<Uint8Array> {
  if (options.file !== undefined) {
    if (typed !== undefined) throw usage("Give a payload or --file, not both");
    return readBytes(options.file);
  }
  const bytes = typed === "-"
    ? concat(new Uint8Array(0), ...await Array.fromAsync(terminal.input()))
    : new TextEncoder().encode(typed ?? "");
  terminal.signal.throwIfAborted();
  if (options.hex === true) return bytesOfHex(new TextDecoder().decode(bytes));
  if (options.jsonPayload === true) jsonOf("The payload", new TextDecoder().decode(bytes).replace(/^@/, " @"));
  return bytes;
}

/** Returns the metadata that was typed. */
export function metadataOf({ meta }: PayloadOptions): Metadata | undefined {
  return meta && Object.fromEntries(meta.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw usage(`--meta must be NAME=VALUE, not "${pair}"`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  }));
}

function bytesOfHex(text: string): Uint8Array {
  const digits = text.replace(/[\s:]|0x/gi, "");
  if (digits.length % 2 !== 0 || /[^\da-f]/i.test(digits)) {
    throw usage("The payload must be hexadecimal digits, two for each byte");
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

function usage(message: string): CommandError {
  return new CommandError(ExitCode.USAGE, message);
}
