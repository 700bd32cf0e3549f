/**
 * `veltix ping`: measures how long a server takes to answer.
 *
 * @module
 */

import { TimeoutError } from "../../errors.ts";
import type { CommandModule } from "../command.ts";
import { pause, withClient } from "../connect.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import { binsOf, histogram, type Latency, latencyOf, rounded, timeText } from "../latency.ts";
import type { Output } from "../output.ts";
import { type TargetOptions, withTarget } from "../target.ts";
import { count, milliseconds, seconds } from "../values.ts";

interface PingOptions extends TargetOptions {
  readonly count?: number | undefined;
  readonly interval: number;
  readonly timeout: number;
}

/** Adds the command. */
export const pingCommand: CommandModule = (program, context) => {
  withTarget(program.command("ping"))
    .summary("measure how long a server takes to answer")
    .description(
      "Sends a PING each second until Ctrl+C, and prints how long the server took to answer. At the end it prints the " +
        "loss, the percentiles, and a histogram if the output is a terminal.",
    )
    .option("-c, --count <n>", "stop after this many", count)
    .option("-i, --interval <seconds>", "the time between two of them", seconds, 1)
    .option("--timeout <ms>", "how long to wait for an answer", milliseconds, 5_000)
    .action((address: string, options: PingOptions, command) =>
      withClient(context, command, address, options, async ({ client, output }) => {
        const { count = Infinity, interval, timeout } = options;
        const { signal } = context.terminal;
        const times: number[] = [];
        let sent = 0;
        let failure: unknown;
        const start = performance.now();
        while (sent < count && !signal.aborted && failure === undefined) {
          const seq = ++sent;
          try {
            const ms = await client.ping({ timeout, signal });
            times.push(ms);
            if (!output.quiet) tell(output, address, seq, ms);
          } catch (error) {
            // Interrupting the last one does not lose it.
            if (signal.aborted) sent--;
            else if (!(error instanceof TimeoutError)) failure = error;
            else if (!output.quiet) tell(output, address, seq, undefined);
          }
          if (seq < count && failure === undefined) {
            await pause(start + seq * interval * 1000 - performance.now(), signal);
          }
        }
        conclude(output, address, sent, times, performance.now() - start);
        if (failure !== undefined) throw failure;
        if (sent > 0 && times.length === 0) throw new CommandError(ExitCode.TIMEOUT, `${address} has not answered`);
      })
    );
};

function tell(output: Output, address: string, seq: number, ms: number | undefined): void {
  output.result(
    ms === undefined ? { seq, timeout: true } : { seq, ms: rounded(ms) },
    () =>
      ms === undefined
        ? `no answer from ${address}: seq=${seq}`
        : `answer from ${address}: seq=${seq} time=${timeText(ms)} ms`,
  );
}

function conclude(output: Output, address: string, sent: number, times: readonly number[], took: number): void {
  const received = times.length;
  const latency = latencyOf(times);
  const loss = sent === 0 ? 0 : (sent - received) / sent * 100;
  const figures = latency && Object.fromEntries(Object.entries(latency).map(([name, ms]) => [name, rounded(ms)]));
  output.result({ sent, received, lossPercent: rounded(loss), ...figures }, () => {
    const percent = Number.isInteger(loss) ? loss : loss.toFixed(1);
    const lines = [
      `--- ${address} ping statistics ---`,
      `${sent} sent, ${received} received, ${percent}% loss, time ${took.toFixed(0)} ms`,
    ];
    if (latency !== undefined) lines.push(...summary(latency));
    if (received > 1 && output.terminal.isTerminal.output && !output.quiet) {
      lines.push(...histogram(binsOf(times), output.terminal.columns).map((line) => output.style("cyan", line)));
    }
    return (output.quiet ? lines : ["", ...lines]).join("\n");
  });
}

function summary({ min, avg, p50, p95, p99, max, stddev }: Latency): string[] {
  const text = (figures: readonly number[]): string => figures.map((ms) => ms.toFixed(3)).join("/");
  return [
    `rtt min/avg/max/stddev = ${text([min, avg, max, stddev])} ms`,
    `rtt p50/p95/p99 = ${text([p50, p95, p99])} ms`,
  ];
}
