/**
 * What crossed with connections beside their descriptors.
 *
 * @module
 */
import { type ConnectionRecord, CONNECTIONS_SUBTREE, decodeConnections } from "../kho/abi/connections.ts";
import { takeover } from "./takeover.ts";

/**
 * Reads what crossed, or would cross in a check.
 *
 * @throws {HandoverError} for a subtree that is none
 */
export function readConnections(): ConnectionRecord[] {
  const bytes = takeover.check?.connections ?? takeover.incoming?.subtree(CONNECTIONS_SUBTREE) ?? null;
  return bytes === null ? [] : decodeConnections(bytes);
}
