/**
 * `inspect`: prints a handover segment, from a file or as a running service would write it now.
 *
 * Happy path: the segment is verified and printed as JSON, with our own subtrees decoded.
 *
 * Unhappy paths: bytes that are no segment, a wrong checksum, an unknown version: exit 1 with what is wrong.
 *
 * @module
 */
import { decodeLuo } from "../kho/abi/luo.ts";
import { decodeHistory, decodeStates, HISTORY_SUBTREE, LIVE_SUBTREE } from "../kho/abi/live.ts";
import { decodeCbor } from "../kho/codec.ts";
import { decodeEnvelope, type Segment } from "../kho/segment.ts";
import { LUO_SUBTREE } from "../luo/orchestrator.ts";
import type { InspectCommand } from "./args.ts";
import { ControlClient } from "./control_client.ts";
import { columns, size } from "./text.ts";

/**
 * Prints a segment.
 *
 * @returns the exit status
 * @throws {HandoverError} when it is no valid segment
 */
export async function inspect(command: InspectCommand): Promise<number> {
  const bytes = command.live
    ? await new ControlClient(command.socket, command).getBytes("/v1/segment")
    : await Deno.readFile(command.file);
  const segment = await decodeEnvelope(bytes);
  console.log(command.json ? JSON.stringify(documentOf(segment), plain) : textOf(segment));
  return 0;
}

/** The segment with handles replaced by what they lead to, where the format is ours. */
function documentOf({ record, bytes }: Segment): Record<string, unknown> {
  const subtrees: Record<string, unknown> = {};
  for (const { name, handle } of record.subtrees) {
    const blob = record.blobs[Number(handle) - 1] ?? new Uint8Array();
    subtrees[name] = decodeSubtree(name, blob);
  }
  return {
    version: "kho-v1",
    bytes,
    metadata: record.metadata,
    image: record.image,
    fds: record.fds,
    subtrees,
  };
}

function decodeSubtree(name: string, blob: Uint8Array): unknown {
  switch (name) {
    case LUO_SUBTREE:
      return decodeLuo(blob);
    case LIVE_SUBTREE:
      return decodeStates(blob).map(({ value, ...rest }) => ({
        ...rest,
        value: decodeCbor(value, { floats: true }),
      }));
    case HISTORY_SUBTREE: {
      const { pending, updates, started } = decodeHistory(blob);
      return {
        pending: pending === null ? null : JSON.parse(pending),
        started,
        updates: updates.map((text) => JSON.parse(text)),
      };
    }
    default:
      return { bytes: blob.byteLength };
  }
}

/** Tokens and other 64-bit integers are decimal strings in JSON, bytes are hexadecimal. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return value.toHex();
  return value;
}

function textOf(segment: Segment): string {
  const { record, bytes } = segment;
  const { metadata, image } = record;
  const luo = record.subtrees.find(({ name }) => name === LUO_SUBTREE);
  const sessions = luo === undefined
    ? null
    : decodeLuo(record.blobs[Number(luo.handle) - 1] ?? new Uint8Array());
  const files = (sessions?.sessions ?? []).flatMap(({ name, files }) =>
    files.map(({ token, compatible, data }) => [name, token.toString(), compatible, data.toString()])
  );
  return [
    `kho-v1, ${size(bytes)}, written by process ${metadata.pid}, jump ${metadata.count}`,
    `image     ${image.argv.join(" ")}`,
    `number    ${sessions?.number ?? "-"}`,
    `subtrees  ${record.subtrees.map(({ name }) => name).join(", ")}`,
    "",
    columns([
      ["FD", "KIND", "DEVICE", "INODE"],
      ...record.fds.map(({ fd, kind, dev, ino }) => [String(fd), kind, dev.toString(), ino.toString()]),
    ]),
    "",
    columns([["SESSION", "TOKEN", "HANDLER", "DATA"], ...files]),
  ].join("\n");
}
