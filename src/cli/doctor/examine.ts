/**
 * Finds out step by step why a client cannot connect, or that it can.
 *
 * @module
 */

import { Client } from "../../auto/client.ts";
import { addressText } from "../../base/address.ts";
import type { ClientConfig } from "../../client/client_config.ts";
import { clientConfig } from "../target.ts";
import { certificateFindings, tlsFailure } from "./certificate.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";
import { greeting, greetingFindings, isFatal } from "./first_words.ts";
import { meet } from "./meet.ts";
import type { ExamineOptions } from "./options.ts";
import { alpnOf, type Place, placeOf, tlsLookOf } from "./place.ts";
import { seeTls, SILENT } from "./probes.ts";
import { reach } from "./reach.ts";
import { webSocket } from "./web_socket.ts";

/** The most time for one step, in milliseconds. */
const STEP_LIMIT = 5_000;

/**
 * Examines an address. It ends with the first step that makes all others useless, and never takes longer than its steps may
 * take together.
 *
 * @param address The address, as it is typed.
 * @param options The options that a client would connect with.
 * @param signal Gives up: the iteration then throws its reason.
 */
export async function* examine(
  address: string,
  options: ExamineOptions,
  signal: AbortSignal,
): AsyncGenerator<Finding, void> {
  const limits = { ms: Math.min(STEP_LIMIT, options.connectTimeout ?? STEP_LIMIT), signal };
  let config: ClientConfig;
  let place: Place;
  try {
    place = placeOf(address, options);
    config = { ...await clientConfig(address, options), logger: SILENT };
    // Options that contradict each other show now.
    new Client(config);
  } catch (error) {
    return yield failed("address", reasonOf(error), "see veltix doctor --help");
  }
  yield* addressFindings(place);
  const reached = yield* reach(place, limits);
  if (reached === undefined) return;

  let time: number | undefined;
  if (place.tls === undefined && place.url === undefined) {
    const greeted = await greeting(reached, limits, config);
    yield* greetingFindings(greeted, place, config, limits, reached);
    if (isFatal(greeted, config)) return;
    time = greeted.time;
  }
  if (place.tls !== undefined) {
    const look = tlsLookOf(options, place);
    try {
      const seen = await seeTls(place.endpoint, look, limits, alpnOf(place));
      const findings = await certificateFindings(seen, config, place, limits);
      yield* findings;
      if (findings.some(({ status }) => status === "failed")) return;
    } catch (error) {
      signal.throwIfAborted();
      return yield tlsFailure(error, place);
    }
  }
  if (place.url !== undefined) {
    const answers = yield* webSocket(place, place.url, options, limits);
    if (answers === undefined) return;
    const date = Date.parse(answers.headers.get("date") ?? "");
    if (!Number.isNaN(date)) time = date;
  }
  yield* meet(config, limits, time);
}

async function* addressFindings({ endpoint, url, tls }: Place): AsyncGenerator<Finding, void> {
  const kind = url !== undefined
    ? `WebSocket ${url.href.replace(/^http/, "ws")}`
    : "path" in endpoint
    ? "a unix socket"
    : "TCP";
  const over = tls === undefined || url !== undefined ? "" : ", with TLS";
  const at = addressText(endpoint);
  if ("hostname" in endpoint && /^(?:0\.0\.0\.0|::)$/.test(endpoint.hostname)) {
    yield warning(
      "address",
      `${at} stands for all addresses of a server`,
      "connect to 127.0.0.1, or to its real address",
    );
  } else yield ok("address", `${at}, ${kind}${over}`);
}
