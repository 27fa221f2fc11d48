/**
 * The typed error of everything that has to do with a handover: a segment, its announcement, its descriptors.
 *
 * @module
 */

/** What was wrong; a closed set, so that callers can tell the cases apart. */
export type HandoverErrorCode =
  /** The environment variable is malformed or of an unknown version. */
  | "BAD_ANNOUNCEMENT"
  /** The announced descriptor is closed, or it is no memfd. */
  | "NOT_A_SEGMENT"
  /** The segment can still be changed: not all seals are there. */
  | "UNSEALED"
  /** The content is not what a writer wrote: truncated, damaged, not in the format. */
  | "CORRUPT"
  /** The format is of a version that this build does not read. */
  | "UNKNOWN_VERSION"
  /** Another process, boot or update wrote it. */
  | "FOREIGN"
  /** A descriptor is missing or is not the one that was handed over. */
  | "WRONG_DESCRIPTOR"
  /** A limit of the format would be passed. */
  | "TOO_LARGE"
  /** A blob, a subtree or a descriptor that the segment does not hold was asked for. */
  | "ENOENT"
  /** A descriptor or a name that the handover being prepared holds already. */
  | "EEXIST";

/** Most characters of a message; a longer one, which quotes what it read, is cut in its middle. */
const MAX_MESSAGE = 500;

/** A handover cannot be read, written or used. */
export class HandoverError extends Error {
  /** Always `HandoverError`. */
  override readonly name = "HandoverError";
  /** What was wrong. */
  readonly code: HandoverErrorCode;

  /**
   * An error of a handover.
   *
   * @param code what was wrong
   * @param message the action, a colon, the state
   * @param options the error behind it, if any
   */
  constructor(code: HandoverErrorCode, message: string, options?: ErrorOptions) {
    super(
      message.length > MAX_MESSAGE ? `${message.slice(0, 300)} … ${message.slice(-190)}` : message,
      options,
    );
    this.code = code;
  }
}
