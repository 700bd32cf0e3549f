/**
 * The floor's sockets on `node:tls`, with TLS 1.3 and the certificates of the tests.
 *
 * @module
 */

import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { certificate } from "../../certificates.ts";
import type { Sockets } from "../sockets.ts";
import { start } from "./node.ts";

const host = "127.0.0.1";

/** See the module. */
export const sockets: Sockets = {
  listen(open): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const [cert, key] = [certificate("server.crt"), certificate("server.key")];
    const server = tls.createServer({ cert, key, minVersion: "TLSv1.3" }, (socket) => start(socket, open));
    server.once("error", reject);
    server.listen({ host, port: 0, backlog: 1024 }, () => resolve((server.address() as AddressInfo).port));
    return promise;
  },
  connect(port, open): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = tls.connect({ host, port, ca: certificate("ca.crt"), minVersion: "TLSv1.3" }, () => {
      socket.off("error", reject);
      start(socket, open);
      resolve();
    });
    socket.once("error", reject);
    return promise;
  },
};
