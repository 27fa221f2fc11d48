/**
 * The orchestrator of this process. It is kept where every copy of Heirloom in the process finds it: descriptors exist
 * once, so there is one who keeps account of them.
 *
 * @module
 */
import { LuoError } from "./errors.ts";
import type { Flb, FlbAccess } from "./flb.ts";
import type { FileHandler } from "./handler.ts";
import { type FindReader, type HandedOver, Orchestrator } from "./orchestrator.ts";

const KEY = Symbol.for("heirloom.v1.orchestrator");

const scope = globalThis as { [KEY]?: Orchestrator };

/** The orchestrator of the process; a cold one if nothing was handed over. */
export function orchestrator(): Orchestrator {
  scope[KEY] ??= new Orchestrator(null);
  return scope[KEY];
}

/**
 * Registers a handler of the application's own, asked after those that are there. Before the device is opened first, if
 * files that were handed over need it.
 *
 * @param handler carries one kind of resource
 * @throws {LuoError} `EOPNOTSUPP` live update is off, `EINVAL` a callback is missing or the name is not 1 to 47 bytes,
 * `EEXIST` the name is registered
 */
export function registerHandler(handler: FileHandler): void {
  checkEnabled(`handler "${handler.compatible}"`);
  orchestrator().registry.register(handler);
}

/**
 * Removes a handler.
 *
 * @param handler the one that was registered
 * @throws {LuoError} `EOPNOTSUPP` live update is off, `ENOENT` it is not registered, `EBUSY` it holds files
 */
export function unregisterHandler(handler: FileHandler): void {
  checkEnabled(`handler "${handler.compatible}"`);
  const luo = orchestrator();
  luo.registry.unregister(handler);
  luo.flbs.detach(handler);
}

/**
 * Makes the files of a handler depend on an FLB, from the next one on. Before the device is opened first, if files that
 * were handed over need it.
 *
 * @param handler a registered handler
 * @param flb state that its files share
 * @throws {LuoError} `EOPNOTSUPP` live update is off; `EINVAL` a callback is missing, the name is not 1 to 47 bytes, or the
 * handler is not registered; `EEXIST` it depends on it already; `ENOSPC` 63 are the limit; `EEXIST` the name is taken
 */
export function registerFlb(handler: FileHandler, flb: Flb): void {
  checkEnabled(`FLB "${flb.compatible}"`);
  orchestrator().flbs.register(handler, flb);
}

/**
 * The inverse of {@linkcode registerFlb}. Files that are preserved keep what they hold.
 *
 * @param handler the handler
 * @param flb the FLB
 * @throws {LuoError} `EOPNOTSUPP` live update is off, `ENOENT` it is not registered with that handler
 */
export function unregisterFlb(handler: FileHandler, flb: Flb): void {
  checkEnabled(`FLB "${flb.compatible}"`);
  orchestrator().flbs.unregister(handler, flb);
}

/** Access to the objects of FLBs of this process. */
export const flbs: FlbAccess = {
  getIncoming: (flb) => enabled(flb).getIncoming(flb),
  putIncoming: (flb) => enabled(flb).putIncoming(flb),
  getOutgoing: (flb) => enabled(flb).getOutgoing(flb),
  putOutgoing: (flb) => enabled(flb).putOutgoing(flb),
};

/** Is live update switched off by the environment (`HEIRLOOM=off`)? */
export function isSwitchedOff(): boolean {
  return Deno.env.get("HEIRLOOM") === "off";
}

function enabled(flb: Flb): FlbAccess {
  checkEnabled(`FLB "${flb.compatible}"`);
  const luo = orchestrator();
  luo.deserialize();
  return luo.flbs;
}

function checkEnabled(what: string): void {
  if (isSwitchedOff()) throw new LuoError("EOPNOTSUPP", `Cannot use ${what}: HEIRLOOM=off`);
}

/**
 * Sets up the orchestrator with a handover. Once, before anyone asks for it.
 *
 * @param incoming what was handed over
 * @param find who takes a file back, if not the registered handler of exactly that name
 * @throws {TypeError} when it exists already
 */
export function receiveHandover(incoming: HandedOver, find?: FindReader): Orchestrator {
  if (scope[KEY] !== undefined) {
    throw new TypeError("Cannot receive the handover: the orchestrator exists already");
  }
  scope[KEY] = new Orchestrator(incoming, find);
  return scope[KEY];
}
