/** A Client and a Server in two threads, over a port. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { MessageChannel, Worker } from "node:worker_threads";
import { fromMessagePort, type MessagePortLike } from "../mod.ts";
import { ASK, clientOver, serve, talk } from "./accept_support.ts";
import { limited } from "./processes/waiting.ts";

/** A thread with a role, and the port that leads to it. */
function start(
  role: string,
  through: "a port of its own" | "its parent's port",
): { worker: Worker; port: MessagePortLike } {
  const url = new URL("./port_worker.ts", import.meta.url);
  if (through === "its parent's port") {
    const worker = new Worker(url, { workerData: { role } });
    return { worker, port: worker as MessagePortLike };
  }
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(url, { workerData: { role, port: port2 }, transferList: [port2] });
  return { worker, port: port1 as unknown as MessagePortLike };
}

for (const through of ["a port of its own", "its parent's port"] as const) {
  describe(`a thread that talks through ${through}`, () => {
    it("may be a client", async () => {
      await using served = await serve({ handshakeTimeout: 60_000 });
      const { worker, port } = start("client", through);
      const gone = new Promise((resolve) => worker.on("exit", resolve));
      served.server.accept(fromMessagePort(port));
      const [client] = await limited("connecting", 50_000, served.events.next("connect"));
      assertEquals(client.address, { path: "message port" });
      assertEquals(await client.request(ASK, "thread"), "thread!");
      const [, { reason }] = await limited("talking", 50_000, served.events.next("disconnect"));
      assertEquals(reason, "going-away");
      await worker.terminate();
      await gone;
      assertEquals(served.events.of("error"), []);
    });

    it("may be a server", async () => {
      const { worker, port } = start("server", through);
      const gone = new Promise((resolve) => worker.on("exit", resolve));
      const client = clientOver(() => fromMessagePort(port), { handshakeTimeout: 60_000 });
      await client.connect();
      await talk(client);
      await client.close();
      await worker.terminate();
      await gone;
    });

    it("may vanish, which the other end learns", async () => {
      await using served = await serve({ handshakeTimeout: 60_000 });
      const { worker, port } = start("stays", through);
      served.server.accept(fromMessagePort(port));
      const [client] = await limited("connecting", 50_000, served.events.next("connect"));
      assertEquals(await client.request(ASK, "thread", { timeout: 50_000 }), "thread!");
      await worker.terminate();
      const [, { reason }] = await limited("the end", 50_000, served.events.next("disconnect"));
      assertEquals(reason, "network-error");
    });
  });
}

/** The web workers of Deno, Bun and browsers. */
interface WebWorker extends MessagePortLike {
  terminate(): void;
}
const { Worker: WebWorkers } = globalThis as { Worker?: new (url: URL, options: { type: "module" }) => WebWorker };

describe("a web worker", () => {
  // Node has none.
  (WebWorkers === undefined ? it.skip : it)("may be a client, and is not ended with its connection", async () => {
    await using served = await serve({ handshakeTimeout: 60_000 });
    const worker = new WebWorkers!(new URL("./port_web_worker.ts", import.meta.url), { type: "module" });
    served.server.accept(fromMessagePort(worker));
    const [client] = await limited("connecting", 50_000, served.events.next("connect"));
    assertEquals(await client.request(ASK, "worker"), "worker!");
    const [, { reason }] = await limited("talking", 50_000, served.events.next("disconnect"));
    assertEquals(reason, "going-away");
    worker.terminate();
  });
});
