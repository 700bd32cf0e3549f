/**
 * Takes the first bytes of an accepted socket, before anything else reads it.
 *
 * @module
 */

import type { Socket } from "node:net";
import { realTime } from "../base/real_time.ts";

/**
 * Resolves with the next chunk, with `null` at the end of the stream, or after a silence.
 *
 * @param socket The socket. Nothing else reads it meanwhile.
 * @param silence How long to wait, in milliseconds; `undefined` for no limit.
 */
export function peekAt(socket: Socket, silence?: number): Promise<Uint8Array | null | "silent"> {
  return new Promise((resolve) => {
    let timer: unknown = undefined;
    const settle = (found: Uint8Array | null | "silent"): void => {
      if (timer !== undefined) realTime.clearTimeout(timer as never);
      socket.off("readable", look);
      socket.off("end", ended);
      socket.off("close", ended);
      resolve(found);
    };
    const ended = (): void => settle(null);
    const look = (): void => {
      const chunk = socket.read() as Uint8Array | null;
      if (chunk !== null) settle(chunk);
    };
    if (silence !== undefined) timer = realTime.setTimeout(() => settle("silent"), silence);
    socket.on("readable", look);
    socket.on("end", ended);
    socket.on("close", ended);
    // What was put back is not announced again, and neither is the end.
    look();
    if (socket.readableEnded) ended();
  });
}
