/**
 * Loads the WebSockets. They are imported when the first Server or Client that has one needs them.
 *
 * @module
 */

import type { WebSockets } from "../websocket_seam.ts";

/** Returns the WebSockets of this runtime. */
export async function loadWebSockets(): Promise<WebSockets> {
  return (await import("../adapters/web_socket/web_sockets.ts")).webSockets();
}
