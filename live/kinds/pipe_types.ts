/**
 * A pipe as its application sees it.
 *
 * @module
 */
import type { PathState } from "../../handlers/file.ts";

/** What an application does with what comes out of a pipe. */
export interface PipeHandlers {
  /**
   * Called with what came out, as it comes. While a promise that it gives is not settled, an update waits. Without it,
   * {@linkcode LivePipe.read} asks.
   *
   * @param bytes some bytes, at least one, the application's; a whole packet in packet mode
   * @param pipe the pipe
   */
  data?(bytes: Uint8Array<ArrayBuffer>, pipe: LivePipe): unknown;
  /**
   * Called when the last writer is gone and everything was read; for a FIFO each time. In a build that takes back a pipe
   * without writers, it is called again.
   *
   * @param pipe the pipe
   */
  end?(pipe: LivePipe): unknown;
}

/** A carried pipe, as its application sees it. */
export interface LivePipe {
  /** Its name. */
  readonly name: string;
  /** The end for reading, borrowed, to hand to a child; -1 when it is closed, and in a check. */
  readonly readFd: number;
  /** The end for writing, borrowed, to hand to a child; -1 when it is closed, and in a check. */
  readonly writeFd: number;
  /** Does the path that was asked for lead to this FIFO? Null for a pipe without a path, in a check, and after the end. */
  readonly path: PathState | null;
  /** How many bytes wait in it; 0 in a check and after the end. */
  readonly waiting: number;
  /** How many bytes fit into it; 0 in a check and after the end. */
  readonly capacity: number;
  /**
   * Reads what is there, for an application without `data`. Reads nothing before the application is ready and while an
   * update lets things stand still.
   *
   * @returns up to 64 KiB or one packet, the application's; no bytes when the last writer is gone; null when there is nothing
   * @throws {TypeError} if the end for reading is closed, or `data` reads it
   * @throws {SysError} EMFILE, the first time
   */
  read(): Uint8Array<ArrayBuffer> | null;
  /**
   * Writes what there is room for. Up to 4096 bytes (`PIPE_BUF`) are written whole or not at all. What a new build writes before it
   * fails stays written.
   *
   * @param bytes what to write
   * @returns how many of them were written; 0 when it is full, and while {@linkcode LivePipe.writeAll} is at work
   * @throws {TypeError} if the end for writing is closed
   * @throws {SysError} EPIPE nobody reads it any more; EMFILE, the first time
   */
  write(bytes: Uint8Array): number;
  /**
   * Writes everything, as soon as there is room, behind what was asked for before. An update waits for it.
   *
   * @param bytes what to write
   * @returns resolves when the pipe has it all
   * @throws {TypeError} if the end for writing is closed, also before everything was written
   * @throws {SysError} EPIPE nobody reads it any more; EMFILE, the first time
   */
  writeAll(bytes: Uint8Array): Promise<void>;
  /** Closes the end for reading. What is in the pipe is lost if nobody else reads it. Resolves when it is closed. */
  closeRead(): Promise<void>;
  /** Closes the end for writing, when {@linkcode LivePipe.writeAll} is done. Resolves when it is closed. */
  closeWrite(): Promise<void>;
  /** Closes both ends at once and frees the name. Resolves when they are closed. */
  close(): Promise<void>;
}
