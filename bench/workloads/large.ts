/**
 * One-way messages of 64 KB, 1 MB and 8 MB whose payloads are made anew for each, as by a program that reads files: copied
 * by `send`, and given away to it with `transfer`. Only the library has both.
 *
 * @module
 */

import { Payloads } from "../../src/cli/bench/payloads.ts";
import type { Context, Figures, Workload } from "../workload.ts";
import { measurePasses } from "./passes.ts";

const LOADS = [
  { name: "64 KB", size: 65_536, each: 1_000 },
  { name: "1 MB", size: 1_048_576, each: 60 },
  { name: "8 MB", size: 8_388_608, each: 8 },
] as const;
const RING = 16;

/** See the module. */
export const large: Workload = async (context) => {
  const figures: Figures = {};
  for (const { name, size, each } of LOADS) {
    for (const given of [false, true]) {
      const result = await measure(context, size, each, given);
      if (result === undefined) continue;
      const key = `large ${name}${given ? ", given away" : ""}`;
      figures[key] = result.rate;
      figures[`${key} cpu`] = result.cpu;
    }
  }
  return figures;
};

/** Measures one load. Returns `undefined` if the subject cannot take payloads over. */
async function measure(
  context: Context,
  size: number,
  each: number,
  given: boolean,
): Promise<{ readonly rate: number; readonly cpu: number } | undefined> {
  let confirm = () => {};
  const peer = await context.connect(() => confirm());
  const send = given ? peer.give : peer.send;
  if (send === undefined) {
    await peer.close();
    return undefined;
  }
  const payloads = new Payloads(size, 0, RING);
  await context.server({ type: "count", senders: 1, ring: RING, size, pass: each });
  const result = await measurePasses(context, each, async () => {
    const confirmed = new Promise<void>((resolve) => confirm = resolve);
    for (let i = 0; i < each; i++) {
      if (!send.call(peer, payloads.next().slice())) await peer.ready();
    }
    await confirmed;
  });
  const { count } = await context.server({ type: "report" });
  context.confirm(result.passes * each, count);
  await peer.close();
  return result;
}
