/**
 * What the command line says by its exit code.
 *
 * @module
 */

/** The exit codes. */
export const ExitCode = {
  /** It worked. */
  OK: 0,
  /** It failed in a way that has no code of its own. */
  FAILED: 1,
  /** The command or its options are wrong. */
  USAGE: 2,
  /** No connection: nobody listens, the name is unknown, the handshake or the trust failed. */
  NO_CONNECTION: 3,
  /** Nobody answered in time. */
  TIMEOUT: 4,
  /** The peer answered with an error. */
  REMOTE: 5,
  /** Ctrl+C, as shells have it: 128 and the number of the signal. */
  INTERRUPTED: 130,
} as const;

/** One of the exit codes. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** An error that ends a command with a certain code. Its message is for people. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** The exit code. */
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
