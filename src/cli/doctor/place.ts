/**
 * The place that `doctor` examines: its endpoint, its URL, and whether TLS is expected there.
 *
 * @module
 */

import type { Endpoint } from "../../base/address.ts";
import { addressOf, type TargetOptions } from "../target.ts";
import { readText } from "../values.ts";
import type { TlsLook } from "./probes.ts";

/** A place to examine. */
export interface Place {
  readonly endpoint: Endpoint;
  /** The URL of a WebSocket, with `http:` or `https:` in place of `ws:` or `wss:`; `undefined` for bare sockets. */
  readonly url: URL | undefined;
  /** The name that the certificate must have; `undefined` if TLS is not expected. Empty if any will do. */
  readonly tls: string | undefined;
}

/**
 * Returns the place of an address.
 *
 * @throws {CommandError} It is no address.
 */
export function placeOf(address: string, options: TargetOptions): Place {
  const { ca, cert, key, pin, serverName, tls } = options;
  const target = addressOf(address);
  const secure = tls === true || [ca, cert, key, pin, serverName].some((option) => option !== undefined);
  if (!("url" in target)) {
    const name = serverName ?? ("path" in target ? "" : target.hostname);
    return { endpoint: target, url: undefined, tls: secure ? name : undefined };
  }
  const url = new URL(target.url.replace(/^ws/, "http"));
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const over = url.protocol === "https:";
  const endpoint = { hostname, port: Number(url.port) || (over ? 443 : 80) };
  return { endpoint, url, tls: over ? serverName ?? hostname : undefined };
}

/** Returns what a client shows and asks for in TLS. */
export function tlsLookOf({ cert, key }: TargetOptions, { tls }: Place): TlsLook {
  return { serverName: tls === "" ? undefined : tls, cert: readText(cert), key: readText(key) };
}

/** Returns the protocols that a client announces in TLS there. */
export function alpnOf({ url }: Place): string[] {
  return url === undefined ? ["veltix"] : ["http/1.1"];
}
