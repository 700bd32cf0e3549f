/**
 * Whether a client can connect: the encryption, the handshake, the credentials, and then a PING and the clock.
 *
 * @module
 */

import { Client } from "../../auto/client.ts";
import type { ClientConfig } from "../../client/client_config.ts";
import type { TrustedKey } from "../../encryption_seam.ts";
import { oneLine } from "../../base/untrusted.ts";
import { HandshakeError, TimeoutError } from "../../errors.ts";
import { latencyOf, timeText } from "../latency.ts";
import { failed, type Finding, ok, reasonOf, skipped, type StepName, warning } from "./finding.ts";
import type { Limits } from "./probes.ts";

/** The difference of two clocks that is worth a warning, in milliseconds. */
const CLOCK_LIMIT = 5_000;

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
export async function* meet(
  config: ClientConfig,
  limits: Limits,
  time: number | undefined,
): AsyncGenerator<Finding, void> {
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
  let fault: unknown;
  for (let i = 0; i < 3; i++) {
    await client.ping({ timeout: ms, signal }).then((time) => times.push(time), (error) => fault = error);
  }
  signal.throwIfAborted();
  const latency = latencyOf(times);
  yield latency === undefined
    ? failed(
      "ping",
      fault instanceof TimeoutError ? `no answer within ${ms} ms` : oneLine((fault as Error).message),
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
