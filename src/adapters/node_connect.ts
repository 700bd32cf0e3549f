/**
 * Connects through `node:net`, for the adapters of Node and Bun.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import type { Endpoint } from "../base/address.ts";
import type { Connection, ConnectOptions } from "../transport.ts";
import { type Channel, Duplex } from "./duplex.ts";
import { bufferSizeOf, checkEndpoint } from "./endpoint.ts";
import { notItself } from "./self_connect.ts";
import { connectError } from "./system_errors.ts";

/** Makes a channel of a socket at the moment when it has connected. */
export type Adopt = (socket: Socket, bufferSize: number, to: Endpoint) => Channel;

/**
 * Opens a connection.
 *
 * @param to The endpoint to connect to.
 * @param options The options of `Transport.connect`.
 * @param adopt Makes the channel.
 */
export async function connectNode(
  to: Endpoint,
  options: ConnectOptions | undefined,
  adopt: Adopt,
): Promise<Connection> {
  checkEndpoint("connect", to);
  const bufferSize = bufferSizeOf(options);
  const signal = options?.signal;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  const socket = begin(to);
  const abort = () => {
    socket.destroy();
    reject(signal!.reason);
  };
  const fail = (error: Error) => reject(connectError(to, error));
  signal?.addEventListener("abort", abort);
  socket.on("error", fail);
  socket.once("connect", () => {
    socket.off("error", fail);
    resolve(new Duplex(adopt(socket, bufferSize, to)));
  });
  try {
    return notItself(await promise, to);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function begin(to: Endpoint): Socket {
  const target = "path" in to ? { path: to.path } : { host: to.hostname, port: to.port };
  try {
    return connect({ ...target, allowHalfOpen: true });
  } catch (error) {
    throw connectError(to, error); // Node throws synchronously for a NUL in the address.
  }
}
