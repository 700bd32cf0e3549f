/**
 * A logger for the console and for files, built on LogTape, with the levels and the format of Python's `veltix`. The
 * rest of the package does not import it. A `Server` or `Client` takes it, or any other logger, as its `logger`.
 *
 * @example The log of a server, also in a file
 * ```ts
 * import { Server } from "@veltix/core";
 * import { Logger } from "@veltix/core/logger";
 *
 * using logger = new Logger({ level: "debug", showCaller: false });
 * await using server = new Server({ port: 0, hostname: "127.0.0.1", logger });
 * await server.start();
 * logger.success("Listening on", server.addresses[0]);
 * ```
 *
 * @module
 */

export { LOG_LEVELS, type LogLevel } from "./levels.ts";
export { Logger, type LogStats } from "./logger.ts";
export type { LoggerConfig, LogStream } from "./logger_config.ts";
