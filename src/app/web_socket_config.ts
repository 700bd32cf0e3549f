/**
 * The option `webSocket` of a listener, and the option `url` of a client.
 *
 * @module
 */

import { type Check, type Checks, type Given, optional, readOptions, show } from "../base/checks.ts";
import { ConfigError } from "../errors.ts";
import type { WebSocketServerOptions } from "../websocket_seam.ts";

/** The headers that belong to the answer itself. */
const OWN_HEADERS = /^(?:connection|content-length|sec-websocket-.*|transfer-encoding|upgrade)$/i;

/** The checks of the options of a server that takes WebSockets. */
export const WEB_SOCKET_OPTIONS: Checks<Given<WebSocketServerOptions>> = {
  path: optional(pathOf),
  origins: optional(originsOf),
  headers: optional(headersOf),
};

/** Checks the options of WebSockets, and returns them. */
export const serverWebSocket: Check<WebSocketServerOptions> = (name, value) =>
  readOptions(name, value === true ? {} : value as object, WEB_SOCKET_OPTIONS, `${name}.`) as WebSocketServerOptions;

/** Checks a URL of WebSockets, and returns it as the runtime writes it. */
export const webSocketUrl: Check<string> = (name, value) => {
  const text = value instanceof URL ? value.href : value;
  if (typeof text !== "string") throw new TypeError(`${name} must be a URL, not ${show(value)}`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new ConfigError(
      "invalid-config",
      `${name} must be a URL with ws: or wss:, such as "wss://example.org/veltix", not ${show(text)}`,
    );
  }
  if (url.port === "0") {
    throw new ConfigError("invalid-config", `${name} must have a port from 1 to 65535, not ${show(text)}`);
  }
  if (url.hash !== "") throw new ConfigError("invalid-config", `${name} must not have a fragment (${url.hash})`);
  if (url.username !== "" || url.password !== "") {
    throw new ConfigError("invalid-config", `${name} must not have a user or a password: use credentials`);
  }
  return url.href;
};

function pathOf(name: string, value: unknown): string {
  // As it is in the URL of a request.
  if (typeof value === "string" && /^\/[^?#\s]*$/.test(value)) return new URL(`http://localhost${value}`).pathname;
  throw new TypeError(`${name} must be a path that begins with "/", without a query, not ${show(value)}`);
}

function originsOf(name: string, value: unknown): NonNullable<WebSocketServerOptions["origins"]> {
  if (value === "*") return value;
  if (typeof value === "function") return value as NonNullable<WebSocketServerOptions["origins"]>;
  if (!Array.isArray(value)) {
    throw new TypeError(`${name} must be "*", an array of origins or a function, not ${show(value)}`);
  }
  return value.map((origin: unknown, i) => {
    if (typeof origin === "string" && URL.canParse(origin) && new URL(origin).origin === origin) return origin;
    throw new TypeError(
      `${name}[${i}] must be an origin such as "https://example.org", without a path, not ${show(origin)}`,
    );
  });
}

function headersOf(name: string, value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} must be an object with texts, not ${show(value)}`);
  }
  for (const header of Object.keys(value)) {
    if (!OWN_HEADERS.test(header)) continue;
    throw new TypeError(`${name} must not have ${show(header)}, which the answer has already`);
  }
  try {
    new Headers(value as Record<string, string>);
  } catch (error) {
    throw new TypeError(`${name} has a name or a value that is no header: ${(error as Error).message}`);
  }
  return value as Readonly<Record<string, string>>;
}
