/**
 * The server that a command talks to: its address and the options of the connection.
 *
 * @module
 */

import { type Command, Option } from "commander";
import type { ClientConfig } from "../client/client_config.ts";
import { Identity, parsePublicKey } from "../encryption/mod.ts";
import { CommandError, ExitCode } from "./exit_codes.ts";
import { collect, configOf, jsonOf, milliseconds, readText } from "./values.ts";

/** The options of commands that connect, as they are typed. */
export interface TargetOptions {
  readonly protocol?: string | undefined;
  readonly tls?: boolean | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly serverName?: string | undefined;
  readonly pin?: readonly string[] | undefined;
  readonly trust?: readonly string[] | undefined;
  readonly identity?: string | undefined;
  readonly credentials?: string | undefined;
  readonly insecureCredentials?: boolean | undefined;
  readonly connectTimeout?: number | undefined;
  readonly config?: string | undefined;
}

/** What an address says: `HOST:PORT`, `PORT`, `unix:PATH`, `ws://…` or `wss://…`. */
export type TargetAddress =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string }
  | { readonly url: string };

/** The heading of the options of a connection in `--help`. */
export const CONNECTION_GROUP = "Connection:";

/** What addresses look like. */
const FORMS = "HOST:PORT, PORT, unix:PATH, ws://… or wss://…";

/** Adds the address and the options of the connection to a command. */
export function withTarget(command: Command): Command {
  return withConnection(command.argument("<address>", FORMS));
}

/** Adds the options of a connection to a command. */
export function withConnection(command: Command): Command {
  const add = (
    flags: string,
    description: string,
    read?: (text: string, before: never) => unknown,
    value?: unknown,
  ): void => {
    const option = new Option(flags, description).helpGroup(CONNECTION_GROUP);
    if (read !== undefined) option.argParser<never>(read as (text: string, before: never) => never);
    command.addOption(value === undefined ? option : option.default(value));
  };
  add("--protocol <release>", "the protocol: auto, native, or a Python release such as 2.0.4", undefined, "auto");
  add("--tls", "connect over TLS");
  add("--ca <file>", "trust the certificates in this file (implies --tls)");
  add("--cert <file>", "show this certificate (implies --tls)");
  add("--key <file>", "the key of the certificate (implies --tls)");
  add("--server-name <name>", "the name that the server's certificate must have (implies --tls)");
  add("--pin <sha256>", "trust a certificate with this public key; repeatable (implies --tls)", collect);
  add("--trust <key>", "encrypt, and trust a server with this public key (vx1:…); repeatable", collect);
  add("--identity <file>", "show the identity in this file (needs --trust)");
  add("--credentials <json>", "what the server's authenticate gets; @FILE reads a file");
  add("--insecure-credentials", "send them unencrypted, too");
  add("--connect-timeout <ms>", "how long connecting may take", milliseconds, 10_000);
  add("--config <file>", "further options of the Client, as a JSON object");
  return command;
}

/**
 * Reads an address.
 *
 * @param leastPort The least port: 0 where a socket listens at any that is free.
 * @throws {CommandError} It is none.
 */
export function addressOf(text: string, leastPort = 1): TargetAddress {
  if (/^wss?:\/\//.test(text) && URL.canParse(text)) return { url: text };
  if (text.startsWith("unix:")) return { path: text.slice(5) };
  if (text.startsWith("/") || text.startsWith("./")) return { path: text };
  const [, hostname = "127.0.0.1", digits] = text.match(/^(?:(?:tcp:\/\/)?(\[[^\]]+\]|[^:/\s]+):)?(\d+)$/) ?? [];
  const port = Number(digits);
  if (!(port >= leastPort && port <= 65_535)) {
    throw new CommandError(ExitCode.USAGE, `"${text}" is no address: write ${FORMS}`);
  }
  return { hostname: hostname.replace(/^\[|\]$/g, ""), port };
}

/**
 * Returns the configuration of a client for these options.
 *
 * @throws {CommandError} A file cannot be read, or an option is wrong.
 */
export async function clientConfig(address: string, options: TargetOptions): Promise<ClientConfig> {
  const {
    ca,
    cert,
    connectTimeout,
    credentials,
    identity,
    insecureCredentials,
    key,
    pin,
    protocol,
    serverName,
    trust,
  } = options;
  const tls = options.tls === true || [ca, cert, key, serverName, pin].some((option) => option !== undefined);
  if (identity !== undefined && trust === undefined) {
    throw new CommandError(ExitCode.USAGE, "--identity needs --trust with the public key of the server");
  }
  checkKeys("--trust", trust);
  const config = configOf(options.config);
  return {
    ...config,
    ...given({
      ...addressOf(address),
      protocol: protocol === "auto" && config.protocol !== undefined ? undefined : protocol,
      handshakeTimeout: connectTimeout,
      tls: tls ? given({ ca: readText(ca), cert: readText(cert), key: readText(key), serverName, pin }) : undefined,
      encryption: trust === undefined
        ? undefined
        : given({ trust: [...trust], identity: identity === undefined ? undefined : await Identity.load(identity) }),
      credentials: credentials === undefined ? undefined : jsonOf("--credentials", credentials),
      insecureCredentials,
    }),
  };
}

/** Returns an object without the members that are `undefined`, so that they hide nothing that is spread before them. */
export function given<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Value;
}

/**
 * Checks the public keys that an option names.
 *
 * @throws {CommandError} One of them is none.
 */
export function checkKeys(option: string, keys: readonly string[] | undefined): void {
  for (const key of keys ?? []) {
    try {
      parsePublicKey(key);
    } catch (cause) {
      throw new CommandError(ExitCode.USAGE, `${option}: ${(cause as Error).message}`, { cause });
    }
  }
}
