/**
 * The addresses that a server listens at in one of its runs, and the sockets that it uses there.
 *
 * @module
 */

import type { EndpointCore } from "../app/endpoint_core.ts";
import type { EventMap } from "../app/events.ts";
import { type Log, writeNote } from "../app/log.ts";
import type { Address, Endpoint } from "../base/address.ts";
import type { ServerEncryption } from "../encryption_seam.ts";
import type { Transport } from "../transport.ts";
import type { EncryptionSettings, ListenerPlace, ServerLimits } from "./server_config.ts";

/** An address to listen at, and the sockets to use. */
export interface Spot {
  readonly at: Endpoint;
  readonly transport: Transport;
}

/**
 * Loads the sockets that a server needs, and returns its addresses with them.
 *
 * @param core Loads the sockets.
 * @param places Where to listen.
 * @param before The addresses of the last run, if there was one. Their ports are used again.
 */
export function spotsOf<P, Map extends EventMap>(
  core: EndpointCore<Map>,
  places: readonly ListenerPlace<P>[],
  before: readonly Address[] | undefined,
): Promise<Spot[]> {
  return Promise.all(places.map(async ({ at, encryption, tls, transport, webSocket }, i) => {
    const was = before?.[i];
    const endpoint = was !== undefined && "port" in was ? { ...at, port: was.port } : at;
    if (encryption !== undefined) await makeEncryption(core, encryption);
    if (tls === undefined) {
      const plain = webSocket === undefined
        ? await core.sockets(transport)
        : (await core.webSockets()).server(webSocket, undefined);
      return { at: endpoint, transport: plain };
    }
    const sockets = await core.tls();
    tls.context = sockets.context(tls.options);
    if (webSocket !== undefined) return { at: endpoint, transport: (await core.webSockets()).server(webSocket, tls) };
    return { at: endpoint, transport: sockets.server(tls) };
  }));
}

/**
 * Returns the encryption of a place. It is made when it is asked for first.
 *
 * @throws {TypeError} An option of it is of the wrong type.
 */
export async function makeEncryption<Map extends EventMap>(
  core: EndpointCore<Map>,
  settings: EncryptionSettings,
): Promise<ServerEncryption> {
  const encryption = await core.encryption();
  return settings.encryption ??= encryption.server(settings.options);
}

/** Logs if there may be more connections than the process may have files and sockets. */
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

/** Returns the smallest limit that a transport knows; `undefined` if none knows any. */
async function fewestDescriptors(spots: readonly Spot[]): Promise<number | undefined> {
  let fewest: number | undefined;
  for (const transport of new Set(spots.map((spot) => spot.transport))) {
    const most = await transport.descriptors?.();
    if (most !== undefined && (fewest === undefined || most < fewest)) fewest = most;
  }
  return fewest;
}
