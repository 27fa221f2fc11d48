/**
 * The end of a tap that nobody will open any more: its socket belongs to somebody else, who has a tap of his own.
 *
 * @module
 */
import type { StreamHandle } from "./runtime.ts";

/**
 * Lets a socket read again, whoever has closed its tap. To be called before a new tap is made.
 *
 * @param handle the handle of the socket
 */
export function untap(handle: StreamHandle): void {
  // A closed tap shadows the method of the prototype.
  if (!Object.hasOwn(handle, "readStart")) return;
  Reflect.deleteProperty(handle, "readStart");
  if (handle.reading) handle.readStart();
}
