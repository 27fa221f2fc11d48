/**
 * The type that `inherit` may ask for.
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";
import { orchestrator } from "../luo/process.ts";
import { articled, describeFd } from "../sys/mod.ts";

/** How a descriptor is asked for. */
export interface InheritOptions {
  /**
   * What it has to be: the name of a handler without its version, such as `signalfd`, `epoll` or `pty`. Anything that can be
   * carried if absent.
   */
  type?: string;
}

/**
 * Checks that a descriptor is of a type.
 *
 * @param name what the application calls it, for messages
 * @param fd the descriptor, borrowed
 * @param type the name of a handler without its version, or undefined for any
 * @param handed was it handed over, or made just now?
 * @throws {LuoError} `EEXIST` when another type was handed over, `EINVAL` when another type was made, or there is no such
 * type
 */
export function checkType(name: string, fd: number, type: string | undefined, handed: boolean): void {
  if (type === undefined) return;
  const { registry } = orchestrator();
  if (!registry.names().some((compatible) => typeOf(compatible) === type)) {
    const known = registry.names().map(typeOf).join(", ");
    throw new LuoError(
      "EINVAL",
      `Cannot take "${name}": no handler carries the type "${type}", known are ${known}`,
    );
  }
  const found = registry.find(fd)?.compatible;
  if (found !== undefined && typeOf(found) === type) return;
  throw new LuoError(
    handed ? "EEXIST" : "EINVAL",
    `Cannot take "${name}" as ${articled(type)}: ${handed ? "what was handed over" : "what was made"} is ${
      describeFd(fd)
    }`,
  );
}

/** The name of a handler without its version. */
function typeOf(compatible: string): string {
  return compatible.replace(/-v\d+$/, "");
}
