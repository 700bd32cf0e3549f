/**
 * An identity in a file, and a client that trusts the first key that it sees and keeps it in another file.
 *
 * @module
 */
import { Identity, trustOnFirstUse } from "@veltix/core/encryption";
import { ask, pathOf } from "./ask.ts";

await (await Identity.generate()).save(pathOf("identity.pem"));
const identity = await Identity.load(pathOf("identity.pem"));
await ask({ encryption: { identity } }, { encryption: { trust: trustOnFirstUse(pathOf("known")) } });
console.log("done");
