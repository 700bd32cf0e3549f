/**
 * The large form of `stress`: 1,000 clients send 5,000,000 messages between them, and the server counts each one.
 *
 * @module
 */

import type { Workload } from "../workload.ts";
import { measureOneWay } from "./one_way.ts";

const CLIENTS = 1000;
const EACH = 500;
const PASSES = 10;

/** See the module. */
export const million: Workload = async (context) => {
  const clients = Math.min(CLIENTS, context.pace.connections);
  const result = await measureOneWay(context, { clients, each: EACH, size: 64, passes: PASSES });
  const total = result.passes * clients * EACH;
  const [messages, senders] = [total, clients].map((number) => number.toLocaleString("en"));
  context.note(`${messages} messages from ${senders} clients: 0 lost, 0 twice, 0 inversions`);
  return { "million": result.rate, "million cpu": result.cpu, "million: messages": total };
};
