import { conformance } from "./conformance.ts";
import { encryptedTransport } from "./tls_support.ts";

const transport = await encryptedTransport();
conformance("encrypted", () => transport, { network: false, bufferSize: false });
