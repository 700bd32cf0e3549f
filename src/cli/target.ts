/**
 * The server that a command talks to: its address and the options of the connection.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { ClientConfig } from "../client/client_config.ts";
import { Identity } from "../encryption/mod.ts";
import { CommandError, ExitCode } from "./exit_codes.ts";

/** The options of commands that connect, as they are typed. */
export interface TargetOptions {
  readonly protocol?: string | undefined;
  readonly tls?: boolean | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly serverName?: string | undefined;
  readonly trust?: readonly string[] | undefined;
  readonly identity?: string | undefined;
  readonly credentials?: string | undefined;
  readonly insecureCredentials?: boolean | undefined;
  readonly connectTimeout?: number | undefined;
}

/** What an address says: `HOST:PORT`, `PORT`, `unix:PATH`, `ws://…` or `wss://…`. */
export type TargetAddress =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string }
  | { readonly url: string };

/** Adds the address and the options of the connection to a command. */
export function withTarget(command: Command): Command {
  return withConnection(command.argument("<address>", "HOST:PORT, PORT, unix:PATH, ws://… or wss://…"));
}

/** Adds the options of a connection to a command. */
export function withConnection(command: Command): Command {
  return command
    .option("--protocol <release>", "the protocol: native, or a Python release such as 2.0.4", "auto")
    .option("--tls", "connect over TLS")
    .option("--ca <file>", "trust the certificates in this file (implies --tls)")
    .option("--cert <file>", "show this certificate (implies --tls)")
    .option("--key <file>", "the key of the certificate")
    .option("--server-name <name>", "the name that the server's certificate must have (implies --tls)")
    .option("--trust <key...>", "encrypt, and trust a server with one of these public keys")
    .option("--identity <file>", "encrypt, and show the identity in this file (needs --trust)")
    .option("--credentials <json>", "what the server's authenticate gets")
    .option("--insecure-credentials", "send them unencrypted, too")
    .option("--connect-timeout <ms>", "how long connecting may take", milliseconds, 10_000);
}

/**
 * Reads an address.
 *
 * @throws {CommandError} It is none.
 */
export function addressOf(text: string): TargetAddress {
  if (/^wss?:\/\//.test(text)) return { url: text };
  if (text.startsWith("unix:")) return { path: text.slice(5) };
  if (text.startsWith("/") || text.startsWith("./")) return { path: text };
  const [, hostname = "127.0.0.1", digits] = text.match(/^(?:(?:tcp:\/\/)?(\[[^\]]+\]|[^:/\s]+):)?(\d+)$/) ?? [];
  const port = Number(digits);
  if (!(port <= 65_535)) {
    throw new CommandError(
      ExitCode.USAGE,
      `"${text}" is no address: write HOST:PORT, PORT, unix:PATH, ws://… or wss://…`,
    );
  }
  return { hostname: hostname.replace(/^\[|\]$/g, ""), port };
}

/**
 * Returns the configuration of a client for these options.
 *
 * @throws {CommandError} A file cannot be read, or an option is wrong.
 */
export async function clientConfig(address: string, options: TargetOptions): Promise<ClientConfig> {
  const { ca, cert, connectTimeout, credentials, identity, insecureCredentials, key, protocol, serverName } = options;
  const tls = options.tls === true || [ca, cert, key, serverName].some((option) => option !== undefined);
  if (identity !== undefined && options.trust === undefined) {
    throw new CommandError(ExitCode.USAGE, "--identity needs --trust with the public key of the server");
  }
  return {
    ...addressOf(address),
    protocol,
    handshakeTimeout: connectTimeout,
    tls: tls ? { ca: read(ca), cert: read(cert), key: read(key), serverName } : undefined,
    encryption: options.trust === undefined ? undefined : {
      trust: [...options.trust],
      identity: identity === undefined ? undefined : await Identity.load(identity),
    },
    credentials: credentials === undefined ? undefined : jsonOf("--credentials", credentials),
    insecureCredentials,
  };
}

/** Reads a whole number of milliseconds, for commander. */
export function milliseconds(text: string): number {
  return count(text);
}

/** Reads a whole number from 1, for commander. */
export function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= 0x7fffffff) return value;
  throw new CommandError(ExitCode.USAGE, `"${text}" must be a whole number from 1 to ${0x7fffffff}`);
}

/** Reads JSON that was typed. */
export function jsonOf(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `${what} must be JSON: ${(cause as Error).message}`, { cause });
  }
}

function read(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new CommandError(ExitCode.USAGE, `Cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
