/**
 * What cannot be compared here, by kind of operation: the one list.
 *
 * Happy path: {@linkcode skipOf} says by which kind a step is skipped, or null; {@linkcode isCompared} whether a member of
 * an answer counts.
 *
 * @module
 */
import type { Step } from "./_scenario.ts";
import type { ThingKind, World } from "./_world.ts";

/** Why a kind of step is skipped. */
export const SKIPS = {
  "raw-ioctl": "the API has methods, no ioctl numbers",
  "raw-io": "neither the device nor a session is a descriptor that could be read, written, mapped or polled",
  "kernel-image": "there is no loaded kernel image that could be there or not",
  "struct-size": "a method has no size, tail or reserved member that could be wrong",
  "object-name": "an object has no link in /proc",
  "default-name": "the name of a memfd that was given none is the probe's own choice",
  "object-as-descriptor": "the device and sessions are objects, not descriptors of files",
  "other-object": "an object has no methods of another one",
} as const;

/** A kind of step that is skipped. */
export type SkipKind = keyof typeof SKIPS;

/** Operations that exist for a kernel only. */
const KERNEL_ONLY = new Map<string, SkipKind>([
  ["ioctl", "raw-ioctl"],
  ["rw", "raw-io"],
  ["kexec_load", "kernel-image"],
  ["reboot_kexec_noload", "kernel-image"],
]);

/** Members of answers that are not compared; for `state`, those that are. */
const MEMBERS_SKIPPED = new Map<string, readonly string[]>([
  // A session is no descriptor, so it has neither flags nor an access mode.
  ["create", ["cloexec", "accmode"]],
  ["retrieve_session", ["cloexec", "accmode"]],
]);
const STATE_COMPARED = ["ok", "errno", "dev"];

/** Smallest size of the structure of each ioctl. */
const STRUCT_BYTES = new Map([
  ["create", 72],
  ["retrieve_session", 72],
  ["preserve", 16],
  ["retrieve", 16],
  ["finish", 8],
  ["get_name", 72],
]);

/** What the variables of a step must refer to. */
const OPERANDS = new Map<string, readonly (readonly [argument: string, kind: ThingKind])[]>([
  ...["create", "create_many", "retrieve_session", "retrieve_sessions_many"]
    .map((op) => [op, [["dev", "device"]]] as const),
  ...["preserve", "preserve_many", "retrieve", "retrieve_many", "finish", "get_name"]
    .map((op) => [op, [["session", "session"]]] as const),
  ...["fallocate", "ftruncate", "hash", "lseek", "mmap", "poke", "read", "seal", "stat", "write"]
    .map((op) => [op, [["fd", "file"]]] as const),
  ["same_file", [["a", "file"], ["b", "file"]]],
]);

/**
 * Must a step be skipped?
 *
 * @param step the step
 * @param world what is open when its turn comes
 * @returns the kind, or null for a step that is run
 */
export function skipOf(step: Step, world: World): SkipKind | null {
  const kernelOnly = KERNEL_ONLY.get(step.op);
  if (kernelOnly !== undefined) return kernelOnly;
  if (isStructSize(step)) return "struct-size";
  for (const [argument, kind] of OPERANDS.get(step.op) ?? []) {
    const found = world.peek(step.args.text(argument))?.kind ?? kind;
    if (found !== kind) return kind === "file" ? "object-as-descriptor" : "other-object";
  }
  return skipOfDescriptor(step, world);
}

/** Was the step refused because of how large the structure was, or what was in its unused parts? */
function isStructSize({ op, args, expect }: Step): boolean {
  const least = STRUCT_BYTES.get(op);
  if (least === undefined) return false;
  if (expect.errno === "E2BIG") return true;
  if (expect.errno !== "EINVAL") return false;
  const isReserved = args.has("reserved") && args.number("reserved") !== 0;
  return isReserved || (args.has("size") && args.number("size") < least);
}

function skipOfDescriptor({ op, args, expect }: Step, world: World): SkipKind | null {
  if (!args.has("fd")) return null;
  const thing = world.peek(args.text("fd"));
  const isObject = thing !== null && thing.kind !== "file";
  if (op === "fdname") {
    if (isObject) return "object-name";
    const isUnnamed = thing?.kind === "file" && !thing.named && String(expect["link"]).startsWith("/memfd:");
    return thing === null || isUnnamed ? "default-name" : null;
  }
  // A session is an anonymous inode, which cannot be opened again; the device can.
  if (op === "reopen" && thing?.kind === "session") return "object-as-descriptor";
  if (op === "preserve" && isObject && expect.errno === "ENOENT") return "object-as-descriptor";
  return null;
}

/** Is this member of the kernel's answer compared? */
export function isCompared(op: string, member: string): boolean {
  if (op === "state") return STATE_COMPARED.includes(member);
  return !(MEMBERS_SKIPPED.get(op) ?? []).includes(member);
}
