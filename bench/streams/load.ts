/**
 * From a subject's name to what it has of streams, in the process that runs it.
 *
 * @module
 */

import { BatchOutbox, RawOutbox } from "../floor/outbox.ts";
import { loadSockets } from "../floor/sockets.ts";
import type { SubjectConfig } from "../subjects/load.ts";
import { BARE, streamFloor } from "./floor.ts";
import type { StreamSubject } from "./subject.ts";
import { veltixStreams } from "./veltix.ts";
import { WEB_STREAMS } from "./web_ends.ts";

/** Loads one subject. */
export async function loadStreams({ subject, sockets, core }: SubjectConfig): Promise<StreamSubject> {
  switch (subject) {
    case "raw":
      return streamFloor(await loadSockets(sockets), (socket) => new RawOutbox(socket), BARE);
    case "batch":
      return streamFloor(await loadSockets(sockets), (socket) => new BatchOutbox(socket), BARE);
    case "webstreams":
      return streamFloor(await loadSockets(sockets), (socket) => new BatchOutbox(socket), WEB_STREAMS);
    case "veltix":
      return veltixStreams(core);
    case "ws":
      return (await loadPeer("ws_streams")).wsStreams;
    case "grpc":
      return (await loadPeer("grpc")).grpc;
    case "http2":
      return (await loadPeer("http2")).http2;
    default:
      throw new Error(`Cannot load "${subject}": it has no streams here`);
  }
}

/** Imports what needs `bench/peers/node_modules`, as `loadSubject` does. */
async function loadPeer(file: string): Promise<Record<string, StreamSubject>> {
  return await import(new URL(`../peers/${file}.ts`, import.meta.url).href);
}
