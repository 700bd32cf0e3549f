/**
 * Where a server listens in one of its lives, and by which sockets.
 *
 * @module
 */

import type { EndpointCore } from "../app/endpoint_core.ts";
import type { EventMap } from "../app/events.ts";
import { type Log, writeNote } from "../app/log.ts";
import type { Address, Endpoint } from "../base/address.ts";
import type { Transport } from "../transport.ts";
import type { Place, ServerLimits } from "./server_config.ts";

/** Where to listen, and by which sockets. */
export interface Spot {
  /** Where. */
  readonly at: Endpoint;
  /** By which sockets. */
  readonly transport: Transport;
}

/**
 * Loads what the places of a server need.
 *
 * @param core Brings the sockets.
 * @param places Where to listen.
 * @param before Where it listened in its last life, if there was one: at the same ports again.
 */
export function spotsOf<P, Map extends EventMap>(
  core: EndpointCore<Map>,
  places: readonly Place<P>[],
  before: readonly Address[] | undefined,
): Promise<Spot[]> {
  return Promise.all(places.map(async ({ at, transport }, i) => {
    const was = before?.[i];
    const endpoint = was !== undefined && "port" in was ? { ...at, port: was.port } : at;
    return { at: endpoint, transport: await core.sockets(transport) };
  }));
}

/** Says so when there may be more connections than the process may have files and sockets. */
export async function checkDescriptors(
  log: Log,
  { maxConnections, maxPendingHandshakes }: ServerLimits,
  spots: readonly Spot[],
): Promise<void> {
  const most = await fewestDescriptors(spots);
  if (most === undefined || maxConnections + maxPendingHandshakes <= most) return;
  const limit = `this process may have ${most} files and sockets open`;
  if (maxConnections === Infinity) {
    writeNote(log, "debug", () => `No limit of connections is set, and ${limit}: set maxConnections below it`);
    return;
  }
  const sum = maxConnections + maxPendingHandshakes;
  const text = `maxConnections and maxPendingHandshakes allow ${sum} connections, but ${limit}`;
  writeNote(log, "warn", () => `${text}: raise the limit (ulimit -n) or lower them`);
}

/** What the transport says that knows of fewest; `undefined` where none knows. */
async function fewestDescriptors(spots: readonly Spot[]): Promise<number | undefined> {
  let fewest: number | undefined;
  for (const transport of new Set(spots.map((spot) => spot.transport))) {
    const most = await transport.descriptors?.();
    if (most !== undefined && (fewest === undefined || most < fewest)) fewest = most;
  }
  return fewest;
}
