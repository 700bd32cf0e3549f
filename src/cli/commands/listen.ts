/**
 * `veltix listen`: prints the messages of a server.
 *
 * @module
 */

import { Option } from "commander";
import { ConnectionError } from "../../errors.ts";
import { formatBytes } from "../../message/format_bytes.ts";
import type { Message } from "../../message/message.ts";
import type { CommandModule } from "../command.ts";
import { aborted, withClient } from "../connect.ts";
import type { Output } from "../output.ts";
import { PAYLOAD_FORMS, type PayloadForm, payloadLine, shownPayload } from "../show_payload.ts";
import { type TargetOptions, withTarget } from "../target.ts";
import { count, messageCode } from "../values.ts";

interface ListenOptions extends TargetOptions {
  readonly code?: readonly number[] | undefined;
  readonly count?: number | undefined;
  readonly reply?: string | undefined;
  readonly as: PayloadForm;
}

/** Adds the command. */
export const listenCommand: CommandModule = (program, context) => {
  withTarget(program.command("listen"))
    .summary("print the messages of a server")
    .description(
      "Prints each message that the server sends: its time, code, size and payload. It ends by Ctrl+C, or when the " +
        "connection is over, which is an error.",
    )
    .option(
      "--code <code>",
      "print messages of this type only; repeatable",
      (text, before: readonly number[] = []) => [...before, messageCode(text)],
    )
    .option("--count <n>", "stop after this many", count)
    .option("--reply <text>", "answer requests with this text")
    .addOption(new Option("--as <form>", "how to print payloads").choices(PAYLOAD_FORMS).default("auto"))
    .action(async (address: string, options: ListenOptions, command) => {
      const { terminal } = context;
      const reply = options.reply === undefined ? undefined : new TextEncoder().encode(options.reply);
      const done = Promise.withResolvers<void>();
      let left = options.count ?? Infinity;
      let reason = "closed";
      await withClient(context, command, address, options, async ({ client, output }) => {
        output.note(`Listening to ${address}. Ctrl+C ends it.`);
        await Promise.race([
          done.promise,
          aborted(terminal.signal),
          client.closed.then(() => {
            throw new ConnectionError("closed", `The connection to ${address} is over: ${reason}`);
          }),
        ]);
      }, ({ client, output }) => {
        client.on("disconnect", (state) => reason = state.refusal?.message ?? state.reason);
        client.on("message", (message) => {
          if (left === 0 || options.code?.includes(message.type.code) === false) return;
          tell(output, message, options.as);
          if (reply !== undefined && message.wantsReply) message.reply(reply);
          if (--left === 0) done.resolve();
          // A slow reader of the output slows the server down.
          return terminal.drained?.();
        });
      });
    });
};

function tell(output: Output, message: Message<Uint8Array, Uint8Array>, form: PayloadForm): void {
  const { content, meta, receivedAt, type: { code }, wantsReply } = message;
  const shown = shownPayload(content, form);
  const time = new Date(receivedAt).toISOString();
  const { kind, value } = shown;
  output.result({ time, code, size: content.length, wantsReply, kind, value, meta }, () => {
    const head = `${time.slice(11, 23)}  ${String(code).padStart(5)}  ${formatBytes(content.length).padStart(8)}  `;
    const room = output.terminal.isTerminal.output ? output.terminal.columns - head.length : Infinity;
    return `${output.style("dim", head)}${payloadLine(shown, Math.max(8, room))}`;
  });
}
