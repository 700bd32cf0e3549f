/**
 * The server of `deno task bench:objects`, and its clients in a process of their own. The server compares two snapshots of
 * its heap, with few and with many idle clients, and prints what a client adds, in bytes.
 *
 * @module
 */

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { writeHeapSnapshot } from "node:v8";
import { Client, Server } from "../../mod.ts";

const FEW = 500;
const MANY = 2_500;
const AT_A_TIME = 16;
/** Bytes of a client below which a kind of object is not printed. */
const LEAST = 4;

/** The part of a heap snapshot that is used. */
interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: string[]; readonly node_types: [string[]] } };
  readonly nodes: number[];
  readonly strings: string[];
}

/** Objects of one kind. */
interface Kind {
  count: number;
  bytes: number;
}

if (process.argv[2] === "server") await serve();
else await connect(Number(process.argv[3]));

async function serve(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "veltix-objects-"));
  const [before, after] = ["before", "after"].map((name) => join(folder, `${name}.heapsnapshot`));
  await using server = new Server({ port: 0, hostname: "127.0.0.1" });
  await server.start();
  const [address] = server.addresses;
  if (!("port" in address)) throw new Error("Cannot serve: the server has no port");
  const clients = fork(fileURLToPath(import.meta.url), ["client", `${address.port}`]);
  try {
    await once(clients, "message");
    const open = async (count: number): Promise<void> => {
      clients.send(count);
      await once(clients, "message");
      // The server has a little to do after the client is let in.
      await new Promise((resolve) => setTimeout(resolve, 500));
    };
    await open(FEW);
    // The first snapshot is replaced: what taking one needs is on the heap from then on.
    takeSnapshot(before);
    takeSnapshot(before);
    await open(MANY);
    takeSnapshot(after);
    // They are read only now, so that what that makes is in neither.
    print(kindsIn(before), kindsIn(after));
  } finally {
    clients.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Opens as many clients as it is told to have. */
async function connect(port: number): Promise<void> {
  const clients: Client[] = [];
  process.on("message", async (count) => {
    const lane = async (): Promise<void> => {
      while (clients.length < (count as number)) {
        const client = new Client({ port, hostname: "127.0.0.1" });
        clients.push(client);
        await client.connect();
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, lane));
    process.send!("open");
  });
  process.send!("ready");
  await once(process, "disconnect");
  process.exit();
}

function takeSnapshot(file: string): void {
  const { gc } = globalThis as unknown as { gc(): void };
  for (let i = 0; i < 3; i++) gc();
  writeHeapSnapshot(file);
}

/** Counts the objects of a snapshot by their kind. */
function kindsIn(file: string): Map<string, Kind> {
  const { nodes, snapshot: { meta }, strings } = JSON.parse(readFileSync(file, "utf8")) as Snapshot;
  const [type, name, size] = ["type", "name", "self_size"].map((field) => meta.node_fields.indexOf(field));
  const kinds = new Map<string, Kind>();
  for (let at = 0; at < nodes.length; at += meta.node_fields.length) {
    const what = meta.node_types[0][nodes[at + type]];
    const key = what === "string" || what === "number" ? what : `${what} ${strings[nodes[at + name]].slice(0, 60)}`;
    const kind = kinds.get(key) ?? { count: 0, bytes: 0 };
    kind.count++;
    kind.bytes += nodes[at + size];
    kinds.set(key, kind);
  }
  return kinds;
}

function print(before: ReadonlyMap<string, Kind>, after: ReadonlyMap<string, Kind>): void {
  const added = [...after].map(([name, { bytes, count }]) => ({
    name,
    bytes: (bytes - (before.get(name)?.bytes ?? 0)) / (MANY - FEW),
    count: (count - (before.get(name)?.count ?? 0)) / (MANY - FEW),
  }));
  const sum = added.reduce((total, { bytes }) => total + bytes, 0);
  console.log("bytes  objects  kind, for each idle client of a server");
  for (const { bytes, count, name } of added.sort((a, b) => b.bytes - a.bytes)) {
    if (bytes >= LEAST) console.log(`${bytes.toFixed(0).padStart(5)}  ${count.toFixed(2).padStart(7)}  ${name}`);
  }
  console.log(`${sum.toFixed(0).padStart(5)}           together`);
}
