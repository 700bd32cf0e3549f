/** A worker that answers with bytes of all kinds. */

import { existsSync } from "node:fs";
import { workerHandler } from "../../src/workers/worker_handler.ts";
import { BLOB, standStillUntil } from "./contract.ts";

const kept = new Uint8Array([7, 7, 7]);
const shared = new Uint8Array([0, 1, 2, 3, 4, 5]);
const memory = new WebAssembly.Memory({ initial: 1 });

export default workerHandler(BLOB, ({ data }) => {
  switch (data[0]) {
    case 0: // A part of a buffer that goes on living.
      return shared.subarray(1, 3);
    case 1: // A buffer that is given away, the second time in vain.
      return kept;
    case 2: // Memory that can't be given away.
      return new Uint8Array(memory.buffer);
    case 3:
      return new Uint8Array(0);
    case 4:
      return new Uint8Array(new SharedArrayBuffer(2));
    case 5:
      throw new Error("not this one");
    case 6: { // What came, back, once the file exists whose name follows up to a zero.
      const file = new TextDecoder().decode(data.subarray(1, data.indexOf(0)));
      standStillUntil(() => existsSync(file));
      return data;
    }
    default: // What came, back.
      return data;
  }
});
