/**
 * What all handlers of plain descriptors share: the descriptor itself crosses, and a record says what it was.
 *
 * The open file description survives `execve` as it is, so carrying it costs the same whatever is behind it. What a
 * handler adds is the decision whether it knows the kind, a record of its state, and a check when it is taken back.
 *
 * @module
 */
import type { CborValue } from "../kho/codec.ts";
import { Fields } from "../kho/abi/fields.ts";
import { HandoverError } from "../kho/errors.ts";
import type { CheckArgs, FileHandler, IncomingArgs, OutgoingArgs } from "../luo/handler.ts";
import { fdLink, getFlags, type OwnedFd } from "../sys/mod.ts";
import { decodeRecord, encodeRecord, recordVersion } from "./record.ts";

/** What distinguishes one kind of descriptor from another. */
export interface DescriptorKind {
  /** Name of the handler. */
  compatible: string;
  /** Newest version of its record, and the one it writes. */
  version: number;
  /** Does this kind include that descriptor? */
  accepts(fd: number): boolean;
  /** Describes the state of a descriptor at this moment. */
  describe(fd: number): { [key: string]: CborValue };
  /** Checks a descriptor against its record; throws when it is not what it was. */
  verify(fd: number, record: Fields): void;
  /**
   * Does nothing of what `verify` compares change while it is open? Then the record stays as it was written when the descriptor
   * was preserved: the freeze only compares, and nobody waits for a state to be written down that the new build sees itself.
   *
   * @default {false}
   */
  steady?: boolean;
  /** Makes what stands for such a descriptor in a check, which has only the record; an open `/dev/null` if absent. */
  standIn?(record: Fields): OwnedFd;
  /** What makes two descriptors the same resource, if not the open file description. */
  getId?(fd: number): string;
}

/** `O_ACCMODE`: how a file was opened never changes. */
const ACCESS_MODE = 3;

/**
 * Compares how a descriptor is open with its record.
 *
 * @param fd the descriptor, borrowed
 * @param record its record, with `flags`
 * @returns whether it is open for reading, writing or both as it was
 */
export function hasSameAccess(fd: number, record: Fields): boolean {
  return (getFlags(fd) & ACCESS_MODE) === (record.int("flags") & ACCESS_MODE);
}

/**
 * Checks that a descriptor is open for what it was open for.
 *
 * @throws {HandoverError} `WRONG_DESCRIPTOR`
 */
export function mustHaveSameAccess(fd: number, record: Fields): void {
  if (hasSameAccess(fd, record)) return;
  throw new HandoverError("WRONG_DESCRIPTOR", `Cannot retrieve fd ${fd}: its access mode is another one`);
}

/**
 * The error for a descriptor that has become something else behind our back.
 *
 * @param fd the descriptor, borrowed
 * @param what what it should be, with its article
 */
export function wrongKind(fd: number, what: string): HandoverError {
  return new HandoverError("WRONG_DESCRIPTOR", `Cannot use fd ${fd} as ${what}: it is ${fdLink(fd)}`);
}

/**
 * The error for a descriptor that was handed over as another one.
 *
 * @param fd the descriptor, for the message
 * @param what what it was, without an article
 * @param difference what is different, if more can be said
 */
export function anotherOne(fd: number, what: string, difference?: string): HandoverError {
  const more = difference === undefined ? "" : ` (${difference})`;
  return new HandoverError(
    "WRONG_DESCRIPTOR",
    `Cannot retrieve fd ${fd}: it is not the ${what} it was${more}`,
  );
}

/**
 * Makes a handler for a kind of descriptor.
 *
 * @returns a handler whose `serializedData` is the handle of a blob `[version, {"fd", …}]`
 */
export function descriptorHandler(kind: DescriptorKind): FileHandler {
  const write = (args: OutgoingArgs): Uint8Array => {
    const record = { ...kind.describe(args.fd), fd: args.fd };
    if (kind.steady) args.privateData = new Fields(record, kind.compatible);
    return encodeRecord(kind.version, record);
  };
  const read = (args: CheckArgs): Fields =>
    decodeRecord(args.kho.blob(args.serializedData), kind.compatible, kind.version);
  /** A record that cannot be read was not retrieved either, and finish may not fail. */
  const readable = (args: IncomingArgs): number | null => {
    try {
      return read(args).int("fd");
    } catch (error) {
      if (error instanceof HandoverError) return null;
      throw error;
    }
  };
  const { getId, standIn } = kind;
  return {
    compatible: kind.compatible,
    version: kind.version,
    check(args) {
      const bytes = args.kho.blob(args.serializedData);
      const version = recordVersion(bytes, kind.compatible);
      if (version >= 1 && version <= kind.version) {
        decodeRecord(bytes, kind.compatible, kind.version).int("fd");
      }
      return version;
    },
    canPreserve: ({ fd }) => kind.accepts(fd),
    preserve(args) {
      using undo = new DisposableStack();
      args.kho.preserveFd(args.fd);
      undo.defer(() => args.kho.unpreserveFd(args.fd));
      args.serializedData = args.kho.preserveBlob(write(args));
      undo.move();
    },
    unpreserve(args) {
      args.kho.unpreserveBlob(args.serializedData);
      args.kho.unpreserveFd(args.fd);
    },
    freeze(args) {
      if (args.privateData instanceof Fields) kind.verify(args.fd, args.privateData);
      else args.kho.replaceBlob(args.serializedData, write(args));
    },
    retrieve(args) {
      const record = read(args);
      const fd = args.kho.borrowFd(record.int("fd"));
      kind.verify(fd, record);
      return fd;
    },
    finish(args) {
      const fd = readable(args);
      if (fd !== null) args.kho.releaseFd(fd);
    },
    ...(standIn === undefined ? {} : { standIn: (args) => standIn(read(args)) }),
    ...(getId === undefined ? {} : { getId: ({ fd }) => getId(fd) }),
  };
}
