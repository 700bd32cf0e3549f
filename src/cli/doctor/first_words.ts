/**
 * What a server says first, and what it may be if it says nothing.
 *
 * @module
 */

import { Client } from "../../auto/client.ts";
import { addressText, type Endpoint } from "../../base/address.ts";
import { printable } from "../../base/untrusted.ts";
import type { ClientConfig } from "../../client/client_config.ts";
import { protocol as protocolNamed } from "../../wire/protocols.ts";
import { failed, type Finding, ok } from "./finding.ts";
import { type Greeted, greetingOf } from "./greeting.ts";
import { keysOf } from "./meet.ts";
import type { Place } from "./place.ts";
import { askHttp, firstBytes, type Limits, seeTls, SILENCE, SILENT } from "./probes.ts";

/** Returns what a server is by its first words. If there are none, it is asked as a server of other kinds. */
export async function greeting(at: Endpoint, limits: Limits, { protocol }: ClientConfig): Promise<Greeted> {
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

/** Returns whether a client with this configuration has no use for such a server. */
export function isFatal({ kind }: Greeted, { encryption, protocol }: ClientConfig): boolean {
  if (kind === "encrypted") return encryption === undefined;
  if (kind === "silent") return !speaksLater(protocol);
  return kind === "other" || kind === "refused" || kind === "tls" ||
    encryption !== undefined && kind !== "native" && kind !== "python";
}

/** Yields what that means for a client. */
export async function* greetingFindings(
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
