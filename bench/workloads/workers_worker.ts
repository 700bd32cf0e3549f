/**
 * The worker of the workload `workers`.
 *
 * @module
 */

import { workerHandler } from "../../mod.ts";
import { COUNT, count } from "./workers_type.ts";

export default workerHandler(COUNT, ({ data }) => count(data));
