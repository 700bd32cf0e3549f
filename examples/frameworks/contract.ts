/**
 * What the examples of this folder serve.
 *
 * @module
 */

import { messageType, Server, text } from "@veltix/core";

/** A request for the text in capital letters. */
export const UPPER = messageType(200, "upper", text, text);

/** Starts a server that listens nowhere: its clients come through an HTTP server. */
export async function startServer(): Promise<Server> {
  const server = new Server({ listen: [] });
  server.route(UPPER, ({ data }) => data.toUpperCase());
  await server.start();
  return server;
}
