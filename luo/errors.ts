/**
 * The error of every LUO call, with the errno name that the kernel would answer.
 *
 * @module
 */

/** Errno names that LUO itself answers; a handler may answer others. */
export type LuoErrorCode =
  | "EBADF"
  | "EBUSY"
  | "EDEADLK"
  | "EEXIST"
  | "EINVAL"
  | "EIO"
  | "EMFILE"
  | "ENODATA"
  | "ENODEV"
  | "ENOENT"
  | "ENOSPC"
  | "EOPNOTSUPP";

/** Where a call failed, as far as it concerns something of that kind. */
export interface FailurePlace {
  /** Name of the session. */
  session?: string;
  /** Token of the file. */
  token?: bigint;
  /** `compatible` of the handler. */
  handler?: string;
}

/** A LUO call that was refused or failed. The kernel only logs which file and which handler it was. */
export class LuoError extends Error {
  /** Always `LuoError`. */
  override readonly name = "LuoError";
  /** Name of the errno, such as `EBUSY`. */
  readonly code: string;
  /** The session that it is about, or null. */
  readonly session: string | null;
  /** The token of the file that it is about, or null. */
  readonly token: bigint | null;
  /** The handler that refused or failed, or null. */
  readonly handler: string | null;

  /**
   * An error of a LUO call.
   *
   * @param code name of the errno
   * @param message the action, a colon, the state
   * @param options the error behind it, if any, and where it happened
   */
  constructor(
    code: LuoErrorCode | (string & Record<never, never>),
    message: string,
    options: ErrorOptions & FailurePlace = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.session = options.session ?? null;
    this.token = options.token ?? null;
    this.handler = options.handler ?? null;
  }

  /** An error of another copy of Heirloom in this process is one as well. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Error.isError(value) && (value as Error).name === "LuoError";
  }
}

/** What an error says, whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name of any error: its own `code` where it looks like one, else `EIO`. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : "EIO";
}
