/**
 * A program: logs many lines into the file that its argument names, and ends at once without closing the logger.
 *
 * @module
 */

import { Logger } from "@veltix/core/logger";
import process from "node:process";

const logger = new Logger({ stream: null, filePath: process.argv[2] });
for (let line = 1; line <= 200; line++) logger.info(`line ${line}`);
process.exit();
