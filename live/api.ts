/**
 * What Heirloom does for applications, by the first copy of Heirloom in the process.
 *
 * @module
 */
import { ready, reboot } from "./bare.ts";
import { meet } from "./meeting.ts";
import { open } from "./open.ts";
import { ROOT, VERSION } from "./version.ts";

/** What every copy offers. */
export interface Api {
  /** Opens live update. */
  open: typeof open;
  /** Commits, for an application without `open()`. */
  ready: typeof ready;
  /** Replaces the running image, for an application without `open()`. */
  reboot: typeof reboot;
}

/** The first copy's offer. */
export const api: Api = meet<Api>(VERSION, ROOT, { open, ready, reboot });
