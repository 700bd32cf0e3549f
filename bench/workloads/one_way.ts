/**
 * One-way messages from any number of clients to the server, which counts them by serial number and confirms each pass: the
 * common part of burst, stress and growth.
 *
 * @module
 */

import { Payloads } from "../../src/cli/bench/payloads.ts";
import type { Peer } from "../subject.ts";
import type { Context } from "../workload.ts";
import { measurePasses, runPasses } from "./passes.ts";
import type { PassResult } from "./passes.ts";

/** The load. */
export interface OneWayLoad {
  /** How many connections send. */
  readonly clients: number;
  /** Messages that each sends in a pass. */
  readonly each: number;
  /** Bytes of a payload. */
  readonly size: number;
  /** Just so many passes, and no warm-up. @default as many as the pace allows */
  readonly passes?: number;
}

/** Opens the connections, measures, and fails unless every message came once and in order. */
export async function measureOneWay(context: Context, load: OneWayLoad): Promise<PassResult> {
  const { clients, each, size } = load;
  const ring = Math.max(16, Math.min(4096, Math.floor(2 ** 20 / (size * clients))));
  let confirm = () => {};
  const peers: Peer[] = [];
  for (let i = 0; i < clients; i++) peers.push(await context.connect(() => confirm()));
  const payloads = peers.map((_, sender) => new Payloads(size, sender, ring));

  await context.server({ type: "count", senders: clients, ring, size, pass: clients * each });
  const pass = async (): Promise<void> => {
    const confirmed = new Promise<void>((resolve) => confirm = resolve);
    await Promise.all(peers.map((peer, i) => sendAll(peer, payloads[i], each)));
    await confirmed;
  };
  const result = load.passes === undefined
    ? await measurePasses(context, clients * each, pass)
    : await runPasses(context, clients * each, pass, load.passes);

  const { count } = await context.server({ type: "report" });
  context.confirm(result.passes * clients * each, count);
  await Promise.all(peers.map((peer) => peer.close()));
  return result;
}

async function sendAll(peer: Peer, payloads: Payloads, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    if (!peer.send(payloads.next())) await peer.ready();
  }
}
