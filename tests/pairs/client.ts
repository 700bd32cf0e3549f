/**
 * The client of a pair. It takes the server's port as its argument and prints one line of JSON for each check.
 *
 * @module
 */

import process from "node:process";
import { main } from "./program.ts";
import { GIVEN, wayTo } from "./protection.ts";
import { talk } from "./talk.ts";

await main((checks) => talk(checks, wayTo(GIVEN, Number(process.argv[2]))));
