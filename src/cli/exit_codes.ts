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
  /** It was asked to end by SIGTERM. */
  TERMINATED: 143,
} as const;

/** What the exit codes mean, for `--help` and for the page. */
export const EXIT_CODE_MEANINGS: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [ExitCode.OK, "it worked"],
  [ExitCode.FAILED, "it failed in a way that has no code of its own"],
  [ExitCode.USAGE, "the command or its options are wrong"],
  [ExitCode.NO_CONNECTION, "no connection: nobody listens, or the handshake or the trust failed"],
  [ExitCode.TIMEOUT, "nobody answered in time"],
  [ExitCode.REMOTE, "the peer answered with an error"],
  [ExitCode.INTERRUPTED, "interrupted by Ctrl+C"],
  [ExitCode.TERMINATED, "ended by SIGTERM"],
];

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

/**
 * Makes something of options that were typed, such as a Client. An option that is wrong is a wrong use of the command.
 *
 * @throws {CommandError} An option is wrong.
 */
export function made<Value>(make: () => Value): Value {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof TypeError || cause instanceof RangeError)) throw cause;
    throw new CommandError(ExitCode.USAGE, cause.message, { cause });
  }
}
