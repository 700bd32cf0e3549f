/**
 * Connects to a port and resets each connection at once, while the thread that listens there stands still: so they are gone
 * before they are accepted.
 *
 * @module
 */

import { connect } from "node:net";
import { workerData } from "node:worker_threads";

const { port, count, done } = workerData as { port: number; count: number; done: Int32Array };

for (let i = 0; i < count; i++) {
  await new Promise<void>((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.resetAndDestroy());
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
}
Atomics.store(done, 0, 1);
Atomics.notify(done, 0);
