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
/**
 * Passes at most: closed connections keep their client port for a minute, and the system looks the longer for a free one the
 * more of the 28,000 are kept. A library takes some thousand connections until its runtime has compiled it.
 */
const MOST = { warmUp: 12, measure: 18 };
/** In milliseconds. */
const WARM_UP = 1_500;

/** See the module. */
export const connect: Workload = async (context) => {
  let opened = 0;
  const { share } = context.pace;
  const pace = { ...context.pace, warmUp: WARM_UP * Math.max(0.5, share) };
  const result = await measurePasses({ ...context, pace }, EACH, async () => {
    opened += EACH;
    await Promise.all(Array.from({ length: AT_A_TIME }, () => openAndClose(context, EACH / AT_A_TIME)));
  }, MOST);
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
