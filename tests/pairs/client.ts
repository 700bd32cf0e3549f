/**
 * The client of a pair. It takes the server's port as its argument and prints one line of JSON for each check.
 *
 * @module
 */

import process from "node:process";
import { main } from "./program.ts";
import { GIVEN, wayTo } from "./protection.ts";
import { survive, SURVIVORS } from "./survive.ts";
import { talk } from "./talk.ts";

const port = Number(process.argv[2]);
await main(async (checks) => {
  if (SURVIVORS.includes(GIVEN)) await survive(checks, GIVEN, port);
  await talk(checks, wayTo(GIVEN, port));
});
