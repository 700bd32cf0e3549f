/// <reference lib="dom" />
/**
 * The page: it opens one stream, and draws what comes. When the connection is lost it comes back by itself, to the same
 * stream if the server still has the session, and to a new one if the server was started anew.
 *
 * @module
 */

import { Client } from "@veltix/core";
import { CONTRACT } from "../contract.ts";
import { Charts } from "./charts.ts";

const url = new URL("/veltix", location.href);
url.protocol = url.protocol.replace("http", "ws");

const charts = new Charts(document.querySelector<HTMLElement>("#charts")!);
const shown = document.querySelector<HTMLElement>("#state")!;
const client = new Client({ url, reconnect: true, resume: true });

function show(): void {
  shown.textContent = shown.dataset.state = client.state;
}

async function follow(): Promise<void> {
  charts.clear();
  try {
    for await (const sample of client.open(CONTRACT.samples).readable) charts.add(sample);
  } catch {
    // The session is over. The next one begins with `connect`.
  }
}

client.on("connect", () => void follow());
for (const name of ["connecting", "connect", "suspended", "resumed", "disconnect", "reconnecting"] as const) {
  client.on(name, () => queueMicrotask(show));
}
client.connect().catch((error: Error) => {
  shown.textContent = error.message;
});
