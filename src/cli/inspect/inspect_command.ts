/**
 * `veltix inspect`: stands between clients and a server, and shows what they say to each other. With `--replay` it plays one
 * side of a recorded conversation again.
 *
 * @module
 */

import { closeSync, fchmodSync, fstatSync, openSync } from "node:fs";
import process from "node:process";
import { addressText } from "../../base/address.ts";
import { loadTransport } from "../../auto/load_transport.ts";
import type { CommandModule } from "../command.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import type { Output } from "../output.ts";
import { count } from "../values.ts";
import type { Terminal } from "../terminal.ts";
import { endpointOf, protocolOf, serverOf } from "./endpoints.ts";
import { filterOf, type FilterOptions } from "./filter.ts";
import { loadKnowledge } from "./knowledge.ts";
import { relay } from "./proxy.ts";
import { replayCommand, type ReplayOptions } from "./replay_command.ts";
import { Watch } from "./watch.ts";

/** The options as they are typed. */
interface InspectOptions extends FilterOptions, ReplayOptions {
  readonly listen?: string | undefined;
  readonly protocol: string;
  readonly hex?: boolean | undefined;
  readonly fields?: boolean | undefined;
  readonly maxPayload: number;
  readonly secrets?: boolean | undefined;
  readonly pcap?: string | undefined;
  readonly record?: string | undefined;
}

/** Adds the command. */
export const inspectCommand: CommandModule = (program, context) => {
  program.command("inspect")
    .summary("show what clients and a server say to each other")
    .description(
      "Listens, passes every connection on to TARGET, and shows every frame of every protocol. TCP, unix sockets, and " +
        "WebSockets without TLS. With --replay it plays one side of a recorded conversation again, as a test.",
    )
    .argument("[target]", "the server: HOST:PORT, PORT, unix:PATH or ws://HOST:PORT")
    .option("--listen <address>", "where clients connect to: HOST:PORT, PORT or unix:PATH", "127.0.0.1:0")
    .option("--protocol <release>", "native, or a Python release such as 1.3.0: for peers without a handshake", "auto")
    .option("--code <codes>", "show frames of these types only: 200, 200,201 or 200-299")
    .option("--kind <kinds>", "show these only: request,reply,message,handshake,damage,…")
    .option("--direction <end>", "show only what this end sends: client or server")
    .option("--grep <pattern>", "show only what has this in its payload or metadata, a regular expression")
    .option("--fields", "show every field of the headers")
    .option("--hex", "show the bytes")
    .option("--max-payload <characters>", "how much of a payload is shown", count, 200)
    .option("--secrets", "show credentials and the keys of sessions")
    .option("--pcap <file>", "write a capture that Wireshark opens (pcapng)")
    .option("--record <file>", "record the conversations")
    .option("--replay <file>", "play a recorded conversation again")
    .option("--to <address>", "with --replay: play the client against this server")
    .option("--as-server", "with --replay: play the server for a client that connects to --listen")
    .option("--connection <number>", "with --replay: play this connection only", count)
    .option("--ignore <names>", "with --replay: members of JSON payloads that may differ: time,session")
    .option("--timeout <ms>", "with --replay: how long an answer may take", count, 5_000)
    .action(async (target: string | undefined, options: InspectOptions, command) => {
      const output = context.output(command);
      if (options.replay !== undefined) return await replayCommand(context.terminal, output, options);
      if (target === undefined) throw new CommandError(ExitCode.USAGE, "Which server? Write veltix inspect TARGET");
      await inspect(context.terminal, output, target, options);
    });
};

async function inspect(terminal: Terminal, output: Output, target: string, options: InspectOptions): Promise<void> {
  const show = filterOf(options);
  const knowledge = await loadKnowledge({ protocol: protocolOf(options.protocol), secrets: options.secrets });
  const [to, at] = [serverOf(target), endpointOf(options.listen ?? "127.0.0.1:0")];
  const transport = await loadTransport("auto");
  const listener = await transport.listen(at);
  const files: number[] = [];
  try {
    const [pcap, record] = [options.pcap, options.record].map((path) => path === undefined ? undefined : create(path));
    files.push(...[pcap, record].filter((file) => file !== undefined));
    const watch = new Watch(output, {
      knowledge,
      show,
      target,
      pcap,
      record,
      describe: {
        maxPayload: options.maxPayload,
        hex: options.hex === true,
        fields: options.fields === true,
        style: (style, text) => output.style(style, text),
      },
    });
    const { address } = listener;
    if (output.json) output.result({ type: "listening", address: addressText(address), target }, () => "");
    output.note(`Listening at ${addressText(address)}, passing on to ${target}. Ctrl+C ends it.`);
    const { signal } = terminal;
    const stop = (): void => void listener.close();
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
    await relay(listener, (signal) => transport.connect(to, { signal }), watch, signal);
    signal.removeEventListener("abort", stop);
    watch.summary();
  } finally {
    for (const file of files) closeSync(file);
    await listener.close();
  }
}

/** The mode of files that may hold credentials: their owner reads and writes them, and nobody else. */
const OWN = 0o600;

/** Returns the descriptor of an empty file for what was seen. */
function create(path: string): number {
  let file: number | undefined;
  try {
    file = openSync(path, "w", OWN);
    // A file that was there before keeps its mode. A pipe or a device stays as it is, and Windows has no such modes.
    if (process.platform !== "win32" && fstatSync(file).isFile()) fchmodSync(file, OWN);
    return file;
  } catch (cause) {
    if (file !== undefined) closeSync(file);
    throw new CommandError(ExitCode.USAGE, `Cannot write ${path}: ${(cause as Error).message}`, { cause });
  }
}
