/**
 * The options of a Client.
 *
 * @module
 */

import { checkBoolean, type Checks, optional, type OptionTable, unchecked, whole } from "../base/checks.ts";
import { COMMON_OPTIONS, type CommonConfig, type CommonOptions, protocolOf } from "../app/config.ts";
import type { QueueOptions } from "./outgoing_queue.ts";
import { clientTls } from "../app/tls_config.ts";
import { clientEncryption } from "../app/encryption_config.ts";
import type { EncryptionClientOptions } from "../encryption_seam.ts";
import type { TlsClientOptions } from "../tls_seam.ts";
import { clientResume, type ResumeOptions } from "../app/resume_config.ts";
import type { ResumeTerms } from "../session/resumption.ts";
import { ADDRESS_OPTIONS, addressesOf, type AddressOptions, type ServerAddress } from "./destinations.ts";
import { reconnectOf, type ReconnectOptions, type ReconnectPolicy } from "./reconnect.ts";

/**
 * Options of a Client; all optional.
 *
 * @category Client
 */
export interface ClientConfig extends CommonConfig, ServerAddress {
  /**
   * Several servers, instead of `port`, `hostname`, `path` and `url`. An attempt to connect tries them in turn, beginning
   * with the one of the last connection, each within `handshakeTimeout`, until one lets the client in. If none does, the
   * error is that of the server that has said most. With `resume`, a session comes back only to the server that has it.
   */
  readonly servers?: readonly ServerAddress[];
  /**
   * The protocol that the server must speak: a Python release such as `"1.6.3"`, a family such as `"2.0"` or `"3"`, or
   * `"native"`. Any release from 2.0.0 on takes all servers from 2.0.3 on, whose protocol has the same version.
   * `"auto"` takes the protocol of the server's greeting. A client that has once met a native server accepts only
   * native connections from then on.
   * @default "auto"
   */
  readonly protocol?: string;
  /**
   * Connects over TLS only. `true` trusts the authorities that the system trusts. TLS uses sockets of its own, those of
   * `node:tls`, on every runtime.
   * @default no TLS: anyone in between can read and change all bytes
   */
  readonly tls?: boolean | TlsClientOptions;
  /**
   * Encrypts the connection (Noise), and talks only to a server whose identity is trusted. Encryption works over any
   * transport, and inside TLS.
   * @default no encryption: anyone in between can read and change all bytes
   */
  readonly encryption?: EncryptionClientOptions;
  /**
   * The value that the server's `authenticate` receives, as JSON, or a function that returns it or a promise of it. A
   * function is useful for tokens that expire: it is called for each attempt to connect, with the number of the
   * attempt. Its time counts towards `handshakeTimeout`. Only native servers take credentials. They are sent only to a
   * server that is trusted, see `encryption` and `tls`.
   * @default none
   */
  readonly credentials?: unknown;
  /**
   * Allows `credentials` to travel unencrypted to another machine. Anyone in between can read them then.
   * @default false: the constructor of such a client throws
   */
  readonly insecureCredentials?: boolean;
  /**
   * Connects again when a connection is lost or cannot be made, including the first one. `true` tries forever, with
   * waits of up to 1, 2, 4 … 30 seconds.
   * @default false
   */
  readonly reconnect?: boolean | ReconnectOptions;
  /**
   * Keeps what is sent from `connect()` on while there is no connection, also while a session with `resume` is suspended,
   * and counts what becomes of it. Without `reconnect` it works only for the first connection. What still waits when the
   * client is disconnected for good is lost, and counted as lost.
   * @default false: `send` throws
   */
  readonly queueWhileDown?: boolean | QueueOptions;
  /**
   * Goes on with the same session when a connection is lost, over another one: nothing that was sent is lost or comes
   * twice, requests get their answers, and streams go on. Needs `reconnect`, and a native server with `resume`. Where the
   * session is lost, the client reconnects as without `resume`.
   * @default false
   */
  readonly resume?: boolean | ResumeOptions;
}

/** The options of {@linkcode ClientConfig}, read. */
export interface ClientOptions extends CommonOptions, AddressOptions {
  readonly servers: readonly AddressOptions[] | undefined;
  readonly protocol: string;
  readonly credentials: unknown;
  readonly insecureCredentials: boolean;
  readonly tls: TlsClientOptions | undefined;
  readonly encryption: EncryptionClientOptions | undefined;
  readonly reconnect: ReconnectPolicy | undefined;
  readonly queueWhileDown: boolean | QueueOptions;
  readonly resume: ResumeTerms | undefined;
}

/** The checks and defaults of the options. */
export const CLIENT_OPTIONS: Checks<ClientOptions> = {
  ...COMMON_OPTIONS,
  // A Python server may be held up for 5 s by another client's handshake.
  handshakeTimeout: optional(whole(1), 10_000),
  ...ADDRESS_OPTIONS,
  servers: optional(addressesOf),
  protocol: optional((name, value) => value === "auto" ? value : protocolOf(name, value), "auto"),
  // The protocol decides if there may be any.
  credentials: unchecked<unknown>(),
  insecureCredentials: optional(checkBoolean, false),
  tls: optional((name, value) => value === false ? undefined : clientTls(name, value)),
  encryption: optional(clientEncryption),
  reconnect: reconnectOf,
  // `OutgoingQueue` checks them.
  queueWhileDown: optional(unchecked<boolean | QueueOptions>(), false),
  resume: optional(clientResume),
} satisfies OptionTable<ClientConfig>;
