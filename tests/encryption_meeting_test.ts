/** Clients of several programs that meet the same server at once, and share one file of known servers. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Server, type TcpEndpoint } from "../mod.ts";
import { ROOT } from "../scripts/runtimes.ts";
import { Identity } from "../src/encryption/identity.ts";
import { inFolder } from "./encryption_support.ts";
import { HOST } from "./protected_support.ts";

const PROGRAMS = 3;
const CLIENTS = 8;

/** Runs a program with several clients of a server, and resolves with their codes. */
function meet(path: string, { port }: TcpEndpoint): Promise<string[]> {
  const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
  const file = join(ROOT, "tests", "encryption_meeting_client.ts");
  return new Promise((resolve, reject) => {
    const args = [...flags, file, path, `${port}`, `${CLIENTS}`];
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => printed += text);
    child.on("error", reject);
    child.on(
      "close",
      (code) => code === 0 ? resolve(printed.trim().split(" ")) : reject(new Error(`exit code ${code}`)),
    );
  });
}

/** Lets several programs meet a server with these identities at once. Returns how often each code came. */
async function meeting(
  path: string,
  identity: readonly Identity[],
  port: number,
): Promise<{ readonly port: number; readonly codes: Record<string, number> }> {
  await using server = new Server({ hostname: HOST, port, encryption: { identity } });
  server.on("rejected", () => {});
  await server.start();
  const at = server.addresses[0] as TcpEndpoint;
  const codes: Record<string, number> = {};
  const all = await Promise.all(Array.from({ length: PROGRAMS }, () => meet(path, at)));
  for (const code of all.flat()) codes[code] = (codes[code] ?? 0) + 1;
  return { port: at.port, codes };
}

describe("clients of several programs that share a file of known servers", () => {
  it("come in all at once, follow a new key that is shown beside the old one, and refuse another", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      const keysOf = (): string[][] =>
        readFileSync(path, "utf8").split("\n").filter((line) => /^[^#]/.test(line)).map((line) => line.split(" "));
      const [old, next, other] = await Promise.all([1, 2, 3].map(() => Identity.generate()));
      const all = PROGRAMS * CLIENTS;

      const first = await meeting(path, [old], 0);
      assertEquals(first.codes, { ok: all });
      const host = `${HOST}:${first.port}`;
      assertEquals(keysOf(), [[host, old.publicKey]]);

      // The same port, as a server that was started anew.
      assertEquals((await meeting(path, [next, old], first.port)).codes, { ok: all });
      assertEquals(keysOf(), [[host, old.publicKey, next.publicKey]]);

      assertEquals((await meeting(path, [next], first.port)).codes, { ok: all });
      assertEquals((await meeting(path, [other], first.port)).codes, { "identity-mismatch": all });
      assertEquals(keysOf(), [[host, old.publicKey, next.publicKey]]);
      assertEquals(readdirSync(folder), ["known_hosts"], "no lock is left");
    }));
});
