/**
 * A two-stage test from which stage 2 is asked for: see `_two_stage_app.ts`.
 *
 * @module
 */
import { main } from "./_two_stage_app.ts";

await main(2);
