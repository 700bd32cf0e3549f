/**
 * The log of a server, in a file.
 *
 * @module
 */
import { Logger } from "@veltix/core/logger";
import { ask, pathOf } from "./ask.ts";

declare const process: {
  getBuiltinModule(id: "node:fs"): { readFileSync(path: string, encoding: "utf8"): string };
};

const logger = new Logger({ filePath: pathOf("log"), stream: null });
await ask({ logger, quiet: false }, {});
logger.close();
const lines = process.getBuiltinModule("node:fs").readFileSync(pathOf("log"), "utf8");
if (!/Server listening/.test(lines)) throw new Error(`the log lacks the server: ${lines}`);
console.log("done");
