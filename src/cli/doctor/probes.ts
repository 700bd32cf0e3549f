/**
 * Looks at an address from outside, by bare sockets: its name, its port, its first bytes, its certificate, its HTTP. Each
 * look ends within a time limit, and leaves no socket behind.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Log } from "../../app/log.ts";
import { certificateOf } from "../../adapters/tls_certificate.ts";
import { connectError } from "../../adapters/system_errors.ts";
import { tlsError } from "../../adapters/tls_errors.ts";
import type { Endpoint } from "../../base/address.ts";
import { concat } from "../../base/concat.ts";
import { ConnectionError } from "../../errors.ts";
import type { PeerCertificate } from "../../transport.ts";
import { LOOKED_AT } from "../../wire/python/hello.ts";

/** How long a server may take until it says something, in milliseconds. Veltix servers speak first, at once. */
export const SILENCE = 1_000;

/** The logger of clients whose failures become findings. */
export const SILENT: Log = { warn: () => {}, error: () => {} };

/** An address of a name. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Limits of a look. */
export interface Limits {
  /** The time that it may take, in milliseconds. */
  readonly ms: number;
  /** Gives up. */
  readonly signal: AbortSignal;
}

/** The first bytes of a peer. */
export interface FirstBytes {
  readonly bytes: Uint8Array;
  /** True if the peer closed the connection after them. */
  readonly closed: boolean;
}

/** The certificate of a server, whether it is trusted or not. */
export interface SeenTls {
  /** The version of TLS, such as `"TLSv1.3"`. */
  readonly version: string;
  readonly certificate: PeerCertificate | undefined;
}

/** The beginning of an HTTP answer. */
export interface HttpAnswer {
  /** The status. */
  readonly status: number;
  /** The line with the status. */
  readonly line: string;
  /** The headers, with names in small letters. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Options of TLS for a look. */
export interface TlsLook {
  readonly serverName?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Returns all addresses of a name. */
export async function resolveName(name: string, limits: Limits): Promise<readonly ResolvedAddress[]> {
  return await within(limits, `the name "${name}" was not resolved`, (async () => await lookup(name, { all: true }))());
}

/** Connects, and returns how long that took, in milliseconds. */
export async function timeToConnect(to: Endpoint, limits: Limits): Promise<number> {
  const start = performance.now();
  const socket = await plainSocket(to, limits);
  socket.destroy();
  return performance.now() - start;
}

/** Connects, and returns what the peer says first, without being asked. */
export async function firstBytes(to: Endpoint, limits: Limits, wait: number): Promise<FirstBytes> {
  const socket = await plainSocket(to, limits);
  return await reading(socket, { ms: wait, signal: limits.signal }, (bytes) => isWhole(bytes) ? bytes : undefined);
}

/** Does a handshake of TLS, whoever vouches for the server. Rejects if that fails. */
export async function seeTls(to: Endpoint, look: TlsLook, limits: Limits, alpn?: string[]): Promise<SeenTls> {
  const socket = await tlsSocket(to, look, limits, alpn);
  try {
    return { version: socket.getProtocol() ?? "TLS", certificate: certificateOf(socket) };
  } finally {
    socket.destroy();
  }
}

/**
 * Asks for a page, or for a WebSocket, and returns the beginning of the answer; `undefined` if it is no HTTP.
 *
 * @param origin The origin of the page that asks; `undefined` for a program.
 */
export async function askHttp(
  to: Endpoint,
  url: URL,
  tls: TlsLook | undefined,
  limits: Limits,
  { upgrade, origin }: { readonly upgrade?: string | undefined; readonly origin?: string | undefined } = {},
): Promise<HttpAnswer | undefined> {
  const socket = tls === undefined ? await plainSocket(to, limits) : await tlsSocket(to, tls, limits, ["http/1.1"]);
  const lines = [`GET ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`];
  if (upgrade === undefined) lines.push("Connection: close");
  else {
    lines.push(
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
      `Sec-WebSocket-Protocol: ${upgrade}`,
    );
  }
  if (origin !== undefined) lines.push(`Origin: ${origin}`);
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  const { bytes } = await reading(socket, limits, (bytes) => headIn(bytes) === undefined ? undefined : bytes);
  const head = headIn(bytes) ?? latin1(bytes);
  const [line, ...fields] = head.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1];
  if (status === undefined) return undefined;
  const headers = fields.map((field): [string, string] => {
    const at = field.indexOf(":");
    return [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1).trim()];
  });
  return { status: Number(status), line, headers: new Map(headers) };
}

/** Opens a socket without TLS. Its owner destroys it. */
export function plainSocket(to: Endpoint, limits: Limits): Promise<Socket> {
  const socket = connectPlain("path" in to ? { path: to.path } : { host: to.hostname, port: to.port });
  return opened(socket, "connect", to, limits);
}

function tlsSocket(
  to: Endpoint,
  { cert, key, serverName = "path" in to ? undefined : to.hostname }: TlsLook,
  limits: Limits,
  alpn: string[] = ["veltix"],
): Promise<TLSSocket> {
  const socket = connectTls({
    ...("path" in to ? { path: to.path } : { host: to.hostname, port: to.port }),
    ...(serverName === undefined || isIP(serverName) !== 0 ? {} : { servername: serverName }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ALPNProtocols: alpn,
    rejectUnauthorized: false,
  });
  return opened(socket, "secureConnect", to, limits);
}

/** Resolves with a socket when it is open. */
async function opened<S extends Socket>(
  socket: S,
  event: "connect" | "secureConnect",
  to: Endpoint,
  limits: Limits,
): Promise<S> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // An error that comes later must not end the process.
  socket.on("error", (error) => reject(tlsError("", error, "server") ?? connectError(to, error)));
  socket.once("close", () => reject(new ConnectionError("closed", "the server closed the connection")));
  socket.once(event, () => resolve());
  try {
    await within(limits, "it did not answer", promise);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Reads from a socket until `whole` finds what it looks for, the peer closes, or the time is over; then closes it. */
async function reading(
  socket: Socket,
  { ms, signal }: Limits,
  whole: (bytes: Uint8Array) => Uint8Array | undefined,
): Promise<FirstBytes> {
  const { promise, resolve } = Promise.withResolvers<FirstBytes>();
  let bytes: Uint8Array = new Uint8Array(0);
  const end = (): void => resolve({ bytes, closed: true });
  const stop = (): void => resolve({ bytes, closed: false });
  const timer = setTimeout(stop, ms);
  signal.addEventListener("abort", stop, { once: true });
  socket.on("data", (chunk: Buffer) => {
    bytes = concat(bytes, new Uint8Array(chunk));
    if (whole(bytes) !== undefined || bytes.length >= 16 * LOOKED_AT) stop();
  });
  socket.once("end", end);
  socket.once("close", end);
  try {
    const read = await promise;
    signal.throwIfAborted();
    return read;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    socket.destroy();
  }
}

/** Returns whether a greeting of Veltix is complete, so that there is nothing to wait for. */
function isWhole(bytes: Uint8Array): boolean {
  if (bytes[2] === 0x7b) return bytes.length >= 2 + (bytes[0] << 8 | bytes[1]);
  // Records of TLS and texts.
  return bytes[0] === 0x15 || bytes.at(-1) === 0x0a;
}

function headIn(bytes: Uint8Array): string | undefined {
  const text = latin1(bytes);
  const end = text.indexOf("\r\n\r\n");
  return end < 0 ? undefined : text.slice(0, end);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Returns what a promise brings, if it does so in time. */
async function within<Value>({ ms, signal }: Limits, what: string, promise: Promise<Value>): Promise<Value> {
  // What comes too late fails for nobody.
  promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new ConnectionError("timed-out", `${what} within ${ms} ms`)), ms);
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
