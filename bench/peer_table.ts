/**
 * The table of a run with peers: the library beside each of them, figure by figure.
 *
 * @module
 */

import type { Figure } from "./goals.ts";
import { FIGURES } from "./goals.ts";
import type { Options, Runtime } from "./options.ts";
import { PEER_WORKLOADS, PEERS } from "./peers.ts";
import { type Sample, summarize, type Summary } from "./results.ts";
import { aligned, amount, lessIsBetter } from "../src/cli/bench/units.ts";

/** The library beside one peer in one figure. */
export interface Pairing {
  readonly figure: Figure;
  readonly runtime: Runtime;
  readonly peer: string;
  readonly ours: Summary;
  readonly theirs: Summary;
  /** How many times as good ours is: above 1 it is ahead, whether more or less of the figure is better. */
  readonly factor: number;
  /** Whether it is ahead; "~" where the rounds of both overlap, or there was one only. */
  readonly ahead: "yes" | "NO" | "yes ~" | "NO ~";
}

/** All pairs that were measured, in the order of the figures. */
export function pairingsOf(samples: readonly Sample[], runtimes: readonly Runtime[]): Pairing[] {
  return FIGURES.filter(({ workload }) => PEER_WORKLOADS.has(workload)).flatMap((figure) =>
    PEERS.flatMap(({ name, place, against }) =>
      runtimes.filter((runtime) => against.includes(runtime)).flatMap((runtime): Pairing[] => {
        const ours = summarize(samples, runtime, "veltix", figure.name);
        const theirs = summarize(samples, place, name, figure.name);
        if (ours === undefined || theirs === undefined) return [];
        return [{ figure, runtime, peer: name, ours, theirs, ...judge(figure, ours, theirs) }];
      })
    )
  );
}

/** The table as text; empty if no peer was measured. */
export function peerTable(samples: readonly Sample[], options: Pick<Options, "runtimes">): string {
  const pairings = pairingsOf(samples, options.runtimes);
  if (pairings.length === 0) return "";
  const rows = pairings.map(({ figure, runtime, peer, ours, theirs, factor, ahead }) => [
    figure.name,
    runtime,
    peer,
    amount(ours.median, figure.unit),
    amount(theirs.median, figure.unit),
    `${factor >= 10 ? factor.toFixed(0) : factor.toFixed(2)} ×`,
    ahead,
  ]);
  return aligned([["workload", "runtime", "peer", "veltix", "peer's", "factor", "ahead"], ...rows]);
}

function judge({ unit }: Figure, ours: Summary, theirs: Summary): Pick<Pairing, "factor" | "ahead"> {
  const [better, worse] = lessIsBetter(unit) ? [theirs, ours] : [ours, theirs];
  const factor = better.median / worse.median;
  const apart = ours.min > theirs.max || ours.max < theirs.min;
  const verdict = factor >= 1 ? "yes" : "NO";
  return { factor, ahead: apart && ours.rounds > 1 && theirs.rounds > 1 ? verdict : `${verdict} ~` };
}
