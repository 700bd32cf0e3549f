import { conformance } from "./conformance.ts";
import { tlsTransport } from "./tls_support.ts";

conformance("tls", tlsTransport, { network: false, bufferSize: false });
