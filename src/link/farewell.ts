/**
 * How a connection is left so that its last word arrives: FIN, then what still comes is read and thrown away for a moment.
 * A socket that is closed with unread input takes what was just written down with it.
 *
 * @module
 */

import type { Connection } from "../transport.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** How much is read and thrown away after our FIN, in bytes. */
export const LINGER_BYTES: number = 64 * 1024;
/** How long it is waited for, in milliseconds. */
export const LINGER_TIME = 1_000;

/** Leaves a connection that nobody else reads. Never rejects. */
export async function farewell(connection: Connection, wheel: TimerWheel): Promise<void> {
  const limit = new Timeout(() => connection.abort());
  wheel.add(limit, LINGER_TIME);
  try {
    await connection.closeWrite();
    for (let thrown = 0; thrown < LINGER_BYTES;) {
      const chunk = await connection.read();
      if (chunk === null) break;
      thrown += chunk.length;
    }
  } catch {
    // The connection is gone already: that is what was wanted.
  }
  wheel.remove(limit);
  connection.abort();
}
