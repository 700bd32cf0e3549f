/** A Server and a Client over whatever carries bytes both ways, handed to the server by `accept()`. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { PassThrough } from "node:stream";
import { type Connection, fromMessagePort, fromStdio, fromStreams } from "../mod.ts";
import { clientOver, converse, serve, UPPER } from "./accept_support.ts";
import { limited } from "./processes/waiting.ts";
import { turn, until } from "./session_support.ts";

/** The two ends of something. */
type Pair = readonly [client: Connection, server: Connection];

/**
 * One direction of a bidirectional stream of WebTransport: the reading end is a byte stream, and what is written waits until
 * it is asked for. At most 100 KB wait in between.
 */
function webTransportWay(): {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array<ArrayBuffer>>;
} {
  let incoming!: ReadableByteStreamController;
  let pulled = Promise.withResolvers<void>();
  const readable = new ReadableStream({
    type: "bytes",
    start: (controller) => void (incoming = controller),
    pull: () => pulled.resolve(),
    cancel: () => pulled.reject(new Error("The peer does not want more (STOP_SENDING)")),
  }, { highWaterMark: 100_000 });
  pulled.promise.catch(() => {});
  const writable = new WritableStream<Uint8Array<ArrayBuffer>>({
    async write(chunk): Promise<void> {
      // The chunk is the stream's own from then on, as with a real one.
      incoming.enqueue(chunk.slice());
      if (incoming.desiredSize! > 0) return;
      await pulled.promise;
      pulled = Promise.withResolvers();
      pulled.promise.catch(() => {});
    },
    close: () => incoming.close(),
    abort: (reason) => incoming.error(reason),
  });
  return { readable, writable };
}

const CARRIERS: Record<string, () => Pair> = {
  "Web Streams": () => {
    const [up, down] = [new TransformStream(), new TransformStream()];
    return [
      fromStreams({ readable: down.readable, writable: up.writable }),
      fromStreams({ readable: up.readable, writable: down.writable }),
    ];
  },
  "a bidirectional stream of WebTransport": () => {
    const [up, down] = [webTransportWay(), webTransportWay()];
    return [
      fromStreams({ readable: down.readable, writable: up.writable }),
      fromStreams({ readable: up.readable, writable: down.writable }, { remote: { hostname: "192.0.2.9", port: 443 } }),
    ];
  },
  "a message channel": () => {
    const { port1, port2 } = new MessageChannel();
    return [fromMessagePort(port1), fromMessagePort(port2)];
  },
  "streams of Node": () => {
    const [up, down] = [new PassThrough(), new PassThrough()];
    return [fromStdio({ stdin: up, stdout: down }), fromStdio({ stdin: down, stdout: up })];
  },
};

for (const [name, make] of Object.entries(CARRIERS)) {
  describe(`a session over ${name}`, () => {
    it("carries requests and streams, and ends when the client closes it", async () => {
      await using served = await serve();
      const [here, there] = make();
      served.server.accept(there);
      const client = clientOver(() => here);
      const reasons: string[] = [];
      client.on("disconnect", ({ reason }) => reasons.push(reason));
      await client.connect();
      await converse(served.server, client);
      await client.close();
      const [{ address }, { reason }] = await served.events.next("disconnect");
      assertEquals([reasons, reason, address], [["manual"], "going-away", there.remote]);
      assertEquals([await here.closed, await there.closed], [undefined, undefined]);
      assertEquals(served.events.of("error"), []);
    });

    it("ends when the server closes it, after what is under way", async () => {
      const served = await serve();
      const [here, there] = make();
      served.server.accept(there);
      const client = clientOver(() => here);
      const left = new Promise<string>((resolve) => client.on("disconnect", ({ reason }) => resolve(reason)));
      await client.connect();
      await served.events.next("connect");
      const slow = Promise.withResolvers<string>();
      served.server.unroute(UPPER);
      served.server.route(UPPER, () => slow.promise);
      const asking = client.request(UPPER, "a");
      await until(() => served.server.clients[0].stats().framesReceived > 0);
      const closing = served.server.close();
      slow.resolve("answered");
      assertEquals(await asking, "answered");
      await closing;
      assertEquals(await left, "going-away");
      assertEquals((await served.events.next("disconnect"))[1].reason, "server-closed");
      await client.close();
      assertEquals([await here.closed, await there.closed], [undefined, undefined]);
    });

    for (const side of ["client", "server"] as const) {
      it(`ends at both ends when it is aborted at that of the ${side}`, async () => {
        await using served = await serve();
        const [here, there] = make();
        served.server.accept(there);
        const client = clientOver(() => here);
        const left = new Promise<string>((resolve) => client.on("disconnect", ({ reason }) => resolve(reason)));
        await client.connect();
        assertEquals(await client.request(UPPER, "a"), "A");
        (side === "client" ? here : there).abort(new Error("enough"));
        const lost = ["network-error", "peer-closed"];
        const [, { reason }] = await limited("the end at the server", 20_000, served.events.next("disconnect"));
        assert(lost.includes(reason), reason);
        const code = await limited("the end at the client", 20_000, left);
        assert(lost.includes(code), code);
        await client.close();
      });
    }

    it("may be encrypted", async () => {
      const { Identity } = await import("@veltix/core/encryption");
      const identity = await Identity.generate();
      await using served = await serve({ encryption: { identity } });
      const [here, there] = make();
      served.server.accept(there);
      const client = clientOver(() => here, { encryption: { trust: identity.publicKey } });
      await client.connect();
      await converse(served.server, client);
      assertEquals(served.server.clients[0].security, "noise");
      await client.close();
    });

    it("makes a writer wait for a reader", async () => {
      const [here, there] = make();
      let written = 0;
      const writing = (async () => {
        for (; written < 5_000_000; written += 50_000) await here.write(new Uint8Array(50_000));
        await here.closeWrite();
      })();
      let before = -1;
      for (let still = 0; still < 20; still++) {
        if (before !== written) still = 0;
        before = written;
        await turn();
      }
      assert(written < 1_000_000, `${written} bytes were taken`);
      let read = 0;
      for (let chunk = await there.read(); chunk !== null; chunk = await there.read()) read += chunk.length;
      await writing;
      assertEquals(read, 5_000_000);
      await there.closeWrite();
      assertEquals(await here.read(), null);
    });
  });
}
