/**
 * `veltix send`: sends messages.
 *
 * @module
 */

import { messageType } from "../../message/message_type.ts";
import { formatBytes } from "../../message/format_bytes.ts";
import type { CommandModule } from "../command.ts";
import { withClient } from "../connect.ts";
import { metadataOf, payloadOf, type PayloadOptions, withPayload } from "../payload_options.ts";
import { type TargetOptions, withTarget } from "../target.ts";
import { count } from "../values.ts";

interface SendOptions extends TargetOptions, PayloadOptions {
  readonly count: number;
  readonly latest?: string | undefined;
}

/** How many messages are sent between two looks at the progress. */
const STEP = 256;

/** Adds the command. */
export const sendCommand: CommandModule = (program, context) => {
  withPayload(withTarget(program.command("send")))
    .summary("send a message")
    .description(
      "Sends a message, or the same one several times, and waits until the server has shown by a PING that it has " +
        "received them.",
    )
    .option("--count <n>", "send it this many times", count, 1)
    .option("--latest <key>", "a message that still waits is replaced by a newer one with the same key")
    .action(async (address: string, code: number, typed: string | undefined, options: SendOptions, command) => {
      const payload = await payloadOf(typed, options, context.terminal);
      const { signal } = context.terminal;
      const type = messageType(code);
      const terms = { meta: metadataOf(options), latest: options.latest };
      await withClient(context, command, address, options, async ({ client, output }) => {
        for (let sent = 1; sent <= options.count; sent++) {
          signal.throwIfAborted();
          if (!client.send(type, payload, terms)) await client.ready();
          if (sent % STEP === 0) output.progress(`Sending: ${sent} of ${options.count}`);
        }
        await client.ping({ signal });
        const { replaced = 0 } = client.stats();
        const sent = options.count - replaced;
        const bytes = sent * payload.length;
        output.result(
          { code, sent, replaced, bytes },
          () =>
            `Sent ${sent} ${sent === 1 ? "message" : "messages"} of type ${code}, ${formatBytes(bytes)}` +
            (replaced === 0 ? "" : `; ${replaced} were replaced by newer ones`),
        );
      });
    });
};
