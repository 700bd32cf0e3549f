/**
 * What a program may do, and the permissions that it needs on Deno: no more, and no less. `docs/install.md` has the same
 * table.
 *
 * @module
 */
import type { PROGRAM_NAMES } from "./project.ts";

/** Something that programs do. */
export interface Use {
  /** What it is. */
  readonly name: string;
  /** The permissions, each of which it needs. */
  readonly permissions: readonly string[];
  /** The programs that do it; `main` is the quick start. */
  readonly programs: readonly ("main" | typeof PROGRAM_NAMES[number])[];
}

/** Every use, the smallest first. `data` is the folder of the program's files, `doubler.ts` the module with the handler. */
export const USES: readonly Use[] = [
  {
    name: "TCP, with streams, compression, sessions that survive, and encryption with an identity in memory",
    permissions: ["--allow-net"],
    programs: ["main", "talk", "protocols"],
  },
  { name: "The same at one port", permissions: ["--allow-net=127.0.0.1:8080"], programs: ["main"] },
  {
    name: "TLS, with a certificate in files",
    permissions: ["--allow-net", "--allow-read=data"],
    programs: ["tls"],
  },
  {
    name: "Identities and known servers in files",
    permissions: ["--allow-net", "--allow-read=data", "--allow-write=data"],
    programs: ["identity_file"],
  },
  {
    name: "A unix socket",
    permissions: ["--allow-net", "--allow-read=data", "--allow-write=data"],
    programs: ["unix_socket"],
  },
  { name: "Handlers in threads", permissions: ["--allow-net", "--allow-read=doubler.ts"], programs: ["worker"] },
  {
    name: "A log in a file",
    permissions: ["--allow-net", "--allow-read=data", "--allow-write=data"],
    programs: ["log_file"],
  },
];
