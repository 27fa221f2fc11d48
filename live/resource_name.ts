/**
 * The names of resources, and what they can stand for.
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";

/** What a name stands for. A part belongs to the resource whose name stands before its `#`. */
export type ResourceKind =
  | "child"
  | "connection"
  | "connections"
  | "control"
  | "datagram"
  | "descriptor"
  | "directory"
  | "epoll"
  | "eventfd"
  | "file"
  | "listener"
  | "part"
  | "pipe"
  | "segment"
  | "shm"
  | "terminal"
  | "timer"
  | "watch";

/** Kinds whose names are made here: they may hold `#` and `@`. */
const OWN_KINDS: ReadonlySet<ResourceKind> = new Set(["connection", "connections", "control", "part"]);

/** Longest name of a resource, in bytes. */
const MAX_RESOURCE_NAME_BYTES = 63;

/**
 * Checks that a name can be that of a resource.
 *
 * @param name the name
 * @param kind what it is to stand for
 * @throws {LuoError} `EINVAL`
 */
export function checkResourceName(name: string, kind: ResourceKind): void {
  const bytes = new TextEncoder().encode(name).byteLength;
  if (bytes >= 1 && name.isWellFormed()) {
    if (OWN_KINDS.has(kind) || (bytes <= MAX_RESOURCE_NAME_BYTES && !/[#@]/.test(name))) return;
  }
  const allowed = `1 to ${MAX_RESOURCE_NAME_BYTES} bytes, no # and no @`;
  throw new LuoError("EINVAL", `Cannot use the name ${JSON.stringify(name)}: a name has ${allowed}`);
}
