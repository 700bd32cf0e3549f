/**
 * From a subject's name to the subject, in the process that runs it.
 *
 * @module
 */

import { loadSockets } from "../floor/sockets.ts";
import type { SocketKind } from "../floor/sockets.ts";
import type { Subject, SubjectName } from "../subject.ts";
import type { TransportChoice } from "./veltix.ts";

/** What to load. */
export interface SubjectConfig {
  readonly subject: SubjectName;
  /** The sockets of a floor. */
  readonly sockets: SocketKind;
  /** The sockets of the library. */
  readonly core: TransportChoice;
}

/** Loads one subject; a library is imported only when it is the one that is asked for. */
export async function loadSubject(config: SubjectConfig): Promise<Subject> {
  switch (config.subject) {
    case "raw":
      return (await import("./raw.ts")).raw(await loadSockets(config.sockets));
    case "batch":
      return (await import("./batch.ts")).batch(await loadSockets(config.sockets));
    case "veltix":
      return (await import("./veltix.ts")).veltix(config.core);
    case "resume":
      return (await import("./veltix.ts")).veltix(config.core, { resume: true }, { resume: true, reconnect: true });
    case "batched":
      return (await import("./veltix.ts")).veltixBatched(config.core);
    case "veltix-websocket":
      return (await import("./veltix.ts")).veltixWebSocket();
    case "noise":
      return await (await import("./protected.ts")).noise(config.core);
    case "tls":
      return (await import("./protected.ts")).tls();
    case "node:tls":
      return (await import("./batch.ts")).batch((await import("../floor/sockets/tls.ts")).sockets);
    case "ws":
      return (await loadPeer("ws")).ws;
    case "socket.io":
      return (await loadPeer("socket_io")).socketIo;
    case "bun-websocket":
      return (await import("./bun_websocket.ts")).bunWebSocket;
    case "deno-websocket":
      return (await import("./deno_websocket.ts")).denoWebSocket;
    case "nats":
      return (await loadPeer("nats")).nats;
    default:
      throw new Error(`Cannot load "${config.subject}": it has processes of its own`);
  }
}

/** Imports what needs `bench/peers/node_modules`. Deno does not see it: a test of this file must not ask for all of that. */
async function loadPeer(file: string): Promise<Record<string, Subject>> {
  return await import(new URL(`../peers/${file}.ts`, import.meta.url).href);
}
