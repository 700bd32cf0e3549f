/**
 * The ways in which the two of a pair may be protected, by bare sockets and by WebSockets.
 *
 * @module
 */

import { Client, type ClientConfig, Server, type ServerConfig, type TcpEndpoint } from "@veltix/core";
import { Identity } from "@veltix/core/encryption";
import process from "node:process";
import { nodeTransport } from "../../src/adapters/node.ts";
import { tlsSockets } from "../../src/adapters/tls.ts";
import { webSockets } from "../../src/adapters/web_socket/web_sockets.ts";
import type { Platform } from "../../src/app/platform.ts";
import { RUNTIME } from "../../src/auto/platform.ts";
import { encryption } from "../../src/encryption/encrypt.ts";
import type { Suite } from "../../src/encryption/primitives.ts";
import type { Encryption } from "../../src/encryption_seam.ts";
import type { Connection } from "../../src/transport.ts";
import { CA, pair, pem } from "../tls_support.ts";
import type { Way } from "./talk.ts";

/**
 * All of them. `noise in tls` and `noise in ws` have the suite that the two runtimes choose: mostly ChaCha20 where Deno takes
 * part, else AES.
 */
export const PROTECTIONS = [
  "plain",
  "tls",
  "mutual tls",
  "noise chacha",
  "noise aes",
  "noise in tls",
  "ws",
  "wss",
  "noise in ws",
] as const;

/** One of them. */
export type Protection = typeof PROTECTIONS[number];

/** The protection that a program of a pair was started with. */
export const GIVEN: Protection = PROTECTIONS.find((name) => name === process.env.VELTIX_PAIR) ?? "plain";

const identity = await Identity.importKey(pem("server-identity.pem"));
const device = await Identity.importKey(pem("client-identity.pem"));

/** Returns what `Client.security` says. */
export function securityOf(protection: Protection): Client["security"] {
  return protection.startsWith("noise") ? "noise" : /tls$|^wss$/.test(protection) ? "tls" : "none";
}

/** Whether the two speak over a WebSocket. */
function isWebSocket(protection: Protection): boolean {
  return /\bwss?$/.test(protection);
}

/** Whether the WebSocket or the socket is protected by TLS. */
function hasTls(protection: Protection): boolean {
  return /tls$|^wss$/.test(protection);
}

function urlOf(protection: Protection, hostname: string, port: number): string {
  return `${hasTls(protection) ? "wss" : "ws"}://${hostname}:${port}/`;
}

/** Whether both sides compress: the best codec inside TLS, and inside Noise the only one that the server knows. */
function compresses(protection: Protection): boolean {
  return protection !== "plain";
}

/** Returns the options of the server. */
function serverOptions(
  protection: Protection,
): Pick<ServerConfig<unknown>, "compression" | "encryption" | "tls"> {
  const mutual = { ...pair("server"), ca: CA, clientCertificate: "required" } as const;
  return {
    ...protection === "mutual tls" ? { tls: mutual } : hasTls(protection) ? { tls: pair("server") } : {},
    ...protection.startsWith("noise") ? { encryption: { identity, allow: [device.publicKey] } } : {},
    compression: compresses(protection) && (protection.startsWith("noise") ? { codecs: ["deflate-raw"] } : true),
  };
}

/** Returns the options of the client. */
function clientOptions(protection: Protection): Pick<ClientConfig, "compression" | "encryption" | "tls"> {
  return {
    ...hasTls(protection) ? { tls: { ca: CA, ...protection === "mutual tls" ? pair("client") : {} } } : {},
    ...protection.startsWith("noise") ? { encryption: { trust: identity.publicKey, identity: device } } : {},
    compression: compresses(protection),
  };
}

/** The only suite that both speak, so that they cannot agree on another one. */
const SUITES: Partial<Record<Protection, Suite>> = { "noise chacha": 1, "noise aes": 2 };

function encryptionOf(protection: Protection): Encryption {
  const suite = SUITES[protection];
  return encryption(suite === undefined ? undefined : { speaks: [suite], fast: [suite] });
}

function platformOf(protection: Protection): Platform {
  return { ...RUNTIME, loadEncryption: () => Promise.resolve(encryptionOf(protection)) };
}

/** Makes a protected server that listens at an address. */
export function serverOf(
  protection: Protection,
  at: TcpEndpoint,
  config: Pick<ServerConfig<unknown>, "logger"> = {},
): Server<unknown> {
  return new class extends Server<unknown> {
    static readonly platform = platformOf(protection);
  }({ listen: [{ ...at, webSocket: isWebSocket(protection) }], ...serverOptions(protection), ...config });
}

/** Makes a protected client of the server at an address. */
export function clientOf(
  protection: Protection,
  { hostname, port }: TcpEndpoint,
  config: Pick<ClientConfig, "logger"> = {},
): Client {
  return new class extends Client {
    static readonly platform = platformOf(protection);
  }({
    ...isWebSocket(protection) ? { url: urlOf(protection, hostname, port) } : { hostname, port },
    ...clientOptions(protection),
    ...config,
  });
}

/** Returns how clients come to the server at a port. */
export function wayTo(protection: Protection, port: number): Way {
  const to = { hostname: "127.0.0.1", port };
  return {
    client: () => clientOf(protection, to),
    async open(answer): Promise<Connection> {
      const { encryption: options, tls } = clientOptions(protection);
      const tlsOptions = typeof tls === "object" ? tls : undefined;
      const transport = isWebSocket(protection)
        ? webSockets().client(urlOf(protection, to.hostname, port), tlsOptions)
        : tlsOptions === undefined
        ? nodeTransport()
        : tlsSockets().client(tlsOptions);
      const connection = await transport.connect(to);
      return options === undefined
        ? connection
        : await encryptionOf(protection).client(options).connect(connection, to, answer);
    },
    compresses: compresses(protection),
    security: securityOf(protection),
  };
}
