/**
 * A chat whose lines are filtered and written down: `deno run -A examples/plugins/main.ts [FILE]`, or the same with `bun` or
 * `node`. FILE is the database of the audit log; without it, one in memory that nobody can read afterwards.
 *
 * @module
 */

import process from "node:process";
import { Client, messageType, Server, text } from "@veltix/core";
import { auditLog } from "./audit_log.ts";
import { profanityFilter } from "./profanity_filter.ts";

const SAY = messageType(200, "say", text, text);

const server = new Server({ port: 0, hostname: "127.0.0.1" });
server.route(SAY, ({ data }, client) => `${client.id}: ${data}`);
server.on(
  "plugin",
  ({ name, state, reason }) => console.log(`plugin ${name} is ${state}${reason ? `: ${reason}` : ""}`),
);

await server.register(auditLog, { path: process.argv[2] ?? ":memory:" });
await server.register(profanityFilter, { words: ["darn", "heck"] }, { permissions: ["messages:modify"] });
server.attach("all", auditLog, "after");
server.attach(SAY, profanityFilter, "before");
await server.start();

const client = new Client({ ...server.addresses[0] });
await client.connect();
for (const line of ["Hello!", "What the HECK, darn it.", "Darned heckle"]) console.log(await client.request(SAY, line));
await client.close();

for (const { name, version, permissions, state } of server.plugins) {
  console.log(`${name} ${version}, ${state}, may ${permissions.join(", ")}`);
}
await server[Symbol.asyncDispose]();
