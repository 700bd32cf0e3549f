/**
 * The steps of a run: each measures one thing once, and adds what it finds.
 *
 * @module
 */

import { CommandError, ExitCode } from "../exit_codes.ts";
import type { Findings } from "./findings.ts";
import type { LoadResult } from "./load.ts";
import type { BenchName, BenchPlan, FiveName } from "./options.ts";
import { confirmCount } from "./payloads.ts";
import { pythonBurst } from "./python_form/burst.ts";
import type { FormBench } from "./python_form/context.ts";
import { fps } from "./python_form/fps.ts";
import { latency } from "./python_form/latency.ts";
import { memory } from "./python_form/memory.ts";
import { pythonStress } from "./python_form/stress.ts";
import type { Target } from "./target_bench.ts";

/** The five by name. */
const FORMS: Readonly<Record<FiveName, FormBench>> = { memory, latency, fps, burst: pythonBurst, stress: pythonStress };

/** Milliseconds of a short measurement of the five. */
const SHORT = 1_000;

/** One thing that is measured in several rounds. */
export interface Step {
  /** Such as "burst" or "requests 64 B". */
  readonly name: string;
  readonly rounds: number;
  /**
   * Measures it once.
   *
   * @param findings Takes the figures; `undefined` for a round that does not count.
   */
  round(findings: Findings | undefined): Promise<void>;
}

/** What the steps need. */
export interface StepsContext {
  readonly plan: BenchPlan;
  /** Returns the server that is measured. It starts the package's own at the first call. */
  target(): Promise<{ readonly target: Target; readonly code: number | undefined }>;
  readonly signal: AbortSignal;
}

/** Returns the steps of a run, in their order. */
export function stepsOf(context: StepsContext): Step[] {
  return context.plan.names.flatMap((name) => stepsNamed(name, context));
}

function stepsNamed(name: BenchName, context: StepsContext): Step[] {
  const { plan } = context;
  switch (name) {
    case "connect":
      return [connectStep(context)];
    case "ping":
      return [pingStep(context)];
    case "requests":
      return plan.sizes.map((size) => requestStep(context, size));
    default:
      return [formStep(name, context)];
  }
}

function formStep(name: FiveName, { plan, signal }: StepsContext): Step {
  const { numbers, share, transport } = plan;
  return {
    name,
    rounds: plan.rounds.five,
    async round(findings): Promise<void> {
      await FORMS[name]({
        config: { core: transport },
        pace: { measure: SHORT, connections: Infinity, share },
        numbers,
        signal,
        confirm: confirmCount,
        python: (result) => findings?.addPython(result),
      });
    },
  };
}

function connectStep({ plan, target }: StepsContext): Step {
  return {
    name: "connect",
    rounds: plan.rounds.target,
    async round(findings): Promise<void> {
      const times = await (await target()).target.connects(plan.duration);
      findings?.add("connect: p50", "µs", 1000 * times.percentile(50));
      findings?.add("connect: p99", "µs", 1000 * times.percentile(99));
      findings?.add("connect: longest", "µs", 1000 * times.greatest);
    },
  };
}

function pingStep({ plan, signal, target }: StepsContext): Step {
  return {
    name: "ping",
    rounds: plan.rounds.target,
    async round(findings): Promise<void> {
      const load = { ...plan, inFlight: plan.inFlight.ping };
      take("ping", plan.rate, await (await target()).target.pings(load), findings, signal);
    },
  };
}

function requestStep({ plan, signal, target }: StepsContext, size: number): Step {
  const name = `requests ${size} B`;
  return {
    name,
    rounds: plan.rounds.target,
    async round(findings): Promise<void> {
      const { code, target: server } = await target();
      const load = { ...plan, inFlight: plan.inFlight.requests };
      take(name, plan.rate, await server.requests(code!, size, load), findings, signal);
    },
  };
}

/** Adds a round. Throws where there is no sense in another one. */
function take(
  name: string,
  rate: number | undefined,
  result: LoadResult,
  findings: Findings | undefined,
  signal: AbortSignal,
): void {
  findings?.addLoad(name, rate, result);
  signal.throwIfAborted();
  const [first] = result.errors.keys();
  if (result.isCut) {
    throw new CommandError(ExitCode.NO_CONNECTION, `${name}: the connections were lost${because(first)}`);
  }
  if (result.done === 0) throw new CommandError(ExitCode.REMOTE, `${name}: none was answered${because(first)}`);
}

function because(message: string | undefined): string {
  return message === undefined ? "" : `: ${message}`;
}
