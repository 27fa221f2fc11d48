/**
 * The session `heirloom` that the previous image handed over: its names, and what becomes of those that nobody claims.
 *
 * @module
 */
import { takeStreams } from "../handlers/streams.ts";
import { decodeNames, type NameRecord } from "../kho/abi/live.ts";
import type { Device } from "../luo/device.ts";
import { codeOf } from "../luo/errors.ts";
import type { Session } from "../luo/session.ts";
import { fstat, readWhole } from "../sys/mod.ts";
import { endConnection } from "./port.ts";

/** The session that belongs to `live`. */
export const LIVE_SESSION = "heirloom";

/** Takes the session back, or gives null where none was handed over. */
export function retrieveLive(device: Device): Session | null {
  try {
    return device.retrieveSession(LIVE_SESSION);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** Reads the map of names: token 0 is a sealed memfd that holds it. */
export function readNames(session: Session): NameRecord[] {
  using memory = session.retrieveFd(0n);
  return decodeNames(readWhole(memory.fd, fstat(memory.fd).size));
}

/** Ends the connections that nobody claimed. */
export function endConnections(session: Session, unclaimed: NameRecord[]): void {
  for (const { token, kind } of unclaimed) {
    if (kind === "connection") endConnection(session.retrieveFd(token));
    if (kind !== "connections") continue;
    using list = session.retrieveFd(token);
    for (const connection of takeStreams(list)) endConnection(connection);
  }
}
