/**
 * TLS with a certificate in files.
 *
 * @module
 */
import { ask, pathOf } from "./ask.ts";

/** All runtimes have it. Their types are not at hand where a program is checked without them. */
declare const process: {
  getBuiltinModule(id: "node:fs"): { readFileSync(path: string, encoding: "utf8"): string };
};

const { readFileSync } = process.getBuiltinModule("node:fs");
const [cert, key, ca] = ["server.crt", "server.key", "ca.crt"].map((name) => readFileSync(pathOf(name), "utf8"));
await ask({ tls: { cert: cert!, key: key! } }, { tls: { ca: ca!, serverName: "localhost" } });
console.log("done");
