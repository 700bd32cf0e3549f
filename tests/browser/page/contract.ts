/**
 * The checks that every client makes against every server, in a page.
 *
 * @module
 */

import { Client, type ClientConfig, type Connection } from "@veltix/core";
import { webSockets } from "../../../src/adapters/web_socket/web_sockets.ts";
import type { TcpEndpoint } from "../../../src/base/address.ts";
import { encryption } from "../../../src/encryption/encrypt.ts";
import { Checks, type Result } from "../../pairs/contract.ts";
import { talk } from "../../pairs/talk.ts";

/**
 * Makes the checks. Returns what became of them; the last one is the one that failed, if one did.
 *
 * @param url The server.
 * @param trust The public key of its identity if the connection is to be encrypted, otherwise `null`.
 */
export async function contract(url: string, trust: string | null): Promise<Result[]> {
  const { hostname, port } = new URL(url);
  const to: TcpEndpoint = { hostname, port: Number(port) };
  const config: ClientConfig = trust === null ? { url } : { url, encryption: { trust } };
  const results: Result[] = [];
  const checks = new Checks((result) => results.push(result));
  await talk(checks, {
    client: () => new Client(config),
    async open(answer): Promise<Connection> {
      const connection = await webSockets().client(url, undefined).connect(to);
      if (trust === null) return connection;
      return await encryption().client({ trust }).connect(connection, to, answer);
    },
    compresses: false,
    security: trust !== null ? "noise" : url.startsWith("wss:") ? "tls" : "none",
    coarse: true,
  }).catch(() => {});
  return results;
}
