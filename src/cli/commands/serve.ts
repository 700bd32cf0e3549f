/**
 * `veltix serve`: runs a server that echoes, relays, or does what a module says.
 *
 * @module
 */

import { Option } from "commander";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { Server } from "../../auto/server.ts";
import { addressText } from "../../base/address.ts";
import { Identity } from "../../encryption/mod.ts";
import type { ConnectedClient } from "../../server/connected_client.ts";
import type { ServerConfig } from "../../server/server_config.ts";
import type { CommandModule } from "../command.ts";
import { aborted, logTo } from "../connect.ts";
import { CommandError, ExitCode, made } from "../exit_codes.ts";
import { failureOf } from "../failure.ts";
import type { Output } from "../output.ts";
import { addEcho, addModule, addRelay } from "../served.ts";
import { checkKeys, given } from "../target.ts";
import { collect, configOf, port, readText } from "../values.ts";

interface ServeOptions {
  readonly echo?: boolean | undefined;
  readonly relay?: boolean | undefined;
  readonly port?: number | undefined;
  readonly hostname?: string | undefined;
  readonly path?: string | undefined;
  readonly websocket?: string | undefined;
  readonly tls?: boolean | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly identity?: string | undefined;
  readonly allow?: readonly string[] | undefined;
  readonly protocol?: string | undefined;
  readonly config?: string | undefined;
}

/** Adds the command. */
export const serveCommand: CommandModule = (program, context) => {
  program.command("serve")
    .summary("run a server that echoes, relays, or does what a module says")
    .description(
      "Runs a server until Ctrl+C, and prints its addresses and who comes and goes. Without a module it answers each " +
        "message and request with its own payload.",
    )
    .argument(
      "[module]",
      "a file whose default export is a function (server) => void, routes, or { contract, handlers }",
    )
    .addOption(new Option("--echo", "answer everything with its own payload (the default)").conflicts("relay"))
    .option("--relay", "pass each message on to all other clients")
    .option("-p, --port <port>", "the port; 0 takes a free one (default: 8080)", port)
    .option("--hostname <name>", "the host name or address to listen at (default: 127.0.0.1)")
    .addOption(
      new Option("--path <file>", "listen at a unix socket, not at a port").conflicts([
        "port",
        "hostname",
        "websocket",
      ]),
    )
    .option("--websocket <url-path>", "take WebSockets at this path of the URL, not bare sockets")
    .option("--tls", "protect connections with TLS (needs --cert and --key, which imply it)")
    .option("--cert <file>", "the certificate")
    .option("--key <file>", "the key of the certificate")
    .option("--identity <file>", "encrypt, and show the identity in this file")
    .option("--allow <key>", "let in clients with this public key only; repeatable (needs --identity)", collect)
    .option("--protocol <release>", "the protocol: native, or a Python release such as 1.6.3 (default: 2.0)")
    .option("--config <file>", "further options of the Server, as a JSON object")
    .action(async (module: string | undefined, options: ServeOptions, command) => {
      const { terminal } = context;
      const output = context.output(command);
      if (module !== undefined && (options.echo === true || options.relay === true)) {
        throw usage("Give a module, --echo or --relay, and only one of them");
      }
      const config = await serverConfig(options);
      const server = made(() => new Server({ ...config, logger: logTo(output) }));
      const mode = module ?? (options.relay === true ? "relay" : "echo");
      if (module === undefined) options.relay === true ? addRelay(server, output) : addEcho(server);
      else await addModule(server, module, await import(urlOf(module).href));
      tellOfClients(server, output);
      try {
        await server.start();
        const addresses = server.addresses.map(addressText);
        output.result(
          { event: "listening", mode, addresses },
          () => addresses.map((address) => `Listening at ${output.style("bold", address)} (${mode})`).join("\n"),
        );
        output.hint("Ctrl+C closes it.");
        await aborted(terminal.signal);
        output.note("Closing …");
      } finally {
        await server.close();
      }
    });
};

/** Returns the configuration of the server. */
async function serverConfig(options: ServeOptions): Promise<ServerConfig> {
  const { allow, cert, key, path, protocol, websocket } = options;
  if (options.tls === true && (cert === undefined || key === undefined)) throw usage("--tls needs --cert and --key");
  if ((cert === undefined) !== (key === undefined)) throw usage("--cert and --key go together");
  if (allow !== undefined && options.identity === undefined) throw usage("--allow needs --identity");
  checkKeys("--allow", allow);
  const config = configOf(options.config);
  const { hostname = "127.0.0.1", port = 8080 } = options;
  const place = path !== undefined ? { path } : { hostname, port };
  const elsewhere = ["listen", "path", "hostname", "port"].some((name) => name in config);
  const asked = path !== undefined || options.hostname !== undefined || options.port !== undefined;
  const at = websocket !== undefined
    ? { listen: [{ ...place, webSocket: { path: websocket } }] }
    : elsewhere && !asked
    ? {}
    : place;
  return {
    quiet: true,
    ...config,
    ...at,
    ...given({
      protocol,
      tls: cert === undefined ? undefined : { cert: readText(cert), key: readText(key!) },
      encryption: options.identity === undefined
        ? undefined
        : given({ identity: await Identity.load(options.identity), allow: allow && [...allow] }),
    }),
  };
}

/** Prints who comes and goes. */
function tellOfClients(server: Server, output: Output): void {
  if (output.quiet) return;
  const named = ({ address, id }: ConnectedClient): string => `#${id} ${addressText(address)}`;
  server.on("connect", (client) => {
    const { address, id, protocol, security } = client;
    output.result(
      { event: "connect", id, address: addressText(address), protocol, security },
      () => `${output.style("green", "+")} ${named(client)} ${protocol}${security === "none" ? "" : `, ${security}`}`,
    );
  });
  server.on("disconnect", (client, { reason }) => {
    output.result(
      { event: "disconnect", id: client.id, address: addressText(client.address), reason },
      () => `${output.style("dim", "-")} ${named(client)} ${reason}`,
    );
  });
  server.on("rejected", ({ address, reason, error }) => {
    const { message } = failureOf(error ?? new Error(reason));
    output.result(
      { event: "rejected", address: addressText(address), reason, message },
      () => `${output.style("red", "!")} ${addressText(address)} ${reason}: ${message}`,
    );
  });
}

/** Returns the URL of a module that was typed as a path or a URL. */
function urlOf(module: string): URL {
  return /^[a-z][a-z+.-]+:/i.test(module) && URL.canParse(module) ? new URL(module) : pathToFileURL(resolve(module));
}

function usage(message: string): CommandError {
  return new CommandError(ExitCode.USAGE, message);
}
