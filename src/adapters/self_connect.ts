/**
 * Notices a connection that met itself.
 *
 * Where nobody listens at a port of this machine, the system may choose this very port for the connecting side. The two ends
 * are then one socket (TCP's simultaneous open): it would hear its own greeting, and hold the port against the server.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Endpoint } from "../base/address.ts";
import type { Connection } from "../transport.ts";
import { addressText } from "../base/address.ts";

/** More than the system takes in for a socket that nobody reads, in bytes. */
const FILL = 1 << 20;

/**
 * Lets a new connection pass unless it met itself.
 *
 * @param connection The connection; ended where it is none.
 * @param to Where it was to lead.
 * @throws {ConnectionError} `refused`, because nobody listens there.
 */
export function notItself(connection: Connection, to: Endpoint): Connection {
  const { local, remote } = connection;
  if ("path" in local || "path" in remote) return connection;
  // What is gone already has port 0 at both ends.
  if (local.port !== remote.port || local.port === 0 || local.hostname !== remote.hostname) return connection;
  // Closed in order, it would keep the port for a minute (TIME_WAIT). A socket that is closed with unread input is reset; and
  // where the runtime sends FIN before it closes (Deno), only if FIN has to wait for more than the input takes.
  connection.write(new Uint8Array(FILL)).catch(() => {});
  connection.abort();
  const state = "nobody listens there, and the connection met itself";
  throw new ConnectionError("refused", `Cannot connect to "${addressText(to)}": ${state}`);
}
