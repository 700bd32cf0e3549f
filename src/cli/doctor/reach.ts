/**
 * Whether an address can be reached: its name, or its file, and each of its ports.
 *
 * @module
 */

import { existsSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { addressText, type Endpoint } from "../../base/address.ts";
import { printable } from "../../base/untrusted.ts";
import { ConnectionError } from "../../errors.ts";
import { timeText } from "../latency.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";
import type { Place } from "./place.ts";
import { type Limits, resolveName, timeToConnect } from "./probes.ts";

/** Resolves the name and connects to each address. Returns an endpoint that takes connections. */
export async function* reach(place: Place, limits: Limits): AsyncGenerator<Finding, Endpoint | undefined> {
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
