/**
 * The server broadcasts 2,000 messages to 100 clients; every client counts its own by serial number.
 *
 * @module
 */

import { Payloads, SerialCheck } from "../../src/cli/bench/payloads.ts";
import type { Peer } from "../subject.ts";
import type { Workload } from "../workload.ts";
import { measurePasses } from "./passes.ts";

const CLIENTS = 100;
const MESSAGES = 2000;
const SIZE = 64;
const RING = 1024;

/** See the module. */
export const broadcast: Workload = async (context) => {
  let left = 0;
  let delivered = () => {};
  const checks: SerialCheck[] = [];
  const peers: Peer[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    const check = new SerialCheck(1, RING, SIZE);
    checks.push(check);
    peers.push(
      await context.connect((content) => {
        check.take(content);
        if (--left === 0) delivered();
      }),
    );
  }
  const trigger = new Payloads(SIZE, 0, 1).next();
  await context.server({ type: "broadcast", messages: MESSAGES, ring: RING, size: SIZE });
  const result = await measurePasses(context, CLIENTS * MESSAGES, async () => {
    const all = new Promise<void>((resolve) => delivered = resolve);
    left = CLIENTS * MESSAGES;
    peers[0].send(trigger);
    await all;
  });
  for (const check of checks) context.confirm(result.passes * MESSAGES, check);
  await Promise.all(peers.map((peer) => peer.close()));
  return { "broadcast": result.rate, "broadcast cpu": result.cpu };
};
