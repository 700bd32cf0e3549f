/**
 * What a server of the command line does with messages.
 *
 * @module
 */

import type { Server } from "../auto/server.ts";
import { implement } from "../app/implement.ts";
import type { NewRoute } from "../app/routes.ts";
import { messageType } from "../message/message_type.ts";
import type { ConnectedClient } from "../server/connected_client.ts";
import { CommandError, ExitCode } from "./exit_codes.ts";
import type { Output } from "./output.ts";

/** Answers each request, and returns each message to its sender, with its payload and metadata. */
export function addEcho(server: Server): void {
  server.on("message", async ({ content, meta, reply, setReplyMeta, type, wantsReply }, client) => {
    const some = Object.keys(meta).length > 0;
    if (!wantsReply) {
      // Waiting slows down a client that sends and does not read.
      if (!client.send(messageType(type.code), content, some ? { meta } : {})) await client.ready();
      return;
    }
    if (some) setReplyMeta(meta);
    reply(content);
  });
}

/** Passes each message on to all other clients. */
export function addRelay(server: Server, output: Output): void {
  server.on("message", async ({ content, meta, type }, sender) => {
    const some = Object.keys(meta).length > 0;
    const { dropped } = server.broadcast(messageType(type.code), content, {
      except: [sender],
      ...some ? { meta } : {},
    });
    if (dropped > 0) {
      output.note(
        `${dropped} of the clients did not get a message of type ${type.code}: they read too slowly or cannot`,
      );
    }
    // Waiting for the others slows down a client that sends faster than they read.
    await Promise.all(server.clients.filter((client) => client !== sender).map((client) => client.ready()));
  });
}

/**
 * Adds what a module exports by default: a function that gets the server, routes, or a contract with its handlers.
 *
 * @throws {CommandError} It exports something else.
 */
export async function addModule(server: Server, name: string, module: { readonly default?: unknown }): Promise<void> {
  const given = module.default;
  if (typeof given === "function") return void await given(server);
  if (typeof given === "object" && given !== null) {
    const { contract, handlers } = given as { readonly contract?: never; readonly handlers?: never };
    if (contract !== undefined && handlers !== undefined) return void implement(server, contract, handlers);
    const routes: unknown[] = Object.values(given);
    if (routes.length > 0 && routes.every(isRoute)) return void server.addRoutes(routes);
  }
  throw new CommandError(
    ExitCode.USAGE,
    `${name} must export by default a function (server) => void, routes { type, handler }, or { contract, handlers }`,
  );
}

function isRoute(value: unknown): value is NewRoute<ConnectedClient> {
  const { handler, type } = (value ?? {}) as { readonly handler?: unknown; readonly type?: unknown };
  return typeof handler === "function" && typeof type === "object";
}
