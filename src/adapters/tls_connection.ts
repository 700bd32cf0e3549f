/**
 * A connection over TLS.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Address, addressText, type Endpoint } from "../base/address.ts";
import { ConnectionError } from "../errors.ts";
import type { ConnectionSecurity } from "../transport.ts";
import { type Channel, Duplex } from "./duplex.ts";
import { ENDING, NodeChannel } from "./node_channel.ts";
import type { TlsCarrier } from "./tls_carrier.ts";

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

/** A socket of TLS as a {@linkcode Channel}. TLS must be agreed on. */
export class TlsChannel extends NodeChannel {
  /**
   * @param tls The socket.
   * @param socket The socket below it.
   * @param carrier The stream between the two.
   * @param bufferSize How much is read at once, in bytes.
   * @param local As for {@linkcode NodeChannel}.
   * @param remote As for {@linkcode NodeChannel}.
   */
  constructor(
    tls: TLSSocket,
    socket: Socket,
    carrier: TlsCarrier,
    bufferSize: number,
    local: Address,
    remote: Endpoint,
  ) {
    super(tls, bufferSize, local, remote, socket, carrier.tap);
    const wasCut = carrier.ending(tls);
    (tls as { [ENDING]?: () => Error | undefined })[ENDING] = () =>
      wasCut()
        ? new ConnectionError(
          "truncated",
          `Cannot read from "${addressText(this.remote)}": it was cut, without close_notify`,
        )
        : undefined;
  }

  /** `destroy` sends no `close_notify`. */
  override get finishes(): boolean {
    return false;
  }
}
