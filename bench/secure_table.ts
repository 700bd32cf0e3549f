/**
 * The table of the workload `secure`: plain, encrypted, over TLS, and bare `node:tls`.
 *
 * @module
 */

import { pairedTable } from "./paired_table.ts";
import type { Sample } from "./results.ts";

/** The table as text; empty if nothing of it was measured. */
export function secureTable(samples: readonly Sample[]): string {
  return pairedTable(samples, {
    workloads: ["secure", "secure_idle"],
    columns: [
      { title: "plain", subjects: ["veltix"] },
      { title: "noise", subjects: ["noise"] },
      { title: "tls", subjects: ["tls"] },
      { title: "node:tls", subjects: ["node:tls"] },
    ],
    ours: "noise",
    goals: {
      "secure 64 KiB": { how: "value", atLeast: 300e6, mixed: 150e6 },
      "secure 64 B": { how: "ratio", atLeast: 0.7 },
      "secure round trip": { how: "difference", atMost: 20 },
      "secure round trip cpu": { how: "difference", atMost: 20 },
      "secure handshakes": { how: "ratio", against: "node:tls", atLeast: 1 },
      "secure idle heap": { how: "difference", atMost: 2_048 },
    },
  });
}
