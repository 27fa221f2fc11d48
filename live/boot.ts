/**
 * The boot module: the main module of every application that `heirloom run` or `heirloom serve` started.
 *
 * Happy path: take over what was handed over, make the process look to the application as if it had been started
 * directly (`Deno.args`), and import it.
 *
 * Unhappy paths: the application does not load: with a handover this is the end of this build, and the previous one comes
 * back; at a cold start it is the end of the process, with the runtime's own message. A handover that cannot be read ends
 * the process too: going on without the resources would be a guess.
 *
 * @module
 */
import "./api.ts";
import { describeError } from "../kho/probation.ts";
import { takeover } from "./takeover.ts";

/** Where the entry module finds out that it was booted, and is to behave as a main module. */
const BOOTED = Symbol.for("heirloom.booted");

const { error, probation, self } = takeover;
if (error !== null) {
  console.error(`heirloom: ${error.message}`);
  Deno.exit(1);
}
if (self.spec === null) {
  console.error("heirloom: Cannot boot: this module is started by heirloom run and heirloom serve only");
  Deno.exit(2);
}
const entry = new URL(`file://${self.spec.entry.split("/").map(encodeURIComponent).join("/")}`).href;
Object.defineProperty(Deno, "args", {
  value: Object.freeze([...self.args]),
  configurable: true,
  enumerable: true,
});
(globalThis as { [BOOTED]?: string })[BOOTED] = entry;
try {
  await import(entry);
} catch (reason) {
  if (probation?.armed) probation.giveUp(`it threw while loading: ${describeError(reason)}`);
  throw reason;
}
