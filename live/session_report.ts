/**
 * Sessions as they are shown.
 *
 * @module
 */
import type { SessionReport } from "../control/types.ts";
import type { Device } from "../luo/device.ts";
import { LIVE_SESSION } from "./handed_session.ts";
import type { Resources } from "./resources.ts";

/**
 * All sessions of a process, with the application's names where they are known.
 *
 * @param device the open device
 * @param resources the names of session `heirloom`
 */
export function reportSessions(device: Device, resources: Resources): SessionReport[] {
  return device.sessions().map((session) => ({
    name: session.name,
    direction: session.direction,
    files: session.files().map(({ token, compatible, fd }) => ({
      token: token.toString(),
      compatible,
      fd,
      name: session.name === LIVE_SESSION ? resources.nameOf(token) : null,
    })),
  }));
}
