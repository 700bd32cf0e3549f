/**
 * `veltix inspect --replay`: plays one side of a recorded conversation again, and says what came back differently.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { addressText } from "../../base/address.ts";
import { loadTransport } from "../../auto/load_transport.ts";
import type { Connection } from "../../transport.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import type { Terminal } from "../terminal.ts";
import { endpointOf, protocolOf, serverOf } from "./endpoints.ts";
import { type Difference, play } from "./player.ts";
import { readRecord } from "./recording.ts";
import { type RecordedConnection, scriptsOf } from "./script.ts";

/** The options as they are typed. */
export interface ReplayOptions {
  readonly replay?: string | undefined;
  readonly to?: string | undefined;
  readonly asServer?: boolean | undefined;
  readonly listen?: string | undefined;
  readonly connection?: number | undefined;
  readonly ignore?: string | undefined;
  readonly protocol?: string | undefined;
  readonly timeout?: number | undefined;
}

/**
 * Plays a record.
 *
 * @throws {CommandError} Something came back differently, with exit code 1; or an option is wrong.
 */
export async function replayCommand(terminal: Terminal, output: Output, options: ReplayOptions): Promise<void> {
  const { asServer = false, ignore = "", timeout = 5_000, to } = options;
  if (asServer === (to !== undefined)) {
    throw new CommandError(ExitCode.USAGE, "Which side? Write --to ADDRESS to play the client, or --as-server");
  }
  const protocol = protocolOf(options.protocol ?? "auto");
  const all = await scriptsOf(readRecord(read(options.replay!)), protocol);
  const scripts = all.filter(({ number }) => options.connection === undefined || number === options.connection);
  if (scripts.length === 0) throw new CommandError(ExitCode.USAGE, "There is no such connection in the record");
  const transport = await loadTransport("auto");
  const own = asServer ? "server" : "client";
  const ignored = new Set(ignore.split(",").filter((name) => name !== ""));
  const differences: Difference[] = [];
  const one = async (script: RecordedConnection, connection: Connection): Promise<void> => {
    const found = await play(script, own, connection, { ignored, timeout, protocol, signal: terminal.signal });
    differences.push(...found);
    const { length } = found;
    const text = length === 0 ? output.style("green", "as recorded") : output.style("red", `${length} differences`);
    output.result(
      { connection: script.number, ok: length === 0, differences: found },
      () => [`#${script.number} ${text}`, ...found.map(differenceText)].join("\n"),
    );
  };
  if (asServer) {
    const listener = await transport.listen(endpointOf(options.listen ?? "127.0.0.1:0"));
    const stop = (): void => void listener.close();
    try {
      output.note(`Listening at ${addressText(listener.address)} as the recorded server.`);
      if (output.json) output.result({ type: "listening", address: addressText(listener.address) }, () => "");
      terminal.signal.addEventListener("abort", stop);
      const left = [...scripts];
      for await (const connection of listener) {
        await one(left.shift()!, connection);
        if (left.length === 0) break;
      }
    } finally {
      terminal.signal.removeEventListener("abort", stop);
      await listener.close();
    }
  } else {
    for (const script of scripts) {
      await one(script, await transport.connect(serverOf(to!), { signal: terminal.signal }));
    }
  }
  terminal.signal.throwIfAborted();
  if (differences.length > 0) {
    throw new CommandError(ExitCode.FAILED, `${differences.length} differences from the record`);
  }
}

function differenceText({ expected, got, item, what }: Difference): string {
  return `  ${item}: ${what}\n    recorded ${expected}\n    got      ${got}`;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
