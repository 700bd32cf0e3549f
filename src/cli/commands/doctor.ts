/**
 * `veltix doctor`: finds out why a client cannot connect.
 *
 * @module
 */

import type { CommandModule } from "../command.ts";
import { examine } from "../doctor/examine.ts";
import type { ExamineOptions } from "../doctor/options.ts";
import type { Finding } from "../doctor/finding.ts";
import { CommandError, ExitCode } from "../exit_codes.ts";
import type { Output, Style } from "../output.ts";
import { withTarget } from "../target.ts";

const MARKS: Readonly<Record<Finding["status"], readonly [mark: string, style: Style]>> = {
  ok: ["✓", "green"],
  failed: ["✗", "red"],
  warning: ["!", "yellow"],
  skipped: ["-", "dim"],
};

/** What the steps are called. */
const TITLES: Readonly<Record<Finding["step"], string>> = {
  address: "Address",
  dns: "DNS",
  tcp: "Connection",
  greeting: "Greeting",
  tls: "TLS",
  trust: "Trust",
  websocket: "WebSocket",
  origin: "Origin",
  encryption: "Encryption",
  handshake: "Handshake",
  credentials: "Credentials",
  ping: "Ping",
  clock: "Clock",
};

const WIDTH = Math.max(...Object.values(TITLES).map(({ length }) => length));

/** Adds the command. */
export const doctorCommand: CommandModule = (program, context) => {
  withTarget(program.command("doctor"))
    .summary("find out why a client cannot connect")
    .description(
      "Examines an address step by step: the name, the port, what the server says first, TLS, WebSocket, encryption, " +
        "the handshake, the credentials and the clock. It says what to do about what is wrong. The exit code is 0 only " +
        "if a client can connect.",
    )
    .option("--origin <origin>", "find out whether pages of this origin may connect, too (ws://… and wss://…)")
    .action(async (address: string, options: ExamineOptions, command) => {
      const output = context.output(command);
      const { signal } = context.terminal;
      const findings: Finding[] = [];
      output.progress(`Examining ${address} …`);
      for await (const finding of examine(address, options, signal)) {
        findings.push(finding);
        if (!output.quiet || finding.status === "failed") tell(output, finding);
        output.progress(`Examining ${address} …`);
      }
      output.clear();
      signal.throwIfAborted();
      const failed = findings.filter(({ status }) => status === "failed");
      const warnings = findings.filter(({ status }) => status === "warning").length;
      const ok = failed.length === 0;
      if (output.json) output.result({ step: "summary", ok, failed: failed.length, warnings }, () => "");
      if (ok) {
        const noted = warnings === 0 ? "" : `, with ${warnings} ${warnings === 1 ? "warning" : "warnings"}`;
        return output.note(`A client can connect to ${address}${noted}.`);
      }
      const code = failed[0].step === "address" ? ExitCode.USAGE : ExitCode.NO_CONNECTION;
      throw new CommandError(
        code,
        failed.every(({ step }) => step === "origin")
          ? `Programs can connect to ${address}, but pages of ${options.origin} cannot`
          : `A client cannot connect to ${address}`,
      );
    });
};

function tell(output: Output, finding: Finding): void {
  const { advice, detail, status, step } = finding;
  output.result(finding, () => {
    const [mark, style] = MARKS[status];
    const indent = " ".repeat(WIDTH + 4);
    const columns = output.terminal.isTerminal.output
      ? Math.max(20, output.terminal.columns - indent.length)
      : Infinity;
    const lines = wrapped(detail, columns);
    if (advice !== undefined) lines.push(...wrapped(`→ ${advice}`, columns).map((line) => output.style("bold", line)));
    return `${output.style(style, mark)} ${TITLES[step].padEnd(WIDTH)}  ${lines.join(`\n${indent}`)}`;
  });
}

/** Breaks a text into lines, at spaces. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
