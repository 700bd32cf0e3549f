/** A worker without replies: what it is told, it says by failing. */

import { workerHandler } from "../../mod.ts";
import { NOTE } from "./contract.ts";

export default workerHandler(NOTE, ({ data, wantsReply, client }) => {
  throw new Error(`${data} ${wantsReply} ${client?.id}`);
});
