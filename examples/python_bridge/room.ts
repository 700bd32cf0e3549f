/**
 * The server of the chat, with a listener for each protocol. What it does for its clients is the same for all of them:
 * `../chat/host.ts` knows nothing of Python.
 *
 * @module
 */

import { Server } from "@veltix/core";
import { hostChat } from "../chat/host.ts";

/** A port, and the Python release that is served there. */
export interface Door {
  readonly port: number;
  readonly protocol: string;
}

/** A chat with several doors. */
export class Room {
  /** The server. */
  readonly server: Server;

  /** @param doors Where to listen; native clients come in wherever the release is 2.0 or later. */
  constructor(doors: readonly Door[]) {
    this.server = new Server({ listen: doors.map((door) => ({ hostname: "127.0.0.1", ...door })) });
    hostChat(this.server);
  }

  /** What is spoken with somebody: `"native"`, or a Python release. */
  protocolOf(name: string): string | undefined {
    return this.server.clientsByTag("name", name)[0]?.protocol;
  }
}
