/**
 * Requests on one connection with 100 and with 1,000 in flight.
 *
 * @module
 */

import type { Figures, Workload } from "../workload.ts";
import { measurePasses } from "./passes.ts";
import { Requests } from "./requests.ts";

const EACH = 50_000;

/** See the module. */
export const pipelined: Workload = async (context) => {
  const figures: Figures = {};
  for (const inFlight of [100, 1000]) {
    const peer = await context.connect();
    const requests = new Requests(peer, 64);
    const result = await measurePasses(context, EACH, () => requests.run(EACH, inFlight));
    requests.confirm(context);
    await peer.close();
    figures[`pipelined ${inFlight}`] = result.rate;
    figures[`pipelined ${inFlight} cpu`] = result.cpu;
  }
  return figures;
};
