/**
 * Makes connections of requests for WebSockets, by the HTTP server of the runtime.
 *
 * @module
 */

import type { Address } from "../../base/address.ts";
import type { Connection, ConnectionSecurity } from "../../transport.ts";
import type { WebSocketServerOptions } from "../../websocket_seam.ts";
import { DEFAULT_BUFFER_SIZE, plainIp } from "../endpoint.ts";
import { type BunArrival, bunChannel, type BunWebSocket } from "./bun_socket.ts";
import { SUBPROTOCOL, type WebSocketChannel, WebSocketConnection, type WebSocketInfo } from "./channel.ts";
import { RefusedConnection, refusedError } from "./refused.ts";
import { ReceivedRequest, type Rejection, rejectionOf, rejectionTo } from "./request.ts";
import { standardChannel, type StandardWebSocket } from "./standard_socket.ts";

/** What an upgrade needs beside the request. */
export interface UpgradeTerms {
  readonly options: WebSocketServerOptions;
  /** How many bytes wait before a WebSocket is paused. */
  readonly bufferSize?: number;
  /** The address that was listened at, if it is known. */
  readonly local?: Address;
  /** Takes a connection, or one that tells of a request that was not accepted. */
  readonly accept: (connection: Connection) => void;
}

/** The part of `Deno` that is used. */
interface DenoApi {
  upgradeWebSocket(
    request: Request,
    options: { readonly protocol: string },
  ): { readonly socket: StandardWebSocket; readonly response: Response };
}

/** What `Deno.serve` passes on with a request. */
export interface DenoServeInfo {
  readonly remoteAddr: { readonly hostname?: string; readonly port?: number; readonly path?: string | null };
}

/** The part of the server of Bun that is used. */
export interface BunServer {
  readonly hostname?: string;
  readonly port?: number;
  upgrade(request: Request, options: { readonly data: BunArrival; readonly headers: Headers }): boolean;
  requestIP(request: Request): { readonly address: string; readonly port: number } | null;
}

const UNKNOWN: Address = { path: "" };
const TLS: ConnectionSecurity = { kind: "tls", certificate: undefined };

/** Answers a request to `Deno.serve`. */
export function upgradeDeno(request: Request, info: DenoServeInfo | undefined, terms: UpgradeTerms): Response {
  // Neither the headers nor the address are known any more once the request is upgraded.
  const received = receivedBy(request, new Headers(request.headers));
  const { hostname, port = 0, path } = info?.remoteAddr ?? {};
  const remote = hostname === undefined ? { path: path ?? "" } : { hostname: plainIp(hostname), port };
  const place = { ...placeOf(terms, received), remote };
  const rejection = rejectionOf(received, terms.options);
  if (rejection !== undefined) return refused(rejection, received, place, terms);
  const deno = (globalThis as unknown as { readonly Deno: DenoApi }).Deno;
  const { socket, response } = deno.upgradeWebSocket(request, { protocol: SUBPROTOCOL });
  for (const [name, value] of Object.entries(terms.options.headers ?? {})) response.headers.set(name, value);
  const channel = standardChannel(socket, place);
  socket.onopen = () => accept(channel, received, terms);
  return response;
}

/** Answers a request to `Bun.serve`. Returns `undefined` if it is accepted, as Bun wants. */
export function upgradeBun(request: Request, server: BunServer, terms: UpgradeTerms): Response | undefined {
  const received = receivedBy(request);
  const from = server.requestIP(request);
  const remote = from === null ? UNKNOWN : { hostname: plainIp(from.address), port: from.port };
  const place = { ...placeOf(terms, received), remote };
  const rejection = rejectionOf(received, terms.options);
  if (rejection !== undefined) return refused(rejection, received, place, terms);
  const data: BunArrival = {
    events: undefined,
    open(socket: BunWebSocket): void {
      const { channel, events } = bunChannel(socket, place);
      data.events = events;
      accept(channel, received, terms);
    },
  };
  const headers = new Headers({ ...terms.options.headers, "sec-websocket-protocol": SUBPROTOCOL });
  if (server.upgrade(request, { data, headers })) return undefined;
  return refused(rejectionTo(400, "The WebSocket could not be opened"), received, place, terms);
}

function receivedBy({ headers: given, method, url }: Request, headers: Headers = given): ReceivedRequest {
  return new ReceivedRequest(method, url, headers, url.startsWith("https:"));
}

function placeOf(terms: UpgradeTerms, { url }: ReceivedRequest): { local: Address; bufferSize: number } {
  const local = terms.local ??
    { hostname: url.hostname, port: Number(url.port) || (url.protocol === "https:" ? 443 : 80) };
  return { local, bufferSize: terms.bufferSize ?? DEFAULT_BUFFER_SIZE };
}

function accept(channel: WebSocketChannel, request: ReceivedRequest, terms: UpgradeTerms): void {
  terms.accept(new WebSocketConnection(channel, request.secure ? TLS : undefined, request));
}

/** Returns the answer to a request that is not accepted, and tells the server. */
function refused(
  rejection: Rejection,
  request: ReceivedRequest,
  { local, remote }: WebSocketInfo,
  terms: UpgradeTerms,
): Response {
  const { status, text, headers } = rejection;
  terms.accept(new RefusedConnection(local, remote, refusedError(remote, request, rejection)));
  return new Response(`${text}\n`, { status, headers: { ...headers, "content-type": "text/plain; charset=utf-8" } });
}
