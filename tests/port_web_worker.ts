/**
 * A web worker whose global object is one end of a channel of messages.
 *
 * @module
 */

import { fromMessagePort, type MessagePortLike } from "../mod.ts";
import { clientOver, talk } from "./accept_support.ts";

const client = clientOver(() => fromMessagePort(globalThis as unknown as MessagePortLike));
await client.connect();
await talk(client);
await client.close();
