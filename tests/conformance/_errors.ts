/**
 * Which error number an error stands for.
 *
 * @module
 */
import { LuoError } from "../../mod.ts";
import { SysError } from "../../sys/mod.ts";

/**
 * The name of an error number.
 *
 * @param error what was thrown
 * @returns its code
 * @throws the error itself, when it is no answer of the API or of the system but a fault
 */
export function codeOf(error: unknown): string {
  if (error instanceof LuoError || error instanceof SysError) return error.code;
  throw error;
}
