/**
 * The request for a WebSocket: what it says, and whether it may be accepted.
 *
 * @module
 */

import { isThenable } from "../../base/thenable.ts";
import type { WebSocketServerOptions } from "../../websocket_seam.ts";
import type { UpgradeRequest } from "../../transport.ts";
import { SUBPROTOCOL } from "./channel.ts";

/** The answer to a request that is not accepted. */
export interface Rejection {
  readonly status: 400 | 403 | 404 | 405 | 408 | 426 | 431 | 500 | 503;
  /** The reason, for people. */
  readonly text: string;
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** The error of the program, with the status 500 or 503. */
  readonly cause?: unknown;
}

/** The request as a {@linkcode UpgradeRequest}, read when it is asked for. */
export class ReceivedRequest implements UpgradeRequest {
  readonly method: string;
  readonly headers: Headers;
  /** The path with the query, as it was received. */
  readonly target: string;
  /** True if the request came over TLS. */
  readonly secure: boolean;
  #cookies: ReadonlyMap<string, string> | undefined = undefined;

  /**
   * @param method The method.
   * @param target The target of the request: a path with a query, or a URL, whose host does not count.
   * @param headers The headers.
   * @param secure True if the request came over TLS.
   */
  constructor(method: string, target: string, headers: Headers, secure: boolean) {
    this.method = method;
    this.target = target.replace(/^[a-z+.-]+:\/\/[^/?]*/i, "");
    this.headers = headers;
    this.secure = secure;
  }

  /** The host that the request names, under a scheme; `undefined` if it names none that could be one. */
  host(scheme: string): URL | undefined {
    const host = this.headers.get("host") ?? "";
    if (host === "" || /[\s/?#@\\]/.test(host) || !URL.canParse(`${scheme}//${host}`)) return undefined;
    return new URL(`${scheme}//${host}`);
  }

  get url(): URL {
    const scheme = this.secure ? "https:" : "http:";
    // A request without a host is not accepted.
    const url = this.host(scheme) ?? new URL(`${scheme}//localhost`);
    const [, path, query] = /^([^?]*)(.*)$/s.exec(this.target)!;
    url.pathname = path;
    url.search = query;
    return url;
  }

  get cookies(): ReadonlyMap<string, string> {
    return this.#cookies ??= cookiesOf(this.headers.get("cookie") ?? "");
  }
}

function cookiesOf(header: string): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const pair of header.split(";")) {
    const at = pair.indexOf("=");
    if (at < 0) continue;
    const name = pair.slice(0, at).trim();
    const value = pair.slice(at + 1).trim().replace(/^"(.*)"$/, "$1");
    if (name !== "" && !cookies.has(name)) cookies.set(name, value);
  }
  return cookies;
}

/** A list of tokens in a header. Not every runtime checks it. */
const TOKENS = /^[!#$%&'*+.^_`|~\w-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~\w-]+)*$/;

/**
 * Checks a request.
 *
 * @param request The request.
 * @param options The options of the server.
 * @returns The answer if the request is not accepted.
 */
export function rejectionOf(
  request: ReceivedRequest,
  { path, origins }: WebSocketServerOptions,
): Rejection | undefined {
  const { headers, method } = request;
  if (path !== undefined && request.url.pathname !== path) return rejectionTo(404, "Nothing is here");
  if (method !== "GET") return rejectionTo(405, "Only GET is allowed", { allow: "GET" });
  if (!lists(headers.get("connection"), "upgrade") || !lists(headers.get("upgrade"), "websocket")) {
    return rejectionTo(426, "Only WebSockets are served here", { connection: "upgrade", upgrade: "websocket" });
  }
  if (headers.get("sec-websocket-version") !== "13") {
    return rejectionTo(426, "Only version 13 of WebSockets is served", { "sec-websocket-version": "13" });
  }
  if (request.host("http:") === undefined) return rejectionTo(400, "Host must name the server");
  if ((headers.get("content-length") ?? "0") !== "0" || headers.has("transfer-encoding")) {
    return rejectionTo(400, "A request for a WebSocket must not have a body");
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "")) {
    return rejectionTo(400, "Sec-WebSocket-Key must be 16 bytes in base64");
  }
  const protocols = headers.get("sec-websocket-protocol");
  if (!TOKENS.test(protocols ?? "") || !lists(protocols, SUBPROTOCOL)) {
    return rejectionTo(400, `Only the subprotocol ${SUBPROTOCOL} is served`);
  }
  const origin = headers.get("origin");
  // A program that is no browser sends none.
  if (origin === null) return undefined;
  try {
    return allows(origins, origin, request) ? undefined : rejectionTo(403, "Pages of this origin may not connect");
  } catch (cause) {
    return { ...rejectionTo(500, "The origin could not be checked"), cause };
  }
}

/** Returns an answer. */
export function rejectionTo(status: Rejection["status"], text: string, headers: Rejection["headers"] = {}): Rejection {
  return { status, text, headers };
}

function allows(origins: WebSocketServerOptions["origins"], origin: string, request: ReceivedRequest): boolean {
  if (typeof origins === "function") return asked(origins(origin, request));
  if (origins === "*") return true;
  const page = URL.canParse(origin) ? new URL(origin) : undefined;
  if (page === undefined) return false;
  if (origins !== undefined) return origins.includes(page.origin);
  // A proxy may have taken TLS off the request, but none has put it on.
  if (page.protocol !== "https:" && (page.protocol !== "http:" || request.secure)) return false;
  return page.host === request.host(page.protocol)?.host;
}

function asked(allowed: unknown): boolean {
  if (typeof allowed === "boolean") return allowed;
  if (isThenable(allowed)) Promise.resolve(allowed).catch(() => {});
  throw new TypeError("origins must return a boolean, and at once");
}

/** Returns whether a header lists a word. */
function lists(header: string | null, word: string): boolean {
  return header !== null && header.split(",").some((one) => one.trim().toLowerCase() === word);
}
