/**
 * The attributes of spans that say who the two sides are.
 *
 * @module
 */

import type { Attributes } from "@opentelemetry/api";
import type { Endpoint } from "../base/address.ts";
import { ATTRIBUTE } from "./names.ts";

/** Adds an address by two names. A unix socket has no port. */
function add(attributes: Attributes, address: Endpoint, host: string, port: string): void {
  if ("path" in address) {
    if (address.path !== "") attributes[host] = address.path;
    return;
  }
  attributes[host] = address.hostname;
  attributes[port] = address.port;
}

/** Adds the side that answers. */
export function addServer(attributes: Attributes, address: Endpoint): void {
  add(attributes, address, ATTRIBUTE.serverAddress, ATTRIBUTE.serverPort);
}

/** Adds the side that asks. */
export function addClient(attributes: Attributes, address: Endpoint): void {
  add(attributes, address, ATTRIBUTE.clientAddress, ATTRIBUTE.clientPort);
}

/** Adds the other end of the connection, and how it is reached. */
export function addPeer(attributes: Attributes, address: Endpoint): void {
  add(attributes, address, ATTRIBUTE.peerAddress, ATTRIBUTE.peerPort);
  attributes[ATTRIBUTE.transport] = "path" in address ? "unix" : "tcp";
}
