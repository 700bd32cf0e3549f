import { nodeTransport } from "../src/adapters/node.ts";
import { conformance } from "./conformance.ts";

conformance("node", nodeTransport, {
  network: true,
  bufferSize: false,
  program: { url: new URL("../src/adapters/node.ts", import.meta.url).href, factory: "nodeTransport" },
});
