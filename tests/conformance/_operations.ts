/**
 * All operations of the vocabulary. `kexec` is not among them: it ends the image that runs it.
 *
 * @module
 */
import type { Operation } from "./_context.ts";
import { FILE_OPERATIONS } from "./_file_operations.ts";
import { LOOP_OPERATIONS } from "./_loop_operations.ts";
import { LUO_OPERATIONS } from "./_luo_operations.ts";
import { PROCESS_OPERATIONS } from "./_process_operations.ts";

/** The operations, by name. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...LUO_OPERATIONS,
  ...LOOP_OPERATIONS,
  ...FILE_OPERATIONS,
  ...PROCESS_OPERATIONS,
};
