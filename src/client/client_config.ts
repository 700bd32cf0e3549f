/**
 * The options of a Client.
 *
 * @module
 */

import { COMMON_NAMES, type CommonConfig, type Names } from "../options.ts";

/** Options of a Client; all optional. */
export interface ClientConfig extends CommonConfig {
  /** The server's port. @default 8080 */
  readonly port?: number;
  /** The server's host name or address. @default "127.0.0.1" */
  readonly hostname?: string;
  /** The path of a unix socket, instead of host and port. */
  readonly path?: string;
  /**
   * The protocol the server must speak: a Python release such as `"1.6.3"`, a family such as `"2.0"`, or `"native"`.
   * `"auto"` takes the protocol of the server's greeting.
   * @default "auto"
   */
  readonly protocol?: string;
}

/** The names of its members. */
export const CLIENT_NAMES: Names<ClientConfig> = {
  ...COMMON_NAMES,
  port: true,
  hostname: true,
  path: true,
  protocol: true,
};
