/**
 * What an operation of a scenario works on.
 *
 * @module
 */
import { isUtf8, nameText } from "./_encoding.ts";
import type { Memory } from "./_memory.ts";
import type { Answer, Args } from "./_scenario.ts";
import type { World } from "./_world.ts";

/** What there is while a scenario runs in one image. */
export interface Context {
  /** What is open. */
  world: World;
  /** What is remembered of files. */
  readonly memory: Memory;
  /** A folder in a tmpfs, removed in the end. */
  readonly folder: string;
  /** How many kexecs there were. */
  readonly kexecs: number;
  /** Is live update switched off in this image? */
  readonly off: boolean;
  /** Was it ever? Then the numbers of the images have begun anew. */
  readonly wasOff: boolean;
}

/** An operation: does something and answers, beside `ok`, what it found out. */
export type Operation = (context: Context, args: Args) => Answer | void;

/** The variable that receives a descriptor; null where nobody wants to know. */
export function target(args: Args): string | null {
  return args.has("as") ? args.text("as") : null;
}

const stood = new Map<string, Uint8Array>();

/**
 * A name for names that are no text: the API has text only, so these get a stand-in that is well-formed, the same for the
 * same bytes.
 */
export function standIn(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const name = hex.length < 50
    ? `bytes:${hex}`
    : `bytes:${hex.slice(0, 24)}~${bytes.length}~${hex.slice(-24)}`;
  stood.set(name, bytes);
  return name;
}

/** The bytes of a name that the API gave. */
export function nameBytes(name: string): Uint8Array {
  return stood.get(name) ?? new TextEncoder().encode(name);
}

/** The name that the API is given: ill-formed text for bytes that are no UTF-8, unless a stand-in is wanted. */
export function apiName(bytes: Uint8Array, useStandIn: boolean): string {
  return useStandIn && !isUtf8(bytes) ? standIn(bytes) : nameText(bytes);
}
