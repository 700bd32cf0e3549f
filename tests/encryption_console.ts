/**
 * A program: prints the identity whose key it reads from its input in several ways.
 *
 * @module
 */

import { Identity } from "@veltix/core/encryption";
import { readFileSync } from "node:fs";

const identity = await Identity.importKey(readFileSync(0, "utf8"));
console.log(identity);
console.log("an identity: %s", identity);
console.log({ inside: { identity } });
console.log([identity]);
console.log(`${identity}`);
console.dir({ ...identity }, { showHidden: true });
console.log(structuredClone(identity));
