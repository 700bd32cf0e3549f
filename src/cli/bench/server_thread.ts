/**
 * A server in a thread of its own, so that both ends have a core each. It sends back what it is asked. A thread finds the
 * modules of the package wherever they were installed, which another process would not on every runtime.
 *
 * @module
 */

import { workerThreads } from "../../adapters/threads.ts";
import { Server } from "../../auto/server.ts";
import { bytes } from "../../message/codecs.ts";
import { messageType } from "../../message/message_type.ts";
import type { TransportChoice } from "./python_form/context.ts";

/** The code of the requests that it sends back. */
export const ECHO_CODE = 201;

/** How long it may take to start, in milliseconds. */
const START_LIMIT = 60_000;

/** What the thread runs. It knows this module by its address: a name beside it differs by how it was installed. */
const SOURCE = `
import(workerData.module)
  .then(({ serveEcho }) => serveEcho(workerData.transport))
  .then((port) => parentPort.postMessage({ port }), (error) => parentPort.postMessage({ error: String(error) }));
`;

/** A server that runs. */
export interface EchoServer {
  readonly port: number;
  /** Ends the thread. */
  close(): Promise<void>;
}

/**
 * Starts a server in a thread.
 *
 * @throws {Error} It does not start, or not within a minute.
 */
export async function startEchoServer(transport: TransportChoice): Promise<EchoServer> {
  const threads = workerThreads();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const timer = threads.clock.setTimeout(
    () => reject(new Error(`Cannot start the server: not within ${START_LIMIT} ms`)),
    START_LIMIT,
  );
  const thread = threads.start(SOURCE, { module: import.meta.url, transport }, {
    message(value): void {
      const { error, port } = value as { readonly error?: string; readonly port: number };
      if (error === undefined) resolve(port);
      else reject(new Error(`Cannot start the server: ${error}`));
    },
    exit: reject,
  });
  try {
    const port = await promise;
    return { port, close: () => thread.terminate() };
  } catch (error) {
    await thread.terminate();
    throw error;
  } finally {
    threads.clock.clearTimeout(timer);
  }
}

/** Serves on any port, and returns it. The thread that calls it serves until it is ended. */
export async function serveEcho(transport: TransportChoice): Promise<number> {
  const server = new Server({ hostname: "127.0.0.1", port: 0, transport });
  server.route(messageType(ECHO_CODE, "echo", bytes, bytes), ({ content }) => content);
  await server.start();
  const [address] = server.addresses;
  if (!("port" in address)) throw new Error("the server has no port");
  return address.port;
}
