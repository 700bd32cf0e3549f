/**
 * The request for a WebSocket: what it says, and whether it may be accepted.
 *
 * @module
 */

import type { WebSocketServerOptions } from "../../websocket_seam.ts";
import type { UpgradeRequest } from "../../transport.ts";
import { SUBPROTOCOL } from "./channel.ts";

/** The answer to a request that is not accepted. */
export interface Rejection {
  readonly status: 400 | 403 | 404 | 405 | 426;
  /** The reason, for people. */
  readonly text: string;
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The request as a {@linkcode UpgradeRequest}, read when it is asked for. */
export class ReceivedRequest implements UpgradeRequest {
  readonly headers: Headers;
  readonly #target: string;
  readonly #secure: boolean;
  #cookies: ReadonlyMap<string, string> | undefined = undefined;

  /**
   * @param target The target of the request: a path with a query, or a URL.
   * @param headers The headers.
   * @param secure True if the request came over TLS.
   */
  constructor(target: string, headers: Headers, secure: boolean) {
    this.#target = target;
    this.headers = headers;
    this.#secure = secure;
  }

  get url(): URL {
    const scheme = this.#secure ? "https" : "http";
    return parsed(this.#target, `${scheme}://${this.headers.get("host") ?? ""}`) ??
      parsed(this.#target, `${scheme}://localhost`) ?? new URL(`${scheme}://localhost/`);
  }

  get cookies(): ReadonlyMap<string, string> {
    return this.#cookies ??= cookiesOf(this.headers.get("cookie") ?? "");
  }
}

function parsed(target: string, base: string): URL | undefined {
  // Two slashes would begin a host.
  const path = target.startsWith("//") ? `/.${target}` : target;
  return URL.canParse(path, base) ? new URL(path, base) : undefined;
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

/**
 * Checks a request.
 *
 * @param method The method.
 * @param request The request.
 * @param options The options of the server.
 * @returns The answer if the request is not accepted.
 */
export function rejectionOf(
  method: string,
  request: UpgradeRequest,
  { path, origins }: WebSocketServerOptions,
): Rejection | undefined {
  const { headers } = request;
  if (path !== undefined && request.url.pathname !== path) return { status: 404, text: "Nothing is here", headers: {} };
  if (method !== "GET") return { status: 405, text: "Only GET is allowed", headers: { allow: "GET" } };
  if (!lists(headers.get("upgrade"), "websocket")) {
    return {
      status: 426,
      text: "Only WebSockets are served here",
      headers: { connection: "upgrade", upgrade: "websocket" },
    };
  }
  if (headers.get("sec-websocket-version") !== "13") {
    return { status: 426, text: "Only version 13 is served", headers: { "sec-websocket-version": "13" } };
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "")) {
    return { status: 400, text: "Sec-WebSocket-Key must be 16 bytes in base64", headers: {} };
  }
  if (!lists(headers.get("sec-websocket-protocol"), SUBPROTOCOL)) {
    return { status: 400, text: `Only the subprotocol ${SUBPROTOCOL} is served`, headers: {} };
  }
  const origin = headers.get("origin");
  if (origin !== null && !allows(origins, origin, request)) {
    return { status: 403, text: "Pages of this origin may not connect", headers: {} };
  }
  return undefined;
}

function allows(origins: WebSocketServerOptions["origins"], origin: string, request: UpgradeRequest): boolean {
  if (typeof origins === "function") return origins(origin, request) === true;
  if (origins === "*") return true;
  if (origins !== undefined) return origins.includes(origin);
  return URL.canParse(origin) && new URL(origin).host === request.url.host;
}

/** Returns whether a header lists a word. */
function lists(header: string | null, word: string): boolean {
  return header !== null && header.split(",").some((one) => one.trim().toLowerCase() === word);
}
