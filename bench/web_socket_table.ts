/**
 * The table of the workload `websocket`: the library over WebSockets, beside WebSockets of the same runtime without the
 * library, and beside the library over TCP.
 *
 * @module
 */

import { pairedTable } from "./paired_table.ts";
import type { Sample } from "./results.ts";
import type { SubjectName } from "./subject.ts";
import type { Runtime } from "./options.ts";

/** The WebSockets without the library, by runtime. */
export const BARE_WEB_SOCKETS = {
  node: "ws",
  deno: "deno-websocket",
  bun: "bun-websocket",
} as const satisfies Readonly<Record<Runtime, SubjectName>>;

/** The table as text; empty if nothing of it was measured. */
export function webSocketTable(samples: readonly Sample[]): string {
  return pairedTable(samples, {
    workloads: ["websocket", "websocket_idle"],
    columns: [
      { title: "bare", subjects: Object.values(BARE_WEB_SOCKETS) },
      { title: "WebSocket", subjects: ["veltix-websocket"] },
      { title: "TCP", subjects: ["veltix"] },
    ],
    ours: "WebSocket",
    beside: "TCP",
    goals: {
      "websocket round trip": { how: "ratio", atMost: 1.15 },
      "websocket 64 B": { how: "ratio", atLeast: 4 },
    },
  });
}
