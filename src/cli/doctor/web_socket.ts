/**
 * Whether a server opens WebSockets, to programs and to pages.
 *
 * @module
 */

import { SUBPROTOCOL } from "../../adapters/web_socket/channel.ts";
import { addressText } from "../../base/address.ts";
import { printable } from "../../base/untrusted.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";
import { greetingOf } from "./greeting.ts";
import { type Place, tlsLookOf } from "./place.ts";
import { askHttp, firstBytes, type HttpAnswer, type Limits, seeTls, SILENCE } from "./probes.ts";
import type { ExamineOptions } from "./options.ts";

const STATUS_ADVICE: Readonly<Record<number, string>> = {
  400: "it does not take it for a WebSocket: a proxy in between may drop the headers of the upgrade",
  401: "it wants a login before the upgrade, which a client of Veltix cannot give",
  403: "it does not let this program in",
  404: "check the path of the URL; it must be that of the server's option webSocket",
  426: "it is an HTTP server that does not take this WebSocket: check the path, and the proxy in between",
  502: "the proxy does not reach the server behind it",
  503: "it is full, or starting: try again later",
  504: "the proxy does not reach the server behind it",
};

/** Asks for a WebSocket, and again as a page of an origin if there is one. Returns the first answer if it was good. */
export async function* webSocket(
  place: Place,
  url: URL,
  options: ExamineOptions,
  limits: Limits,
): AsyncGenerator<Finding, HttpAnswer | undefined> {
  const look = place.tls === undefined ? undefined : tlsLookOf(options, place);
  const ask = async (origin?: string): Promise<HttpAnswer | undefined> =>
    await askHttp(place.endpoint, url, look, limits, { upgrade: SUBPROTOCOL, origin });
  let answer: HttpAnswer | undefined;
  try {
    answer = await ask();
  } catch (error) {
    limits.signal.throwIfAborted();
    yield place.tls === undefined ? await noHttp(place, limits) : failed("websocket", reasonOf(error));
    return undefined;
  }
  if (answer?.status !== 101) {
    yield answer === undefined
      ? await noHttp(place, limits)
      : failed("websocket", `it answers "${printable(answer.line)}"`, STATUS_ADVICE[answer.status] ?? adviceOf(answer));
    return undefined;
  }
  const chosen = answer.headers.get("sec-websocket-protocol");
  yield chosen === SUBPROTOCOL ? ok("websocket", `it opens a WebSocket with the subprotocol ${SUBPROTOCOL}`) : warning(
    "websocket",
    `it opens a WebSocket, but not with the subprotocol ${SUBPROTOCOL}`,
    "check the path of the URL",
  );
  const { origin } = options;
  if (origin === undefined) return answer;
  const page = await ask(origin).catch(() => undefined);
  limits.signal.throwIfAborted();
  yield page?.status === 101 ? ok("origin", `pages of ${origin} may connect`) : failed(
    "origin",
    `pages of ${origin} may not connect: it answers "${printable(page?.line ?? "nothing")}"`,
    `add "${origin}" to the option origins of the server's webSocket`,
  );
  return answer;
}

/** Returns what a server is that does not answer as one of HTTP. */
async function noHttp({ endpoint, tls }: Place, limits: Limits): Promise<Finding> {
  const wait = { ms: Math.min(SILENCE, limits.ms), signal: limits.signal };
  const detail = "it does not answer as a server of HTTP";
  if (tls !== undefined) return failed("websocket", detail, "check the port");
  const first = await firstBytes(endpoint, wait, wait.ms).catch(() => undefined);
  const greeted = greetingOf(first?.bytes ?? new Uint8Array(0));
  if (["encrypted", "native", "python"].includes(greeted.kind)) {
    return failed("websocket", `it is ${greeted.detail}, for bare sockets`, `write ${addressText(endpoint)}`);
  }
  const seen = await seeTls(endpoint, {}, wait, ["http/1.1"]).catch(() => undefined);
  limits.signal.throwIfAborted();
  if (seen !== undefined) return failed("websocket", "it speaks TLS", "write wss: in place of ws:");
  return failed("websocket", `${detail}: ${greeted.detail}`, "check the port");
}

function adviceOf({ headers, status }: HttpAnswer): string {
  const to = headers.get("location");
  if (status >= 300 && status < 400 && to !== undefined) return `it moves clients to ${printable(to)}: write that URL`;
  return "check the host, the port and the path";
}
