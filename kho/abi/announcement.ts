/**
 * How a segment is announced to the next image: the environment variable `HEIRLOOM_HANDOVER=v1:<fd>:<nonce>:<role>`.
 *
 * The variable is the only announcement, and it is removed as soon as it is read, so that no child of the service
 * takes itself for the next build.
 *
 * @module
 */
import { HandoverError } from "../errors.ts";

/** The environment variable that announces a segment. */
export const HANDOVER_VARIABLE = "HEIRLOOM_HANDOVER";

/** Bytes of a nonce. */
export const NONCE_BYTES = 16;

/**
 * Why an image starts with a segment: `update`, the new build; `fallback`, the previous build after the new one gave
 * up; `recovery`, the previous build started by the guardian; `store`, started by systemd out of its fd store.
 */
export type Role = "update" | "fallback" | "recovery" | "store";

const ROLES: readonly string[] = ["update", "fallback", "recovery", "store"];

/** What the variable says. */
export interface Announcement {
  /** Number of the segment's descriptor. */
  fd: number;
  /** The nonce that the segment's metadata must repeat. */
  nonce: Uint8Array;
  /** Why this image starts. */
  role: Role;
}

/** The whole entry of the environment, `NAME=value`. */
export function formatAnnouncement(announcement: Announcement): string {
  return `${HANDOVER_VARIABLE}=v1:${announcement.fd}:${announcement.nonce.toHex()}:${announcement.role}`;
}

/**
 * Reads the value of the variable.
 *
 * @param value what stands behind the `=`
 * @throws {HandoverError} `BAD_ANNOUNCEMENT` when it is of another version or malformed
 */
export function parseAnnouncement(value: string): Announcement {
  const parts = value.split(":");
  const [version, fd = "", nonce = "", role = ""] = parts;
  if (version !== "v1") throw bad(value, `version "${version}" is unknown, this build reads v1`);
  if (parts.length !== 4) throw bad(value, "it must be v1:<fd>:<nonce>:<role>");
  if (!/^(0|[1-9][0-9]{0,8})$/.test(fd) || Number(fd) < 3) {
    throw bad(value, `"${fd}" is no descriptor from 3 up`);
  }
  if (!/^[0-9a-f]+$/.test(nonce) || nonce.length !== 2 * NONCE_BYTES) {
    throw bad(value, `the nonce must be ${2 * NONCE_BYTES} hexadecimal digits`);
  }
  if (!ROLES.includes(role)) throw bad(value, `role "${role}" is not one of ${ROLES.join(", ")}`);
  return { fd: Number(fd), nonce: Uint8Array.fromHex(nonce), role: role as Role };
}

function bad(value: string, state: string): HandoverError {
  return new HandoverError(
    "BAD_ANNOUNCEMENT",
    `Cannot take over: ${HANDOVER_VARIABLE}=${JSON.stringify(value.slice(0, 80))}: ${state}`,
  );
}
