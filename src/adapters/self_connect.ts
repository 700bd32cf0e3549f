/**
 * Detects a connection to itself.
 *
 * If nobody listens at a port of this machine, the system may choose that very port for the connecting side. Both ends
 * are then one socket (TCP's simultaneous open). The client would receive its own greeting, and the socket would keep
 * the server from listening at the port.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Endpoint } from "../base/address.ts";
import type { Connection } from "../transport.ts";
import { addressText } from "../base/address.ts";

/** More bytes than the system buffers for a socket that nobody reads. */
const FILL = 1 << 20;

/**
 * Returns a new connection, unless it is connected to itself.
 *
 * @param connection The connection. It is aborted if it is connected to itself.
 * @param to The endpoint that it should lead to.
 * @throws {ConnectionError} `refused`, because nobody listens there.
 */
export function notItself(connection: Connection, to: Endpoint): Connection {
  const { local, remote } = connection;
  if ("path" in local || "path" in remote) return connection;
  // A connection that is gone already has port 0 at both ends.
  if (local.port !== remote.port || local.port === 0 || local.hostname !== remote.hostname) return connection;
  // An orderly close would keep the port for a minute (TIME_WAIT), so make the system reset the connection. It resets a
  // socket that is closed with unread input. Deno sends FIN before it closes. There the reset happens only if FIN has
  // to wait for more bytes than the input buffer takes.
  connection.write(new Uint8Array(FILL)).catch(() => {});
  connection.abort();
  const state = "nobody listens there, and the connection met itself";
  throw new ConnectionError("refused", `Cannot connect to "${addressText(to)}": ${state}`);
}
