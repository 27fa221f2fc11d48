/**
 * The error of every LUO call, with the errno name that the kernel would answer.
 *
 * @module
 */

/** Errno names that LUO itself answers; a handler may answer others. */
export type LuoErrorCode =
  | "EBADF"
  | "EBUSY"
  | "EEXIST"
  | "EINVAL"
  | "EIO"
  | "EMFILE"
  | "ENODATA"
  | "ENODEV"
  | "ENOENT"
  | "ENOSPC"
  | "EOPNOTSUPP";

/** A LUO call that was refused or failed. */
export class LuoError extends Error {
  /** Always `LuoError`. */
  override readonly name = "LuoError";
  /** Name of the errno, such as `EBUSY`. */
  readonly code: string;

  /**
   * An error of a LUO call.
   *
   * @param code name of the errno
   * @param message the action, a colon, the state
   * @param options the error behind it, if any
   */
  constructor(code: LuoErrorCode | (string & Record<never, never>), message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** An error of another copy of Heirloom in this process is one as well. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Error.isError(value) && (value as Error).name === "LuoError";
  }
}

/** The errno name of any error: its own `code` where it looks like one, else `EIO`. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : "EIO";
}
