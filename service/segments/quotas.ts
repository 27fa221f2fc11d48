/**
 * How much the segment API gives away: limits on the number of segments, on each one, on all of them, and on one
 * request body.
 *
 * Happy path: the command line fills a {@linkcode Quotas} over {@linkcode DEFAULT_QUOTAS}; the routes check it
 * before they ask the store for anything.
 *
 * Unhappy path: a quota that is no positive whole number is a RangeError when the handler is made, not an
 * unlimited one later.
 *
 * @module
 */

import type { SegmentInfo } from "./store.ts";

const GIB = 1024 ** 3;

/** How many segments there may be, unless the command line says otherwise. */
export const DEFAULT_MAX_SEGMENTS = 64;
/** Bytes of one segment, unless the command line says otherwise: 1 GiB. */
export const DEFAULT_MAX_SEGMENT_BYTES: number = 1 * GIB;
/** Bytes of all segments together, unless the command line says otherwise: 4 GiB. */
export const DEFAULT_MAX_TOTAL_BYTES: number = 4 * GIB;
/** Bytes of the body of one PUT, unless the command line says otherwise: 1 GiB. */
export const DEFAULT_MAX_BODY_BYTES: number = 1 * GIB;

/** The limits of the segment API; every one is a whole number of at least 1. */
export interface Quotas {
  /** How many segments there may be. */
  readonly maxSegments: number;
  /** Bytes of one segment. */
  readonly maxSegmentBytes: number;
  /** Bytes of all segments together. */
  readonly maxTotalBytes: number;
  /** Bytes of the body of one PUT. */
  readonly maxBodyBytes: number;
}

/** The limits when nobody asked for others. */
export const DEFAULT_QUOTAS: Quotas = {
  maxSegments: DEFAULT_MAX_SEGMENTS,
  maxSegmentBytes: DEFAULT_MAX_SEGMENT_BYTES,
  maxTotalBytes: DEFAULT_MAX_TOTAL_BYTES,
  maxBodyBytes: DEFAULT_MAX_BODY_BYTES,
};

/** What of the quotas is taken. */
export interface Usage {
  /** How many segments there are. */
  readonly segments: number;
  /** Bytes of all of them. */
  readonly bytes: number;
}

/**
 * Checks limits that come from outside.
 *
 * @param quotas the limits.
 * @returns a copy with exactly the four limits.
 * @throws {RangeError} when one is not a whole number of at least 1.
 */
export function checkQuotas(quotas: Quotas): Quotas {
  const { maxSegments, maxSegmentBytes, maxTotalBytes, maxBodyBytes } = quotas;
  const checked = { maxSegments, maxSegmentBytes, maxTotalBytes, maxBodyBytes };
  for (const [name, value] of Object.entries(checked)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RangeError(`Cannot use the quota ${name} ${value}: it must be a whole number of at least 1`);
    }
  }
  return checked;
}

/**
 * Adds up what is taken.
 *
 * @param segments every segment there is.
 * @returns their number and their bytes.
 */
export function usageOf(segments: readonly SegmentInfo[]): Usage {
  return { segments: segments.length, bytes: segments.reduce((sum, { size }) => sum + size, 0) };
}
