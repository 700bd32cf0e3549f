/**
 * `deno task bench:objects`: what an idle connection holds on the heap of a server on Node, object by object.
 *
 * @module
 */

import { commandLine, findPrograms } from "../runtimes.ts";

const [node] = findPrograms(["node"]);
const [command, ...args] = commandLine(node, new URL("./idle.ts", import.meta.url), "server");
const { code } = await new Deno.Command(command, { args, stdout: "inherit", stderr: "inherit" }).output();
Deno.exitCode = code;
