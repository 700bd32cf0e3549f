/** The queue of one connection: what is packed comes out as it went in, in order, and keeps nothing alive. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { IncomingMessage } from "../src/app/incoming_message.ts";
import { MessageQueue, type Received } from "../src/app/message_queue.ts";
import { Random } from "./wire_support.ts";

interface Made extends Omit<Received, "content"> {
  content: Uint8Array;
  size: number;
  readonly receivedAt: number;
  kept: number;
}

// deno-lint-ignore explicit-function-return-type
function make() {
  const queue = new MessageQueue({
    unpacked: (received, receivedAt) =>
      ({ ...received, size: received.content.length, receivedAt, kept: 0 }) as unknown as IncomingMessage,
  });
  return { queue, first: () => queue.first as unknown as Made };
}

describe("a queue of messages", () => {
  it("hands out what it was given, in order, packed or not, whatever the sizes", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const { queue, first } = make();
      const expected: Made[] = [];
      let bytes = 0;
      for (let step = 0; step < 2_000; step++) {
        if (random.below(5) < 3) {
          const content = new Uint8Array(random.pick([0, 1, 16, 511, 512, 513, 3_000])).fill(step);
          const received = {
            code: random.below(65_536),
            requestId: random.pick([0, 7, 0xffffffff, "00112233-4455-4677-8899-aabbccddeeff"]),
            sentAt: random.pick([undefined, 0, 2 ** 53 - 1, 1_700_000_000_000]),
            content,
          };
          const receivedAt = 1_700_000_000_000 + step + 0.5;
          const packs = content.length <= 512 && typeof received.requestId === "number";
          assertEquals(queue.pack(received, receivedAt), packs);
          const message = { ...received, size: content.length, content: content.slice(), receivedAt, kept: 0 };
          if (!packs) queue.push(message as unknown as IncomingMessage);
          message.kept = packs ? 24 + content.length : content.length;
          content.fill(255);
          if (!packs) message.content = content;
          expected.push(message);
          bytes += message.kept;
        } else if (expected.length > 0) {
          const message = first();
          assertEquals(message, expected[0], `seed ${seed}, step ${step}`);
          assert(first() === message, "it stays the same until it is taken out");
          bytes -= message.kept;
          queue.shift(message as unknown as IncomingMessage);
          expected.shift();
        }
        assertEquals([queue.size, queue.bytes], [expected.length, bytes]);
      }
      for (; expected.length > 0; expected.shift()) {
        const message = first();
        assertEquals(message, expected[0]);
        queue.shift(message as unknown as IncomingMessage);
      }
      assertEquals([queue.size, queue.bytes, queue.first], [0, 0, undefined]);
    }
  });

  it("hands out payloads that keep no more alive than themselves", () => {
    const { queue, first } = make();
    for (let i = 0; i < 100; i++) {
      queue.pack({ code: 200, requestId: 0, sentAt: undefined, content: new Uint8Array(3) }, 0);
    }
    for (let i = 0; i < 100; i++) {
      const message = first();
      assertEquals(message.content.buffer.byteLength, 3);
      queue.shift(message as unknown as IncomingMessage);
    }
  });

  it("is empty once it was cleared, and works again", () => {
    const { queue, first } = make();
    const received = { code: 200, requestId: 1, sentAt: undefined, content: new Uint8Array([1, 2]) };
    for (let i = 0; i < 100; i++) queue.pack(received, i);
    assertEquals(first().receivedAt, 0);
    queue.clear();
    assertEquals([queue.size, queue.bytes, queue.first], [0, 0, undefined]);
    queue.pack(received, 7);
    assertEquals(first().receivedAt, 7);
  });
});
