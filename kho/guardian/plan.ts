/**
 * What a guardian has to know to bring the previous build back, and how it travels: as JSON, which needs no package to
 * be read.
 *
 * Happy path: {@linkcode encodePlan} at the freeze, {@linkcode decodePlan} in the guardian.
 *
 * Unhappy path: service and guardian are started from the same files, so a plan that cannot be read is a fault of the
 * program: `SyntaxError` or `TypeError`, and the guardian says that it cannot recover.
 *
 * @module
 */
import type { ImageRecord } from "../abi/image.ts";

/** Where to leave the record of an update after which nobody is there to ask. */
export interface LastWords {
  /** The file. */
  path: string;
  /** JSON text of the record with `"outcome": null` and `"reason": null`. */
  text: string;
}

/** How to bring the previous build back. */
export interface RecoveryPlan {
  /** The build to start. */
  image: ImageRecord;
  /** Number of the segment's descriptor. */
  segment: number;
  /** The nonce of the segment. */
  nonce: Uint8Array;
  /** Numbers that must be there again, the segment among them. */
  crossing: readonly number[];
  /** The open runtime, one of `crossing`, or null. */
  runtime: number | null;
  /** The journal, one of `crossing`, or null. */
  journal: number | null;
  /** `CLOCK_MONOTONIC` in nanoseconds at which the guardian ends a service that is not committed. */
  deadlineNs: bigint;
  /** What to leave if the previous build fails as well, or null. */
  lastWords: LastWords | null;
}

/**
 * Encodes a plan.
 *
 * @param plan the plan
 * @returns JSON in UTF-8
 */
export function encodePlan(plan: RecoveryPlan): Uint8Array<ArrayBuffer> {
  const { image, nonce, deadlineNs, ...rest } = plan;
  const text = JSON.stringify({
    ...rest,
    image: {
      ...image,
      // Entries need not be UTF-8.
      env: image.env.map((entry) => entry.toBase64()),
      limits: image.limits.map(({ name, soft, hard }) => ({ name, soft: `${soft}`, hard: `${hard}` })),
    },
    nonce: nonce.toHex(),
    deadlineNs: `${deadlineNs}`,
  });
  return new TextEncoder().encode(text);
}

/**
 * Decodes a plan.
 *
 * @param bytes what {@linkcode encodePlan} wrote
 * @returns the plan
 * @throws {SyntaxError} if it is no such JSON
 * @throws {TypeError} if something is missing
 */
export function decodePlan(bytes: Uint8Array): RecoveryPlan {
  const plan = JSON.parse(new TextDecoder().decode(bytes));
  return {
    ...plan,
    image: {
      ...plan.image,
      env: plan.image.env.map((entry: string) => Uint8Array.fromBase64(entry)),
      limits: plan.image.limits.map((limit: { name: string; soft: string; hard: string }) => ({
        name: limit.name,
        soft: BigInt(limit.soft),
        hard: BigInt(limit.hard),
      })),
    },
    nonce: Uint8Array.fromHex(plan.nonce),
    deadlineNs: BigInt(plan.deadlineNs),
  };
}
