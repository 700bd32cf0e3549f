/**
 * The server of a pair. As a program it prints one line of JSON for each check, the first with the port; it ends when its
 * client told it to close.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type CloseReason, ProtocolError, type Server, type TcpEndpoint } from "@veltix/core";
import { GIVEN, serverOf } from "./protection.ts";
import { type Checks, type Command, COUNT, SERVER_CHECKS, TYPES } from "./contract.ts";
import { main } from "./program.ts";

/** Lets a server serve until it is told to close. */
export async function serve(checks: Checks, server: Server<unknown>): Promise<void> {
  const [listens, closes, unexpected] = SERVER_CHECKS;
  const reasons = new Map<number, CloseReason>();
  const waiting = new Map<number, (reason: CloseReason) => void>();
  const errors: unknown[] = [];
  const expired: string[] = [];
  let counted = 0;
  let inversions = 0;
  let close = (): void => {};
  const told = new Promise<void>((resolve) => close = resolve);

  server.on("error", (error) => errors.push(error));
  server.on("rejected", ({ error }) => errors.push(error));
  server.on("disconnect", (client, { reason }) => {
    reasons.set(client.id, reason);
    waiting.get(client.id)?.(reason);
  });
  server.route(TYPES.echo, ({ data }) => data);
  server.route(TYPES.add, ({ data }) => data.a + data.b);
  server.route(TYPES.fail, ({ data }) => {
    throw Object.assign(new Error(data), { code: "teapot" });
  });
  server.route(TYPES.trace, ({ meta, setReplyMeta, timeLeft }) => {
    setReplyMeta(meta);
    return { left: timeLeft ?? -1 };
  });
  server.route(TYPES.stuck, async ({ signal }, client) => {
    const aborted = new Promise<string>((resolve) => {
      signal.addEventListener("abort", () => resolve((signal.reason as Error).name));
    });
    expired.push(
      await client.request(TYPES.stuck, "", { within: { signal } }).catch(({ name }) => name),
      await aborted,
    );
    return "";
  });
  server.route(TYPES.count, async ({ data }, client) => {
    if (data !== counted++) inversions++;
    if (!client.send(TYPES.count, data)) await client.ready();
  }, { ordered: true });
  server.route(TYPES.command, async ({ data }, client) => {
    switch (data.do) {
      case "id":
        return client.id;
      case "ping":
        return await client.ping();
      case "ask":
        return await client.request(TYPES.who, "who are you?");
      case "shout":
        return server.broadcast(TYPES.shout, "hear, hear", { except: [client] });
      case "expired":
        return expired;
      case "counted":
        return { counted, inversions };
      case "reason":
        return reasons.get(data.id) ?? await new Promise<CloseReason>((resolve) => waiting.set(data.id, resolve));
      case "close":
        close();
        return client.id;
      default:
        throw new TypeError(`Unknown command ${JSON.stringify(data satisfies never as Command)}`);
    }
  });

  await checks.run(listens, async () => {
    await server.start();
    return { port: (server.addresses[0] as TcpEndpoint).port };
  });
  await told;
  await checks.run(closes, async () => {
    const last = server.clients.map(({ id }) => id);
    await server.close();
    assertEquals(last.length, 1);
    assertEquals(reasons.get(last[0]), "server-closed");
    assertEquals([server.clients, server.addresses], [[], []]);
  });
  await checks.run(unexpected, () => {
    assertEquals([counted, inversions], [COUNT, 0]);
    const rest = errors.filter((error) =>
      (error as { code?: unknown }).code !== "teapot" &&
      !(error instanceof ProtocolError && error.code === "message-too-large")
    );
    assertEquals(rest.map(String), []);
    assertEquals(errors.length, 2);
  });
}

if (import.meta.main) await main((checks) => serve(checks, serverOf(GIVEN, { hostname: "127.0.0.1", port: 0 })));
