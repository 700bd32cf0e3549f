/**
 * A connection over TLS.
 *
 * @module
 */

import type { ConnectionSecurity } from "../transport.ts";
import { type Channel, Duplex } from "./duplex.ts";

/** A {@linkcode Duplex} with `security`. That field in every connection would cost memory in those without TLS. */
export class TlsConnection extends Duplex {
  readonly security: ConnectionSecurity;

  /**
   * @param channel The socket of TLS.
   * @param security What protects the connection.
   */
  constructor(channel: Channel, security: ConnectionSecurity) {
    super(channel);
    this.security = security;
  }
}
