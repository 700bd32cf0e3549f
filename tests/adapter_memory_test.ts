import { memoryTransport } from "../src/adapters/memory.ts";
import { conformance } from "./conformance.ts";

conformance("memory", () => memoryTransport(), { network: false, bufferSize: true });
