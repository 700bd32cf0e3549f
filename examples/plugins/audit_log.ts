/**
 * A plugin that writes into a SQLite database who connected, what they asked for and how it ended. It sees copies only, so it
 * can neither delay nor change a message, and it does not keep what messages say.
 *
 * @module
 */

import { definePlugin } from "@veltix/core";
import { openDatabase } from "./sqlite.ts";

/** Options of the plugin. */
export interface AuditLogOptions {
  /** The file of the database. */
  readonly path: string;
  /** How often lines are written, in milliseconds. @default 200 */
  readonly interval?: number;
  /** How many lines wait at most before they are written at once. @default 1000 */
  readonly maxWaiting?: number;
}

type Line = [at: number, client: number, address: string, event: string, bytes: number | null, outcome: string];

const TABLE = `
  CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,      -- milliseconds since 1970
    client INTEGER NOT NULL,
    address TEXT NOT NULL,
    event TEXT NOT NULL,      -- connect, disconnect, or the name of a type
    bytes INTEGER,            -- of the payload; NULL of an event
    outcome TEXT NOT NULL     -- ok, the reason of a disconnect, or the code of an error
  )`;

/** The plugin. Attach it `"after"` the types that it is to write down, or `"all"`. */
export const auditLog = definePlugin({
  name: "audit-log",
  version: "1.0.0",
  permissions: ["messages:read", "clients:read", "events:connect", "events:disconnect"],
  options: ({ path, interval = 200, maxWaiting = 1_000 }: AuditLogOptions) => {
    if (typeof path !== "string" || path === "") throw new TypeError("path must be the name of a file");
    return { path, interval, maxWaiting };
  },
  setup: async (host, { path, interval, maxWaiting }) => {
    const database = await openDatabase(path);
    host.onClose(() => database.close());
    database.exec(TABLE);
    const insert = database.prepare(
      "INSERT INTO audit (at, client, address, event, bytes, outcome) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let waiting: Line[] = [];

    /**
     * Writes what waits, all of it or nothing: one transaction costs about as much as one line. Lines that cannot be written
     * are lost, and the failure is reported: keeping them until the disk has room again might take all memory.
     */
    function flush(): void {
      if (waiting.length === 0) return;
      const lines = waiting;
      waiting = [];
      database.exec("BEGIN");
      try {
        for (const line of lines) insert.run(...line);
        database.exec("COMMIT");
      } catch (error) {
        database.exec("ROLLBACK");
        throw error;
      }
    }

    function add(line: Line): void {
      waiting.push(line);
      if (waiting.length >= maxWaiting) flush();
    }

    host.setInterval(flush, interval);
    // What was added last goes first: this, and then the database.
    host.onClose(flush);
    for (const event of ["connect", "disconnect"] as const) {
      host.on(event, ({ client, info }) => {
        if (client === undefined) return;
        const outcome = event === "connect" ? "ok" : String(info.reason);
        add([Date.now(), client.id, addressOf(client.address), event, null, outcome]);
      });
    }
    return {
      after: ({ content, receivedAt, type }, client, { error }) => {
        const outcome = error === undefined ? "ok" : error.code ?? error.name;
        add([receivedAt, client.id, addressOf(client.address), type.name, content?.length ?? null, outcome]);
      },
    };
  },
});

function addressOf(address: { readonly hostname: string } | { readonly path: string } | undefined): string {
  return address === undefined ? "" : "hostname" in address ? address.hostname : address.path;
}
