/**
 * How many connections a second are opened, 32 at a time, and closed again. Open means that both sides know it: the library
 * has finished its handshake, the floor has its server's greeting.
 *
 * @module
 */

import type { Context, Workload } from "../workload.ts";
import { measurePasses } from "./passes.ts";

const AT_A_TIME = 32;
const EACH = 320;
/** Closed connections keep their client port for a minute, and there are 28,000 ports. */
const MAX_CONNECTIONS = 25_000;

/** See the module. */
export const connect: Workload = async (context) => {
  let opened = 0;
  const { warmUp, measure } = context.pace;
  const pace = { ...context.pace, warmUp: Math.min(200, warmUp), measure: Math.min(300, measure) };
  const result = await measurePasses({ ...context, pace }, EACH, async () => {
    if (opened + EACH > MAX_CONNECTIONS) throw new Error("Cannot measure: the client ports would run out");
    opened += EACH;
    await Promise.all(Array.from({ length: AT_A_TIME }, () => openAndClose(context, EACH / AT_A_TIME)));
  });
  const { connected } = await context.server({ type: "report" });
  if (connected !== opened) throw new Error(`Lost connections: the server knows ${connected} of ${opened}`);
  return { "connect": result.rate, "connect cpu": result.cpu };
};

async function openAndClose(context: Context, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const peer = await context.connect();
    await peer.close();
  }
}
