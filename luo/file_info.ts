/**
 * What can be told about the files of a session.
 *
 * @module
 */
import type { LuoError } from "./errors.ts";

/** What can be told about a file. */
export interface FileInfo {
  /** Its token. */
  token: bigint;
  /** Its handler. */
  compatible: string;
  /** The descriptor that LUO or the handover holds; null for an incoming file that is gone. */
  fd: number | null;
  /** What became of it so far. */
  state: FileState;
  /** Why it could not be retrieved, or null. */
  error: LuoError | null;
}

/**
 * States of a file: `preserved` and `frozen` of an outgoing session; `pending`, `retrieved` and `failed` of an incoming one.
 */
export type FileState = "preserved" | "frozen" | "pending" | "retrieved" | "failed";
