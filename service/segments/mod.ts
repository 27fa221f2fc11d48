/**
 * The HTTP API of the built-in service over an injected store of segments.
 *
 * Happy path: {@linkcode createSegmentHandler} gets a store and options and gives a web-standard handler, to be
 * served by `live.serve`.
 *
 * Unhappy paths: every refusal is an answer with a JSON document, see {@linkcode HttpError}; the handler never
 * rejects.
 *
 * @module
 */

export { createSegmentHandler, type SegmentHandler, type SegmentHandlerOptions } from "./handler.ts";
export type { Hosts } from "./auth.ts";
export { HttpError, type HttpErrorOptions } from "./errors.ts";
export { isSegmentName, MAX_SEGMENT_NAME, parseSegmentName, SEGMENT_NAME_RULE } from "./names.ts";
export {
  checkQuotas,
  DEFAULT_MAX_BODY_BYTES,
  DEFAULT_MAX_SEGMENT_BYTES,
  DEFAULT_MAX_SEGMENTS,
  DEFAULT_MAX_TOTAL_BYTES,
  DEFAULT_QUOTAS,
  type Quotas,
  type Usage,
  usageOf,
} from "./quotas.ts";
export type { SegmentInfo, SegmentStore } from "./store.ts";
