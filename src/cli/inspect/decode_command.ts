/**
 * `veltix decode`: shows the frames in a file.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { concat } from "../../base/concat.ts";
import type { CommandModule } from "../command.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import { count } from "../values.ts";
import type { Terminal } from "../terminal.ts";
import { describe, jsonOf } from "./describe.ts";
import { protocolOf } from "./endpoints.ts";
import { filterOf, type FilterOptions } from "./filter.ts";
import { loadKnowledge } from "./knowledge.ts";
import { decodeSource } from "./sources.ts";

/** The options as they are typed. */
interface DecodeOptions extends FilterOptions {
  readonly protocol: string;
  readonly from: string;
  readonly brief?: boolean | undefined;
  readonly hex?: boolean | undefined;
  readonly maxPayload: number;
  readonly secrets?: boolean | undefined;
}

/** Adds the command. */
export const decodeCommand: CommandModule = (program, context) => {
  program.command("decode")
    .summary("show the frames in a capture or a file of bytes")
    .description(
      "Shows every frame in a file with its offset and every field of its header: a capture (pcapng), a record of " +
        "veltix inspect, golden frames, bytes, or hexadecimal digits. The exit code is 1 if anything is damaged.",
    )
    .argument("<file>", "the file, or - for the standard input")
    .option("--protocol <release>", "native, or a Python release such as 1.6.3: for bytes without a handshake", "auto")
    .option("--from <end>", "who sent the bytes of a plain file: client or server", "server")
    .option("--code <codes>", "show frames of these types only: 200, 200,201 or 200-299")
    .option("--kind <kinds>", "show these only: request,reply,message,handshake,damage,…")
    .option("--direction <end>", "show only what this end sends: client or server")
    .option("--grep <pattern>", "show only what has this in its payload or metadata, a regular expression")
    .option("--brief", "leave the fields of the headers out")
    .option("--hex", "show the bytes")
    .option("--max-payload <characters>", "how much of a payload is shown", count, 1_000)
    .option("--secrets", "show credentials and the keys of sessions")
    .action(async (file: string, options: DecodeOptions, command) => {
      const output = context.output(command);
      const { from } = options;
      if (from !== "client" && from !== "server") {
        throw new CommandError(ExitCode.USAGE, `--from must be client or server, not "${from}"`);
      }
      const show = filterOf(options);
      const protocol = protocolOf(options.protocol);
      const knowledge = await loadKnowledge({ protocol, secrets: options.secrets });
      const bytes = await read(context.terminal, file);
      const shown = {
        maxPayload: options.maxPayload,
        hex: options.hex === true,
        fields: options.brief !== true,
        style: output.style.bind(output),
      };
      let damaged = 0;
      let last = 0;
      for (const { connection, seen } of decodeSource(bytes, knowledge, from)) {
        if (seen.type === "damage") damaged++;
        if (!show(seen)) continue;
        if (connection !== last && connection > 0) output.note(`connection ${connection}`);
        last = connection;
        output.result({ connection, ...jsonOf(seen) }, () => describe(seen, shown).join("\n"));
        await context.terminal.drained?.();
        context.terminal.signal.throwIfAborted();
      }
      if (damaged > 0) {
        throw new CommandError(ExitCode.FAILED, `${damaged} ${damaged === 1 ? "place is" : "places are"} damaged`);
      }
    });
};

async function read(terminal: Terminal, file: string): Promise<Uint8Array> {
  if (file === "-") {
    const chunks: Uint8Array[] = [];
    for await (const chunk of terminal.input()) chunks.push(chunk);
    return concat(new Uint8Array(0), ...chunks);
  }
  try {
    const bytes = readFileSync(file);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `Cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}
