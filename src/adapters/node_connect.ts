/**
 * Connects through `node:net`, for the adapters of Node and Bun.
 *
 * @module
 */

import type * as Net from "node:net";
import type { Socket } from "node:net";
import type { Endpoint } from "../base/address.ts";
import { builtinModule } from "../base/builtin_module.ts";
import type { Connection, ConnectOptions } from "../transport.ts";
import { type Channel, Duplex } from "./duplex.ts";
import { bufferSizeOf, checkEndpoint } from "./endpoint.ts";
import { notItself } from "./self_connect.ts";
import { connectError } from "./system_errors.ts";

const NET = builtinModule("node:net") as typeof Net;

/** Makes a channel of a socket at the moment when it has connected. */
export type Adopt = (socket: Socket, bufferSize: number, to: Endpoint) => Channel;

/** Opens a connection. `adopt` makes the channel. The options are those of `Transport.connect`. */
export async function connectNode(
  to: Endpoint,
  options: ConnectOptions | undefined,
  adopt: Adopt,
): Promise<Connection> {
  const bufferSize = bufferSizeOf(options);
  return notItself(await connectSocket(to, options, (socket) => new Duplex(adopt(socket, bufferSize, to))), to);
}

/**
 * Opens a socket.
 *
 * @param to The endpoint to connect to.
 * @param options The options of `Transport.connect`.
 * @param adopt Called at the moment when the socket has connected. It must take care of the socket's errors.
 * @returns What `adopt` returned or resolved to.
 */
export async function connectSocket<Adopted>(
  to: Endpoint,
  options: ConnectOptions | undefined,
  adopt: (socket: Socket) => Adopted,
): Promise<Awaited<Adopted>> {
  checkEndpoint("connect", to);
  const signal = options?.signal;
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<Adopted>>();
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
    resolve(adopt(socket) as Awaited<Adopted>);
  });
  try {
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function begin(to: Endpoint): Socket {
  const target = "path" in to ? { path: to.path } : { host: to.hostname, port: to.port };
  try {
    return NET.connect({ ...target, allowHalfOpen: true });
  } catch (error) {
    throw connectError(to, error); // Node throws synchronously for a NUL in the address.
  }
}
