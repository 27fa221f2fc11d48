/**
 * The whole matrix.
 *
 * @module
 */
import { FAILING_ROWS } from "./_rows_failing.ts";
import { HANDLER_ROWS } from "./_rows_handlers.ts";
import { IN_PLACE_ROWS } from "./_rows_in_place.ts";
import { INJECTED_ROWS } from "./_rows_injected.ts";
import { JUMP_ROWS } from "./_rows_jump.ts";
import { LOADING_ROWS } from "./_rows_loading.ts";
import { OUTSIDE_ROWS } from "./_rows_outside.ts";
import { SEQUENCE_ROWS } from "./_rows_sequences.ts";
import type { Row } from "./_types.ts";

/** All rows, in an order in which neighbours can share a service. */
export const ROWS: readonly Row[] = [
  ...LOADING_ROWS,
  ...FAILING_ROWS,
  ...HANDLER_ROWS,
  ...JUMP_ROWS,
  ...IN_PLACE_ROWS,
  ...OUTSIDE_ROWS,
  ...SEQUENCE_ROWS,
  ...INJECTED_ROWS,
].toSorted(byService);

/** Rows of the plain service come first, those that share another one stand together; otherwise the order stays. */
function byService(a: Row, b: Row): number {
  const [first, second] = [a, b].map(({ service }) => service === undefined ? "" : JSON.stringify(service));
  return first === second ? 0 : (first ?? "") < (second ?? "") ? -1 : 1;
}
