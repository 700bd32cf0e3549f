/**
 * Finds out step by step why a client cannot connect, or that it can.
 *
 * @module
 */

import { existsSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { Client } from "../../auto/client.ts";
import type { ClientConfig } from "../../client/client_config.ts";
import { addressText, type Endpoint } from "../../base/address.ts";
import { printable } from "../../base/untrusted.ts";
import { SUBPROTOCOL } from "../../adapters/web_socket/channel.ts";
import { ConnectionError, HandshakeError } from "../../errors.ts";
import type { TrustedKey } from "../../encryption_seam.ts";
import { protocol as protocolNamed } from "../../wire/protocols.ts";
import { latencyOf, timeText } from "../latency.ts";
import { clientConfig, type TargetOptions } from "../target.ts";
import { failed, type Finding, ok, reasonOf, skipped, type StepName, warning } from "./finding.ts";
import { type Greeted, greetingOf } from "./greeting.ts";
import { askHttp, firstBytes, type HttpAnswer, type Limits, resolveName, seeTls, timeToConnect } from "./probes.ts";
import { alpnOf, type Place, placeOf, tlsLookOf } from "./place.ts";
import { certificateFindings, tlsFailure } from "./certificate.ts";

/** How long a server may take until it says something, in milliseconds. Veltix servers speak first, at once. */
const SILENCE = 1_000;
/** The most time for one step, in milliseconds. */
const STEP_LIMIT = 5_000;
/** The difference of two clocks that is worth a warning, in milliseconds. */
const CLOCK_LIMIT = 5_000;

/** What goes wrong becomes a finding. */
const SILENT = { warn: (): void => {}, error: (): void => {} };

/** Options of an examination. */
export interface ExamineOptions extends TargetOptions {
  /** The origin of a page that wants to connect, such as `"https://example.org"`. */
  readonly origin?: string | undefined;
}

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

/** Resolves the name and connects to each address. Returns an endpoint that takes connections. */
async function* reach(place: Place, limits: Limits): AsyncGenerator<Finding, Endpoint | undefined> {
  const { endpoint } = place;
  if ("path" in endpoint) {
    const { path } = endpoint;
    if (!existsSync(path)) {
      yield failed("tcp", `there is no file ${path}`, "start the server, or check the path");
      return undefined;
    }
    if (!statSync(path).isSocket()) {
      yield failed("tcp", `${path} is no socket`, "check the path");
      return undefined;
    }
    return yield* connect([endpoint], limits);
  }
  const { hostname, port } = endpoint;
  if (isIP(hostname) !== 0) return yield* connect([endpoint], limits);
  try {
    const found = await resolveName(hostname, limits);
    const addresses = [...new Set(found.map(({ address }) => address))];
    if (addresses.length === 0) throw new Error("it has no addresses");
    yield ok("dns", addresses.map((address) => `${address} (IPv${isIP(address)})`).join(", "));
    return yield* connect(addresses.map((address) => ({ hostname: address, port })), limits);
  } catch (error) {
    limits.signal.throwIfAborted();
    const { code } = error as { readonly code?: string };
    if (code === "EPERM") {
      yield failed("dns", "this program may not look up names", "start it on Deno with --allow-net, or with -A");
      return undefined;
    }
    const unknown = code === "ENOTFOUND" || /not known|not found|ENOTFOUND|No address/i.test(String(error));
    yield unknown
      ? failed("dns", `nobody knows the name "${printable(hostname)}"`, "check the name, or write the IP address")
      : failed("dns", reasonOf(error), "check the name servers of this machine, or write the IP address");
    return undefined;
  }
}

const TCP_ADVICE: Readonly<Record<string, string>> = {
  refused: "start the server, and check the port; a server that listens at 127.0.0.1 is there for its own machine only",
  "timed-out": "check the address; a firewall may drop what comes, or the machine is off",
  unreachable: "check the network of this machine and the address",
  "permission-denied": "check the permissions of this program, or of the file",
};

async function* connect(endpoints: readonly Endpoint[], limits: Limits): AsyncGenerator<Finding, Endpoint | undefined> {
  const outcomes = await Promise.all(endpoints.map(async (endpoint) => {
    try {
      return { endpoint, ms: await timeToConnect(endpoint, limits) };
    } catch (error) {
      return { endpoint, error };
    }
  }));
  limits.signal.throwIfAborted();
  const good = outcomes.find(({ ms }) => ms !== undefined)?.endpoint;
  for (const { endpoint, ms, error } of outcomes) {
    const at = addressText(endpoint);
    if (ms !== undefined) {
      yield ok("tcp", `${at} takes connections (${timeText(ms)} ms)`);
      continue;
    }
    const code = error instanceof ConnectionError ? error.code : "";
    const detail = `${at}: ${reasonOf(error)}`;
    yield good === undefined ? failed("tcp", detail, TCP_ADVICE[code]) : warning(
      "tcp",
      detail,
      "have the server listen there, too, or take the address out of DNS: some clients try it first",
    );
  }
  return good;
}

async function greeting(at: Endpoint, limits: Limits, { protocol }: ClientConfig): Promise<Greeted> {
  const wait = Math.min(SILENCE, limits.ms);
  const { bytes, closed } = await firstBytes(at, limits, wait);
  const greeted = greetingOf(bytes);
  if (greeted.kind !== "silent") return greeted;
  if (closed) {
    const advice = "it may be full, or let in certain addresses only: look at its log";
    return { kind: "refused", detail: "it closes the connection at once, without a word", advice };
  }
  if (speaksLater(protocol)) {
    return { kind: "silent", detail: `it says nothing, as servers of release ${protocol} do` };
  }
  const url = new URL("http://localhost/");
  if ("hostname" in at) url.host = addressText(at);
  // In this order: some servers of HTTP close when they hear TLS, but no server of TLS answers HTTP by anything but an alert.
  const answer = await askHttp(at, url, undefined, { ms: wait, signal: limits.signal }).catch(() => undefined);
  limits.signal.throwIfAborted();
  if (answer !== undefined) {
    return {
      kind: "other",
      detail: `an HTTP server, "${printable(answer.line).slice(0, 60)}"`,
      advice: `if it takes WebSockets, write ws://${url.host}/PATH; otherwise check the port`,
    };
  }
  const tls = await seeTls(at, {}, { ms: wait, signal: limits.signal }).catch(() => undefined);
  limits.signal.throwIfAborted();
  if (tls !== undefined) return { kind: "tls", detail: `a server that speaks ${tls.version}`, advice: "add --tls" };
  if (await answersAs("1.3.0", at, limits)) {
    return {
      kind: "silent",
      detail: "a Python Veltix server of release 1.2 or 1.3, which waits for the client",
      advice: "add --protocol 1.3.0, or --protocol 1.2.1 for release 1.2",
    };
  }
  return {
    kind: "silent",
    detail: `it said nothing within ${wait} ms, whatever it was asked`,
    advice: "it is no Veltix server, or full, or held up by another client: check the host and the port",
  };
}

/** Returns whether a server answers a PING of a release that has no handshake. */
async function answersAs(protocol: string, at: Endpoint, { ms, signal }: Limits): Promise<boolean> {
  const client = new Client({ ...at, protocol, logger: SILENT });
  try {
    await client.connect({ signal });
    await client.ping({ timeout: Math.min(SILENCE, ms), signal });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  } finally {
    await client.close({ drain: 0 });
  }
}

/** Returns whether servers of a release wait for the client to begin. */
function speaksLater(protocol: string | undefined): boolean {
  return protocol !== undefined && protocol !== "auto" && protocol !== "native" &&
    protocolNamed(protocol).handshake === "none";
}

function isFatal({ kind }: Greeted, { encryption, protocol }: ClientConfig): boolean {
  if (kind === "encrypted") return encryption === undefined;
  if (kind === "silent") return !speaksLater(protocol);
  return kind === "other" || kind === "refused" || kind === "tls" ||
    encryption !== undefined && kind !== "native" && kind !== "python";
}

async function* greetingFindings(
  greeted: Greeted,
  { endpoint }: Place,
  config: ClientConfig,
  limits: Limits,
  at: Endpoint,
): AsyncGenerator<Finding, void> {
  const { advice, detail, kind } = greeted;
  if (kind === "encrypted" && config.encryption === undefined) {
    const keys = await keysOf({ ...config, ..."path" in endpoint ? endpoint : { ...endpoint } }, limits).catch(
      () => [],
    );
    limits.signal.throwIfAborted();
    const shown = keys.map(({ publicKey }) => publicKey).join(" or ");
    yield failed(
      "greeting",
      `${detail}${shown === "" ? "" : `, which shows ${shown}`}`,
      `ask its owner for the public key, and add --trust KEY${shown === "" ? "" : "; compare it with the one shown"}`,
    );
  } else if (isFatal(greeted, config)) yield failed("greeting", detail, advice);
  else yield ok("greeting", `${detail}${at === endpoint ? "" : ` (${addressText(at)})`}`);
}

/** Returns the keys that an encrypted server shows. Nothing but a hello is sent to it. */
export async function keysOf(config: ClientConfig, limits: Limits): Promise<readonly TrustedKey[]> {
  let seen: readonly TrustedKey[] = [];
  const trust = (keys: readonly TrustedKey[]): boolean => {
    seen = keys;
    return false;
  };
  const client = new Client({ ...config, credentials: undefined, encryption: { trust }, handshakeTimeout: limits.ms });
  try {
    await client.connect({ signal: limits.signal });
  } catch (error) {
    if (seen.length === 0) throw error;
  } finally {
    await client.close({ drain: 0 });
  }
  return seen;
}

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
async function* webSocket(
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

const HANDSHAKE_ADVICE: Readonly<Record<string, string>> = {
  "client-certificate-required": "add --cert and --key",
  "encryption-required": "add --trust with its public key",
  "encryption-unavailable": "leave out --trust, or have the server encrypt",
  "handshake-timeout": "it may be held up, or not be a Veltix server",
  "identity-mismatch": "check the key with the owner of the server: another machine may have taken its place",
  "native-required": "it takes native clients only: leave out --protocol",
  "tls-required": "add --tls",
  "too-many-connections": "it is full: try again later",
  "version-mismatch": "set --protocol to its release, or leave it out",
};

/** Connects as a client does, and asks for the time of a PING. */
async function* meet(config: ClientConfig, limits: Limits, time: number | undefined): AsyncGenerator<Finding, void> {
  const { encryption } = config;
  let shown: readonly TrustedKey[] = [];
  const trusted = encryption === undefined ? [] : [encryption.trust].flat() as readonly string[];
  const trust = (keys: readonly TrustedKey[]): boolean => {
    shown = keys;
    return keys.some(({ publicKey }) => trusted.includes(publicKey));
  };
  const client = new Client({
    ...config,
    ...encryption === undefined ? {} : { encryption: { ...encryption, trust } },
    handshakeTimeout: limits.ms,
  });
  const start = performance.now();
  try {
    await client.connect({ signal: limits.signal });
    const ms = performance.now() - start;
    if (encryption !== undefined) yield ok("encryption", `the server has proved that it has ${client.serverKey}`);
    yield ok("handshake", `${client.stats().protocol} (${timeText(ms)} ms)`);
    yield config.credentials === undefined
      ? skipped("credentials", "none were given, and none were asked for")
      : ok("credentials", "sent, and the server let this client in");
    yield* pings(client, limits);
    yield clock(time);
  } catch (error) {
    limits.signal.throwIfAborted();
    yield meetingFailure(error, shown, config);
  } finally {
    await client.close({ drain: 0 });
  }
}

function meetingFailure(error: unknown, shown: readonly TrustedKey[], { credentials }: ClientConfig): Finding {
  const code = error instanceof HandshakeError ? error.code : "";
  const step: StepName = code === "unauthorized"
    ? "credentials"
    : code === "identity-mismatch" || code.startsWith("encryption-")
    ? "encryption"
    : "handshake";
  const keys = shown.map(({ publicKey }) => publicKey).join(", ");
  const detail = `${reasonOf(error)}${step === "encryption" && keys !== "" ? `; it shows ${keys}` : ""}`;
  const advice = code === "unauthorized"
    ? credentials === undefined ? "add --credentials, or --identity with --trust" : "check the credentials"
    : HANDSHAKE_ADVICE[code];
  return failed(step, detail, advice);
}

async function* pings(client: Client, { ms, signal }: Limits): AsyncGenerator<Finding, void> {
  const times: number[] = [];
  for (let i = 0; i < 3; i++) times.push(await client.ping({ timeout: ms, signal }).catch(() => NaN));
  signal.throwIfAborted();
  const latency = latencyOf(times.filter((time) => !Number.isNaN(time)));
  yield latency === undefined
    ? failed(
      "ping",
      `no answer within ${ms} ms`,
      "the server is held up: look at its load, or at the network in between",
    )
    : ok("ping", `${timeText(latency.min)} ms, the best of ${times.length}`);
}

/** Compares the clocks. Only some protocols say what time it is. */
function clock(time: number | undefined): Finding {
  if (time === undefined) return skipped("clock", "the server does not say what time it is");
  const ahead = Math.round((time - Date.now()) / 1000);
  const text = Math.abs(ahead) < 2
    ? "both clocks agree"
    : `the clock of the server is ${Math.abs(ahead)} s ${ahead > 0 ? "ahead" : "behind"}`;
  if (Math.abs(ahead) * 1000 < CLOCK_LIMIT) return ok("clock", text);
  return warning("clock", text, "set both clocks by NTP: certificates and time stamps depend on them");
}
