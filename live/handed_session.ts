/**
 * The session `heirloom` that the previous image handed over: its names, and what becomes of those that nobody claims.
 *
 * @module
 */
import { takeStreams } from "../handlers/streams.ts";
import { decodeNames, type NameRecord } from "../kho/abi/live.ts";
import type { Device } from "../luo/device.ts";
import { HandoverError } from "../kho/errors.ts";
import { codeOf, LuoError } from "../luo/errors.ts";
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

/**
 * Which resource was found to be another one than was preserved.
 *
 * @param error what a freeze answered
 * @returns its token, or null when the error says nothing of the kind
 */
export function brokenToken(error: unknown): bigint | null {
  if (!(error instanceof LuoError) || error.session !== LIVE_SESSION) return null;
  const { cause } = error;
  return cause instanceof HandoverError && cause.code === "WRONG_DESCRIPTOR" ? error.token : null;
}
