/**
 * The SQLite of the runtime: `bun:sqlite` on Bun, `node:sqlite` on Node and Deno. Both have what is used here under the
 * same names.
 *
 * @module
 */

/** A prepared statement. */
export interface Statement {
  run(...values: (string | number | null)[]): unknown;
  all(...values: (string | number | null)[]): unknown[];
}

/** An open database. */
export interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): void;
}

/** Opens a database; `":memory:"` for one without a file. */
export async function openDatabase(path: string): Promise<Database> {
  if ("Bun" in globalThis) {
    // A compiler for other runtimes does not know this module.
    const name = "bun:sqlite";
    const { Database } = await import(name);
    return new Database(path, { create: true });
  }
  const { DatabaseSync } = await import("node:sqlite");
  return new DatabaseSync(path) as unknown as Database;
}
