/**
 * The client's side of WebSockets with the API of browsers, which Bun and Deno have built in.
 *
 * @module
 */

import type { Peer } from "../subject.ts";
import { TaggedPeer } from "./tagged.ts";

/** Connects. */
export function connectWebSocket(port: number, receive: (content: Uint8Array) => void): Promise<Peer> {
  const { promise, resolve, reject } = Promise.withResolvers<Peer>();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  socket.binaryType = "arraybuffer";
  const closed = new Promise<void>((resolve) => socket.addEventListener("close", () => resolve()));
  const peer = new TaggedPeer({
    send: (bytes) => socket.send(bytes),
    buffered: () => socket.bufferedAmount,
    close(): Promise<void> {
      socket.close();
      return closed;
    },
  }, receive);
  socket.addEventListener("message", ({ data }) => peer.take(new Uint8Array(data)));
  socket.addEventListener("open", () => resolve(peer));
  socket.addEventListener("error", () => reject(new Error("Cannot connect: the WebSocket failed")));
  return promise;
}
