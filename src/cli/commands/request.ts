/**
 * `veltix request`: sends a request and prints the answer.
 *
 * @module
 */

import { Option } from "commander";
import { bytes } from "../../message/codecs.ts";
import { formatBytes } from "../../message/format_bytes.ts";
import { messageType } from "../../message/message_type.ts";
import { oneLine } from "../../base/untrusted.ts";
import type { CommandModule } from "../command.ts";
import { withClient } from "../connect.ts";
import { rounded, timeText } from "../latency.ts";
import { metadataOf, payloadOf, type PayloadOptions, withPayload } from "../payload_options.ts";
import { PAYLOAD_FORMS, type PayloadForm, shownPayload } from "../show_payload.ts";
import { type TargetOptions, withTarget } from "../target.ts";
import { milliseconds } from "../values.ts";

interface RequestOptions extends TargetOptions, PayloadOptions {
  readonly timeout: number;
  readonly as: PayloadForm | "raw";
}

/** Adds the command. */
export const requestCommand: CommandModule = (program, context) => {
  withPayload(withTarget(program.command("request")))
    .summary("send a request and print the answer")
    .description(
      "Sends a request and prints the payload of the answer: JSON and text as they are, other bytes as hexadecimal " +
        "digits. With --verbose it prints the size, the time and the metadata, too.",
    )
    .option("--timeout <ms>", "how long to wait for the answer", milliseconds, 5_000)
    .addOption(
      new Option("--as <form>", "how to print the answer; raw writes its bytes").choices([...PAYLOAD_FORMS, "raw"])
        .default("auto"),
    )
    .action(async (address: string, code: number, typed: string | undefined, options: RequestOptions, command) => {
      const { signal } = context.terminal;
      const payload = await payloadOf(typed, options, context.terminal);
      const type = messageType(code, `type-${code}`, bytes, bytes);
      await withClient(context, command, address, options, async ({ client, output }) => {
        const { timeout, as } = options;
        output.progress("Waiting for the answer …");
        const { data, latency, meta } = await client.exchange(type, payload, {
          timeout,
          signal,
          meta: metadataOf(options),
        });
        output.clear();
        if (as === "raw" && !output.json) return context.terminal.out(data);
        const shown = shownPayload(data, as === "raw" ? "hex" : as);
        const { kind, value } = shown;
        output.result({ code, size: data.length, kind, value, meta, ms: rounded(latency) }, () => shown.text);
        if (!output.verbose) return;
        output.note(`${formatBytes(data.length)} in ${timeText(latency)} ms, ${kind}`);
        for (const [name, text] of Object.entries(meta)) output.note(`${oneLine(name)}: ${oneLine(text)}`);
      });
    });
};
