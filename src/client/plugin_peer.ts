/**
 * The server of a client, as plugins of the client know it.
 *
 * @module
 */

import type { PluginPeer } from "../plugins/endpoint.ts";
import type { Peer } from "../app/peer.ts";
import type { SendOptions } from "../app/send_options.ts";
import type { RequestOptions } from "../session/requests.ts";

/** What plugins use of a client. */
interface Connected {
  readonly state: string;
  send(type: never, payload: never, options?: SendOptions): boolean;
  request(type: never, payload: never, options?: RequestOptions): Promise<unknown>;
  close(options?: object): Promise<void>;
}

/** Returns what plugins see of the server of a client. It has no tags. */
export function serverOf(client: Connected, link: { readonly peer: Peer | undefined }): PluginPeer {
  const noTags = (): never => {
    throw new TypeError("Cannot tag the server of a client: clients of a Server have tags");
  };
  return {
    id: 0,
    address: undefined,
    get protocol() {
      return link.peer?.session.protocolName;
    },
    get security() {
      return link.peer?.security;
    },
    get publicKey() {
      return link.peer?.publicKey;
    },
    principal: undefined,
    connectedAt: undefined,
    get connected() {
      return client.state === "connected";
    },
    get leaving() {
      return link.peer?.session.leaving ?? false;
    },
    tags: new Map(),
    hasTag: () => false,
    getTag: () => undefined,
    addTag: noTags,
    setTag: noTags,
    removeTag: noTags,
    close: (_reason, options) => client.close(options),
    send: (type, payload, options) => client.send(type, payload, options),
    request: (type, payload, options) => client.request(type, payload, options),
  };
}
