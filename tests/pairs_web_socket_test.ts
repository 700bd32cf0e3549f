/**
 * The same as `pairs_test.ts`, over WebSockets.
 *
 * @module
 */

import { describe } from "@std/testing/bdd";
import { meetInOne, meetInTwo } from "./pairs/meet.ts";
import { PROTECTIONS } from "./pairs/protection.ts";

const OVER_WEB_SOCKETS = PROTECTIONS.filter((protection) => /\bwss?$/.test(protection));

describe("a client and a server", () => {
  meetInOne(OVER_WEB_SOCKETS);
  meetInTwo(OVER_WEB_SOCKETS, "ws", true);
});
