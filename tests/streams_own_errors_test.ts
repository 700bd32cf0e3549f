/** Errors of a handler that pipes: those of its own side are reported, those that the opener caused are not. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type IncomingStream, RemoteError, streamType, text } from "../mod.ts";
import { streamPeers } from "./streams_support.ts";

const BYTES = streamType(300, "bytes");
const ITEMS = streamType(301, "items", { up: text, down: text });

/** A sink that is broken, such as a full disk. */
function brokenSink(): WritableStream {
  return new WritableStream({
    write(): void {
      throw new Error("disk full");
    },
  });
}

/** A source that is broken. */
function brokenSource(): ReadableStream {
  return new ReadableStream({
    pull(): void {
      throw new Error("disk full");
    },
  });
}

type Incoming = IncomingStream<void, never, never>;

const OWN: Record<string, (stream: Incoming) => Promise<void>> = {
  "a sink that fails": ({ readable }) => readable.pipeTo(brokenSink()),
  "a source that fails": ({ writable }) => brokenSource().pipeTo(writable),
  "a step between that fails": ({ readable }) =>
    readable.pipeThrough(new TransformStream({ transform: () => Promise.reject(new Error("disk full")) }))
      .pipeTo(new WritableStream()),
  "a loop that fails": async ({ readable }) => {
    for await (const _ of readable) throw new Error("disk full");
  },
};

const PEERS: Record<string, (stream: Incoming) => Promise<void>> = {
  "reads": async ({ readable }) => {
    for await (const _ of readable);
  },
  "pipes what it reads": ({ readable }) => readable.pipeTo(new WritableStream()),
  "pipes what it reads back": ({ readable, writable }) => readable.pipeTo(writable),
};

describe("a handler of a stream", () => {
  for (const [type, item] of [[BYTES, new Uint8Array(3)], [ITEMS, "abc"]] as const) {
    for (const [how, handler] of Object.entries(OWN)) {
      it(`of ${type.name} reports ${how}, and the opener is told`, async () => {
        await using peers = await streamPeers();
        peers.server.stream(type as typeof BYTES, handler as never);
        const stream = peers.client.open(type as typeof BYTES);
        stream.writable.getWriter().write(item as Uint8Array).catch(() => {});
        const error = await stream.result.then(() => undefined, (error) => error);
        assertEquals([error instanceof RemoteError, error?.message], [true, "disk full"]);
        assertEquals(peers.errors.map(String), ["Error: disk full"]);
      });
    }

    for (const [how, handler] of Object.entries(PEERS)) {
      it(`of ${type.name} that ${how} reports nothing when the opener gives up`, async () => {
        for (const way of ["abort", "cancel"] as const) {
          await using peers = await streamPeers();
          const { promise: over, resolve } = Promise.withResolvers<void>();
          peers.server.stream(type as typeof BYTES, (stream) => {
            const handled = handler(stream as never);
            handled.then(resolve, () => resolve());
            return handled;
          });
          const stream = peers.client.open(type as typeof BYTES);
          const writer = stream.writable.getWriter();
          await writer.write(item as Uint8Array);
          await peers.client.ping();
          if (way === "abort") stream.abort("enough");
          else {
            await stream.readable.cancel("enough");
            await writer.write(item as Uint8Array).catch(() => {});
            await writer.close().catch(() => {});
          }
          await over;
          await peers.client.ping();
          assertEquals(peers.errors, []);
        }
      });
    }
  }
});
